"""`segood meta`: filter false alarms with the meta classifier, and look into it."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import first_positional, make_parser, say, say_json
from segood.evaluation.config import MetaConfig
from segood.runs import EVALUATION, read_config

CONFIGS = (MetaConfig,)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "meta",
        "Cross-validate the meta classifier on the segments of an evaluated run, fit it, save meta.json.",
        "segood meta runs/camvid --protocol leave-one-out\n"
        "  segood meta runs/camvid --ranking 10 --explain after/laf/frame_0001/3",
        usage="meta RUN",
    )
    parser.add_argument("run", help="run directory of `segood evaluate`")
    parser.add_class_arguments(MetaConfig)
    parser.add_argument(
        "--transfer", action="store_true", help="fit on each data set of the run, apply to the others"
    )
    parser.add_argument(
        "--ranking",
        type=int | None,
        default=None,
        help="features to list in the order that LARS takes them in",
    )  # type: ignore[operator]
    parser.add_argument(
        "--explain",
        type=str | None,
        default=None,
        help="MODEL/DATASET/SAMPLE_ID/SEGMENT: what each feature adds to this segment's logit",
    )  # type: ignore[operator]
    parser.add_argument(
        "--json",
        action="store_true",
        help="print JSON: a list of the segment-level results; with --transfer, --ranking or --explain an "
        "object of `segment` (that list), `transfer`, `ranking`, `explanation`",
    )
    return parser


def set_defaults(parser: ArgumentParser, argv: list[str]) -> None:
    """Take the run's own meta classification as defaults: looking into it does not change it."""
    run = first_positional(parser, argv)
    if run is not None and (Path(run) / EVALUATION).is_file():
        stored = read_config(run, EVALUATION).get("meta") or {}
        parser.set_defaults({k: v for k, v in stored.items() if k in MetaConfig.__dataclass_fields__})


def run(arguments: Namespace) -> None:
    """Filter, update metrics.json, segments.parquet and meta.json, print the tables."""
    from segood.evaluation.meta_inspection import inspect_run
    from segood.reporting.meta_tables import format_inspection

    inspection = inspect_run(
        arguments.run,
        MetaConfig(**{name: arguments[name] for name in MetaConfig.__dataclass_fields__}),
        transfers=arguments.transfer,
        ranking=arguments.ranking,
        explain=arguments.explain,
    )
    if arguments.json:
        say_json(inspection.as_plain())
    else:
        say(format_inspection(inspection))
