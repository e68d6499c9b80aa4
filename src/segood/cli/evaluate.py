"""`segood evaluate`: the numbers of a run, before and after; or of score maps that others wrote."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import (
    add_config,
    add_processes,
    first_positional,
    make_parser,
    progress_bar,
    say,
    say_json,
)
from segood.data.config import DatasetConfig
from segood.evaluation.config import EvaluationConfig, stored_evaluation
from segood.models.config import ModelConfig
from segood.runs import CONFIG, read_config

if TYPE_CHECKING:
    from segood.evaluation.exchange_request import MapRequest

CONFIGS = (EvaluationConfig, ModelConfig, DatasetConfig)

_OF_MAPS = (
    (
        "scores",
        str | None,
        "folder with score maps: DIR/anomaly_p/METHOD/DATASET/FRAME.hdf5, or a part of that",
    ),
    ("dataset", DatasetConfig | None, "with --scores: the frames and labels that the maps belong to"),
    ("min_segment_size", int | None, "with --scores: pixels of the smallest predicted segment that counts"),
    ("min_instance_size", int | None, "with --scores: pixels of the smallest OoD object that counts"),
    ("smiyc_threshold", float | None, "with --scores: predicted is score > this; best pixel F1 if not given"),
    ("out", str | None, "with --scores: file for the results, results.json"),
)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "evaluate",
        "Evaluate the networks of a run: what `train` left there (before and after), or --models.\n"
        "With --scores: score maps of any method, as the public benchmark exchanges them, on one data set.",
        "segood evaluate runs/camvid --threshold 0.6\n"
        "  segood evaluate --scores outputs --dataset.name road_anomaly_21 --dataset.root data/ra21",
        usage="evaluate RUN | --scores DIR",
    )
    add_config(parser)
    parser.add_argument(
        "run", nargs="?", help="run directory of `segood train`, or a new one with --config and --models"
    )
    parser.add_class_arguments(EvaluationConfig)
    parser.add_argument(
        "--models", type=dict[str, ModelConfig], default={}, help="networks by key, instead of the run's own"
    )
    parser.add_argument(
        "--data_root", type=str | None, default=None, help="folder of relative data set roots"
    )  # type: ignore[operator]
    add_processes(parser)
    for name, kind, text in _OF_MAPS:
        parser.add_argument(f"--{name}", type=kind, default=None, help=text)
    parser.add_argument("--json", action="store_true", help="print the results as JSON instead of the table")
    return parser


def set_defaults(parser: ArgumentParser, argv: list[str]) -> None:
    """Take what the run's own config.yaml says as defaults."""
    run = first_positional(parser, argv)
    if run is not None and (Path(run) / CONFIG).is_file():
        stored = dataclasses.asdict(stored_evaluation(read_config(run)))
        meta = {f"meta.{key}": value for key, value in stored.pop("meta").items()}
        parser.set_defaults({**stored, **meta})


def run(arguments: Namespace) -> None:
    """Evaluate, write metrics.json and segments.parquet, or --out for score maps; print the table."""
    from segood.evaluation.exchange_request import map_request
    from segood.evaluation.processes import Team, check_processes
    from segood.evaluation.run import evaluate_run, evaluate_share
    from segood.reporting import format_table

    config = EvaluationConfig(**{name: arguments[name] for name in EvaluationConfig.__dataclass_fields__})
    request = map_request(arguments.as_dict(), config)
    if request is not None:
        _run_on_maps(request, arguments)
        return
    what = {"models": arguments.models, "data_root": arguments.data_root, "progress": progress_bar}
    team = Team.of_environment()
    if team.processes > 1:
        shared = evaluate_share(arguments.run, config, team=team, **what)
        if shared is None:
            return
        results = shared
    else:
        check_processes(arguments.processes)
        results = evaluate_run(arguments.run, config, processes=arguments.processes, **what)
    if arguments.json:
        say_json(dataclasses.asdict(results))
    else:
        say(format_table(results))
        say(f"\nnext: segood report {arguments.run}")


def _run_on_maps(request: MapRequest, arguments: Namespace) -> None:
    from segood.reporting.comparison.tables import format_comparison

    results = request.evaluate(progress=progress_bar)
    if arguments.out is not None:
        results.save(arguments.out)
    if arguments.json:
        say_json(dataclasses.asdict(results))
    else:
        say(format_comparison(results))
