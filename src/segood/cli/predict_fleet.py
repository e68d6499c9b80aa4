"""The part of `segood predict` that `--engine ray` means: its options, and what they exclude."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import progress_bar, say, say_json
from segood.errors import DataError, UsageError
from segood.models.config import ModelConfig

_OWN = ("address", "workers", "threads_per_worker", "partition_size", "format", "column")
_STREAMS = {
    "track": "no image follows another",
    "deadline_ms": "no answer comes too late",
    "video": "it draws no pictures",
    "video_rate": "it draws no pictures",
    "overlays": "it draws no pictures",
    "coco": "it writes partitions only",
}


def add_fleet_options(parser: ArgumentParser) -> None:
    """Add `--engine`, and what belongs to `ray`."""
    text, number = str | None, int | None
    parser.add_argument(
        "--engine",
        type=str,
        default="local",
        help="local: this process, frame by frame. ray: workers of a Ray cluster score images, each alone;"
        " inputs may also be lists (.txt, .parquet) and URLs; OUT/parts holds the records",
    )
    parser.add_argument(
        "--address",
        type=text,
        default=None,
        help="Ray cluster to join: auto, HOST:PORT; one is started here if not given",
    )
    parser.add_argument(
        "--workers", type=number, default=None, help="number of workers; all CPUs' if not given"
    )
    parser.add_argument("--threads_per_worker", type=number, default=None, help="CPUs of each worker (1)")
    parser.add_argument(
        "--partition_size",
        type=number,
        default=None,
        help="frames per file: what a killed worker loses (128)",
    )
    parser.add_argument("--format", type=text, default=None, help="of the partitions: parquet or jsonl")
    parser.add_argument("--column", type=text, default=None, help="of Parquet inputs: paths or URLs (path)")


def check_engine(arguments: Namespace) -> bool:
    """Tell whether Ray is asked for.

    Raises:
        UsageError: an unknown engine, or an option of another one.
    """
    from segood.checks import check_choice

    check_choice("engine", arguments.engine, ("local", "ray"))
    if arguments.engine == "ray":
        _refuse_of_streams(arguments)
        return True
    own = [f"--{name}" for name in _OWN if arguments[name] is not None]
    if own:
        raise UsageError(f"{', '.join(own)} belong to --engine ray; give that, or leave them out")
    return False


def run_fleet(arguments: Namespace) -> None:
    """Write the partitions, and say what is in them."""
    from segood.deployment.fleet import FleetOptions, predict_fleet
    from segood.deployment.predict import parse_checks

    given = {name: arguments[name] for name in _OWN if arguments[name] is not None}
    options = FleetOptions(checks=parse_checks(arguments.checks), **given)
    found = predict_fleet(
        arguments.inputs,
        arguments.monitor,
        arguments.out,
        options,
        resume=arguments.resume,
        sha256=arguments.sha256,
        public_key=arguments.public_key,
        progress=progress_bar,
    )
    if arguments.json:
        say_json(found)
    else:
        say(_in_words(found, arguments.out))
    if found["first_unreadable"]:
        count, (_, problem) = found["no_verdicts"]["unreadable"], found["first_unreadable"]
        raise DataError(f"{count} of {found['frames']} frames cannot be read; the first: {problem}")


def _refuse_of_streams(arguments: Namespace) -> None:
    if arguments.monitor is None:
        raise UsageError("--engine ray needs a bundle, --monitor FILE.segood; `segood export` makes one")
    # the parser makes a default network where none is given
    own = ("model", "score", "threshold", "meta", "region")
    given = [f"--{name}" for name in own if arguments[name] not in (None, ModelConfig())]
    if given:
        raise UsageError(f"{', '.join(given)} cannot be given with --engine ray; its bundle has its own")
    if arguments.min_area is not None:
        raise UsageError("--min_area cannot be given with --engine ray; select by `area` in what it writes")
    for name, why in _STREAMS.items():
        if arguments[name] not in (None, False):
            raise UsageError(
                f"--{name} cannot be given with --engine ray, which scores each image alone: {why}"
            )
    if isinstance(arguments.checks, Mapping):
        for name in ("frozen_after", "stale_after"):
            if name in arguments.checks:
                raise UsageError(f"--checks.{name} is for streams; --engine ray scores each image alone")


def _in_words(found: dict[str, Any], out: str) -> str:
    """Return the line that says what was found."""
    silent = ", ".join(f"{count} {reason}" for reason, count in found["no_verdicts"].items())
    rate, again = found["this_call"]["frames_per_second"], found["this_call"]["begun_again"]
    return (
        f"{found['objects']} unknown objects in {found['verdicts']} frames"
        + (f"; no verdict on {silent}" if silent else "")
        + f"; {found['partitions']} partitions"
        + (f", {again} begun again after a worker died" if again else "")
        + (f"; {rate:.1f} frames/s" if rate else "")
        + f"; {out}"
    )
