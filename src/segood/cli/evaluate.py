"""`segood evaluate`: pixel-level, segment-level and closed-set numbers, before and after."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import add_config, make_parser, progress_bar, say, say_json
from segood.evaluation.config import EvaluationConfig, stored_evaluation
from segood.models.config import ModelConfig
from segood.runs import CONFIG, read_config

CONFIGS = (EvaluationConfig, ModelConfig)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "evaluate",
        "Evaluate the networks of a run: what `train` left there (before and after), or --models.",
        "segood evaluate runs/camvid --threshold 0.6",
        usage="evaluate RUN",
    )
    add_config(parser)
    parser.add_argument(
        "run", help="run directory of `segood train`, or a new one with --config and --models"
    )
    parser.add_class_arguments(EvaluationConfig)
    parser.add_argument(
        "--models", type=dict[str, ModelConfig], default={}, help="networks by key, instead of the run's own"
    )
    parser.add_argument(
        "--data_root", type=str | None, default=None, help="folder of relative data set roots"
    )  # type: ignore[operator]
    parser.add_argument("--json", action="store_true", help="print metrics.json instead of the table")
    return parser


def set_defaults(parser: ArgumentParser, argv: list[str]) -> None:
    """Take what the run's own config.yaml says as defaults."""
    run = _positional(parser, argv)
    if run is not None and (Path(run) / CONFIG).is_file():
        stored = dataclasses.asdict(stored_evaluation(read_config(run)))
        meta = {f"meta.{key}": value for key, value in stored.pop("meta").items()}
        parser.set_defaults({**stored, **meta})


def _positional(parser: ArgumentParser, argv: list[str]) -> str | None:
    """Return the first word that is neither an option nor an option's value."""
    flags = {o for action in parser._actions if action.nargs == 0 for o in action.option_strings}
    words = iter(argv)
    for word in words:
        if word == "--":
            return next(words, None)
        if not word.startswith("-"):
            return word
        if "=" not in word and word not in flags:
            next(words, None)  # its value; options within a data set or network have one, too
    return None


def run(arguments: Namespace) -> None:
    """Evaluate, write metrics.json and segments.parquet, print the table."""
    from segood.evaluation.run import evaluate_run
    from segood.reporting import format_table

    config = EvaluationConfig(**{name: arguments[name] for name in EvaluationConfig.__dataclass_fields__})
    results = evaluate_run(
        Path(arguments.run),
        config,
        models=arguments.models,
        data_root=arguments.data_root,
        progress=progress_bar,
    )
    if arguments.json:
        say_json(dataclasses.asdict(results))
    else:
        say(format_table(results))
        say(f"\nnext: segood report {arguments.run}")
