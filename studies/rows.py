"""What a study has found: one line of JSON per measurement, committed, so that tables come from nothing else.

In: rows. Out: `results/STUDY.jsonl`; a measurement that is there is not made again.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from segood.runs import describe_environment

RESULTS = Path(__file__).with_name("results")
Row = dict[str, Any]


def read_rows(study: str, folder: Path = RESULTS) -> list[Row]:
    """Return the rows of a study in the order in which they were measured; none where there is no file."""
    path = folder / f"{study}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def add_row(study: str, row: Mapping[str, Any], folder: Path = RESULTS) -> Row:
    """Append a row with what it was measured with; it is on the disk when this returns.

    Returns:
        The row with `provenance`: date, revision of the code, processor, threads, versions.
    """
    environment = describe_environment()
    packages = ("torch", "torchvision", "numpy", "lightning")
    complete = dict(row) | {
        "provenance": {
            "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
            "revision": _revision(),
            "processor": environment["processor"],
            "threads": torch.get_num_threads(),
            "packages": {name: environment["packages"][name] for name in packages},
        }
    }
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{study}.jsonl").open("a") as handle:
        handle.write(json.dumps(complete, ensure_ascii=False) + "\n")
        handle.flush()
        os.fsync(handle.fileno())
    return complete


def is_there(rows: list[Row], **wanted: Any) -> bool:
    """Tell whether a row has these values."""
    return any(all(row.get(key) == value for key, value in wanted.items()) for row in rows)


def _revision() -> str:
    command = ("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
