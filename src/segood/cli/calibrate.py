"""`segood calibrate`: thresholds for a stated target, with a distribution-free promise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import add_config, make_parser, progress_bar, say, say_json
from segood.data.config import DatasetConfig
from segood.deployment.calibration.request import CalibrationRequest

CONFIGS = (CalibrationRequest, DatasetConfig)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "calibrate",
        "Choose the thresholds of a run's network on a labelled set that is new to it, so that a stated\n"
        "target holds for new scenes, whatever their distribution; write calibration.json.",
        "segood calibrate runs/camvid --dataset.name fishyscapes_lost_and_found --dataset.root data/fs_laf"
        " --target pixel_fpr --alpha 0.05\n"
        "  segood calibrate runs/camvid --dataset.name lost_and_found --dataset.root data/laf"
        " --target false_alarms --alpha 1 --method ltt --check_splits 1000",
        usage="calibrate RUN",
    )
    add_config(parser)
    parser.add_argument("run", help="run directory of `segood evaluate`")
    parser.add_argument("--dataset", type=DatasetConfig, help="the calibration set", required=True)
    parser.add_class_arguments(CalibrationRequest)
    parser.add_argument(
        "--region",
        type=dict[str, Any] | None,  # type: ignore[operator]
        default=None,
        help="'{polygon: [[row, col], ...]}', '{classes: [0, 1]}' or '{mask: FILE}'; that of meta.json if "
        "not given",
    )
    parser.add_argument(
        "--out", type=str | None, default=None, help="file to write; RUN/calibration.json if not given"
    )  # type: ignore[operator]
    parser.add_argument("--json", action="store_true", help="print what the file holds, instead of words")
    return parser


def run(arguments: Namespace) -> None:
    """Calibrate, write the file, print the summary."""
    from segood.deployment.calibration import calibrate_run, format_calibration
    from segood.deployment.calibration.results import FILE
    from segood.evaluation.region import read_region

    request = CalibrationRequest(
        **{name: arguments[name] for name in CalibrationRequest.__dataclass_fields__}
    )
    found = calibrate_run(
        arguments.run,
        arguments.dataset,
        request,
        region=read_region(arguments.region),
        progress=progress_bar,
    )
    out = Path(arguments.out) if arguments.out else Path(arguments.run) / FILE
    found.save(out)
    if arguments.json:
        say_json(found.to_dict())
    else:
        say(format_calibration(found))
        say(f"\nwritten: {out}")
