"""`segood meta`: filter false alarms with the meta classifier."""

from __future__ import annotations

import dataclasses

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import make_parser, say, say_json
from segood.evaluation.config import MetaConfig

CONFIGS = (MetaConfig,)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "meta",
        "Cross-validate the meta classifier on the segments of an evaluated run, fit it, save meta.json.",
        "segood meta runs/camvid --protocol leave-one-out",
        usage="meta RUN",
    )
    parser.add_argument("run", help="run directory of `segood evaluate`")
    parser.add_class_arguments(MetaConfig)
    parser.add_argument("--json", action="store_true", help="print the segment-level results as JSON")
    return parser


def run(arguments: Namespace) -> None:
    """Filter, update metrics.json, segments.parquet and meta.json, print the table."""
    from segood.evaluation.run import filter_run
    from segood.reporting import format_table

    config = MetaConfig(**{name: arguments[name] for name in MetaConfig.__dataclass_fields__})
    results = filter_run(arguments.run, config)
    if arguments.json:
        say_json([dataclasses.asdict(s) for s in results.segment])
    else:
        say(format_table(results))
