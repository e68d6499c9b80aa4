"""Mass scoring from end to end: what `segood predict --engine ray` does.

In: folders, lists, URLs; a bundle. Out: a folder:

    manifest.json, inputs.parquet, monitor.segood    what is scored, and by what; fixed at the beginning
    parts/part-00012.parquet (or .jsonl)             records of a partition, each file written once, whole
    summary.json                                     counts over all partitions
    timings.jsonl                                    how long each partition took, and where

All but the last are the same, byte for byte, however many workers there were, and however many died.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from segood.deployment.fleet.engine import connected, import_ray, run_on_ray
from segood.deployment.fleet.listing import list_frames
from segood.deployment.fleet.options import FleetOptions
from segood.deployment.fleet.parts import read_counts
from segood.deployment.fleet.plan import PARTS, Plan, claim, make_plan
from segood.deployment.fleet.records import add_counts
from segood.deployment.fleet.urls import is_url
from segood.deployment.fleet.worker import ATTEMPTS, GIVEN_UP
from segood.deployment.monitor import Monitor
from segood.deployment.predict import describe_monitor
from segood.errors import DataError, OutputError, UsageError
from segood.files import file_hash, write_json
from segood.progress import Progress, no_progress

SUMMARY = "summary.json"
TIMINGS = "timings.jsonl"


def predict_fleet(
    inputs: Sequence[str | Path],
    bundle: str | Path,
    out: str | Path,
    options: FleetOptions = FleetOptions(),  # noqa: B008 - frozen
    *,
    resume: bool = False,
    sha256: str | None = None,
    public_key: str | Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Score many images with many workers, each image by itself.

    Args:
        inputs: see `segood.deployment.fleet.listing.list_frames`.
        bundle: what `segood export` wrote.
        out: folder that all workers see: new or empty, or with `resume` what an earlier call left.
        options: how.
        resume: go on with `out`: what is there is not done again. Frames, bundle and all that answers depend
            on have to be the same.
        sha256, public_key: see `Monitor.load`.
        progress: told the number of frames; see `segood.progress.Progress`.

    Returns:
        What `summary.json` holds, and `this_call`: frames, seconds, frames per second, `begun_again` for
            every worker that died on a partition.

    Raises:
        UsageError: `out` holds something else, or was made for other frames, by another bundle, or is worked
            on; Ray or a cluster is missing.
        DataError: an input, the bundle or a partition cannot be read; a partition was given up.
        OutputError: a file cannot be written.
        KeyboardInterrupt: of the user; finished partitions are kept.
    """
    if is_url(str(out)):
        raise UsageError(f"--out {out} must be a folder, one that all workers see; URLs are for inputs")
    import_ray()
    out, start = Path(out), time.monotonic()
    monitor = Monitor.load(bundle, sha256=sha256, public_key=public_key)
    settings = {
        "monitor": {**describe_monitor(monitor), "bundle_sha256": file_hash(bundle)},
        **options.that_decide(),
        "segood": version("segood"),
    }
    del monitor  # its memory is for the workers
    frames = list_frames(inputs, options.column)
    first = next(frames)  # a list that cannot be read leaves no folder
    claim(out, settings, resume)
    with _alone(out), connected(options):
        plan = make_plan(out, chain([first], frames), bundle, settings)
        done, again, failed = _work(plan, options, progress)
        summary = _summarise(plan)
    spent = time.monotonic() - start
    if failed:
        raise DataError(
            f"{failed[0]}; {len(failed)} of {plan.partitions} partitions are missing, --resume goes on"
        )
    this_call = {
        "frames": done,
        "begun_again": again,
        "seconds": round(spent, 3),
        "frames_per_second": round(done / spent, 3) if spent > 0 else None,
    }
    return {**summary, "this_call": this_call}


def _work(plan: Plan, options: FleetOptions, progress: Progress) -> tuple[int, int, list[str]]:
    """Do what is missing; return numbers of frames and of lost workers, and why partitions were given up."""
    missing = plan.missing()
    shutil.rmtree(plan.out / ATTEMPTS, ignore_errors=True)
    for left in (plan.out / PARTS).glob(".*.part*"):  # of workers that were killed while they wrote
        left.unlink(missing_ok=True)
    if not missing:
        return 0, 0, []
    _write_summary(plan, None)
    tick = progress("predict", sum(len(plan.indices(number)) for number in missing))
    done, again, failed = 0, 0, []
    with (plan.out / TIMINGS).open("a", encoding="utf-8") as timings:
        for report in run_on_ray(plan, missing, options):
            if report.get("kind") == GIVEN_UP:
                failed.append(report["error"])
                continue
            if "error" in report:  # other partitions would fail alike
                raise (OutputError if report["kind"] == "OutputError" else DataError)(report["error"])
            if "timing" in report:
                again += report["attempt"] - 1
                line = {key: report[key] for key in ("partition", "attempt")} | report["timing"]
                timings.write(json.dumps(line, separators=(",", ":")) + "\n")
                timings.flush()
            done += report["counts"]["frames"]
            for _ in range(report["counts"]["frames"]):
                tick()
    if not failed:
        shutil.rmtree(plan.out / ATTEMPTS, ignore_errors=True)
    return done, again, failed


def _summarise(plan: Plan) -> dict[str, Any]:
    """Add up what all partitions say, in their order, and write it."""
    missing = set(plan.missing())
    there = (number for number in range(plan.partitions) if number not in missing)
    counts = add_counts(read_counts(plan.part(number), plan.indices(number)) for number in there)
    return _write_summary(plan, counts, complete=not missing)


def _write_summary(plan: Plan, counts: Mapping[str, Any] | None, *, complete: bool = False) -> dict[str, Any]:
    values = {
        "format": "segood.fleet.summary",
        "version": 1,
        "complete": complete,
        "settings": dict(plan.settings),
        "inputs": {"frames": plan.frames, "sha256": plan.digest},
        "partitions": plan.partitions,
        **(counts or {}),
    }
    write_json(plan.out / SUMMARY, values)
    return values


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep a second call from working on the folder at the same time."""
    lock = FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(f"output folder {out} is being worked on by another call") from None
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
