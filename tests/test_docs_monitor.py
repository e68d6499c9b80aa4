"""docs/monitor.md says what there is: fields of the schema, reasons, options, and Python that runs."""

from __future__ import annotations

import re
import shlex
import typing

from tests.deployment.painted import RedMonitor, street
from tests.pages import DOCS, run_python

from segood.cli.predict import build_parser
from segood.deployment import FrameChecks, Tracker, frame_schema
from segood.deployment.detection import NoVerdictReason
from segood.deployment.predict_folder import FRAMES

PAGE = (DOCS / "monitor.md").read_text(encoding="utf-8")


def first_column(after: str) -> set[str]:
    """Return the code words in the first column of the table after a sentence."""
    table = PAGE[PAGE.index(after) :].split("\n\n")[1]
    rows = [row.split("|")[1] for row in table.splitlines()[2:]]
    return {word for row in rows for word in re.findall(r"`(\w+)`", row)}


def test_the_tables_are_complete() -> None:
    schema = frame_schema()
    assert first_column(f"`OUT/{FRAMES}` has one line") == set(schema["properties"])
    assert first_column("and per object") == set(schema["$defs"]["object"]["properties"])
    reasons = set(typing.get_args(NoVerdictReason))
    assert first_column("No objects and no verdict are different") == reasons
    assert set(schema["properties"]["no_verdict"]["anyOf"][1]["properties"]["reason"]["enum"]) == reasons


def test_the_numbers_are_the_defaults() -> None:
    checks, tracker = FrameChecks(), Tracker()
    dark, bright = round(checks.dark_share * 100), round(checks.bright_share * 100)
    for said in (
        f"`stale_after` ({checks.stale_after:.0f} s)",
        f"at least {checks.black_share * 100:.0f} % of the pixels are at most {checks.dark_level} of 255",
        f"more than {dark} % of the pixels are at most {checks.dark_level}, or more than {bright} % at least"
        f" {checks.bright_level}, or the brightness spans less than {checks.min_contrast} from",
        f"for the {checks.frozen_after}th time in a row",
        f"intersection over union of at least {tracker.min_iou}",
        f"at most {tracker.max_tracks} tracks",
    ):
        assert said in " ".join(PAGE.split()), said
    assert (tracker.max_shift, tracker.max_growth) == (0.5, 4.0)  # "half a diagonal", "four times the area"


def test_the_commands_can_be_parsed() -> None:
    parser = build_parser()
    commands = [line for line in PAGE.splitlines() if line.startswith("segood predict")]
    assert len(commands) == 4
    for command in commands:
        parser.parse_args(shlex.split(command)[2:])


def test_the_python_runs() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.S | re.M)
    code = code.replace("deadline=0.2", "deadline=60.0")  # whatever else the machine does
    frames = [street((10, col, 20, col + 10)) for col in range(4)]
    lines = run_python(code, "monitor.md", {"monitor": RedMonitor(), "frames": frames})
    assert lines[:2] == ["frame#2 1 (10, 2, 20, 12) 0.875", "frame#3 1 (10, 3, 20, 13) 0.875"]
    assert "p99" in lines[2]
