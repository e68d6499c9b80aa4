"""`segood evaluate`: pixel-level, segment-level and closed-set numbers, before and after."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import add_config, make_parser, progress_bar, say, say_json
from segood.evaluation.config import EvaluationConfig
from segood.models.config import ModelConfig

CONFIGS = (EvaluationConfig, ModelConfig)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "evaluate",
        "Evaluate the networks of a run: what `train` left there (before and after), or --models.",
        "segood evaluate runs/camvid",
        usage="evaluate RUN",
    )
    add_config(parser)
    parser.add_argument(
        "run", help="run directory of `segood train`, or a new one with --config and --models"
    )
    parser.add_argument(
        "--evaluation",
        type=EvaluationConfig | None,  # type: ignore[operator]
        default=None,
        help="data sets, score, threshold; those of the run's config.yaml if not given",
    )
    parser.add_argument(
        "--models", type=dict[str, ModelConfig], default={}, help="networks by key, instead of the run's own"
    )
    parser.add_argument(
        "--data_root", type=str | None, default=None, help="folder of relative data set roots"
    )  # type: ignore[operator]
    parser.add_argument("--json", action="store_true", help="print metrics.json instead of the table")
    return parser


def run(arguments: Namespace) -> None:
    """Evaluate, write metrics.json and segments.parquet, print the table."""
    from segood.evaluation.run import evaluate_run
    from segood.reporting import format_table

    results = evaluate_run(
        Path(arguments.run),
        arguments.evaluation,
        models=arguments.models,
        data_root=arguments.data_root,
        progress=progress_bar,
    )
    if arguments.json:
        say_json(dataclasses.asdict(results))
    else:
        say(format_table(results))
        say(f"\nnext: segood report {arguments.run}")
