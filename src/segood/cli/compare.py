"""`segood compare`: networks × scores × data sets × protocols, one table that can be believed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import add_config, make_parser, progress_bar, say, say_json
from segood.errors import DataError, UsageError
from segood.evaluation.comparison.config import ComparisonConfig

CONFIGS = (ComparisonConfig,)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "compare",
        "Measure every score on every network and test set: pixel and segment level, before and after meta\n"
        "classification, with bootstrap intervals. Writes results.json, table.md, table.tex, table.csv,\n"
        "figures/ and report.html into OUT. What is there already is kept: run it again to continue or to\n"
        "change the table. --verify RESULTS recomputes a sample of frames instead, and checks them.",
        "segood compare --config compare_espnetv2 --data_root data --out runs/compare",
    )
    add_config(parser, shipped="comparisons")
    parser.add_class_arguments(ComparisonConfig)
    parser.add_argument("--data_root", type=str | None, default=None, help="folder of relative roots")  # type: ignore[operator]
    parser.add_argument("--out", type=str | None, default=None, help="folder to write to")  # type: ignore[operator]
    parser.add_argument("--verify", type=str | None, default=None, help="results.json to check")  # type: ignore[operator]
    parser.add_argument("--verify_frames", type=int, default=3, help="frames per test set to recompute")
    parser.add_argument("--json", action="store_true", help="print results.json (or the checks) instead")
    return parser


def run(arguments: Namespace) -> None:
    """Compare and print the table, or verify and print the checks."""
    if arguments.verify is not None:
        _verify(arguments)
        return
    from segood.evaluation.comparison.run import compare
    from segood.reporting import (
        build_comparison_report,
        format_comparison,
        write_comparison_figures,
        write_comparison_tables,
    )
    from segood.runs import locked

    if arguments.out is None:
        raise UsageError("`--out` is missing: the folder for tables, figures and everything they rest on")
    config = ComparisonConfig(**{name: arguments[name] for name in ComparisonConfig.__dataclass_fields__})
    out = Path(arguments.out)
    results = compare(config, out, data_root=arguments.data_root or ".", progress=progress_bar)
    with locked(out):
        tables, figures = write_comparison_tables(results, out), write_comparison_figures(out)
        page = build_comparison_report(out)
    if arguments.json:
        say_json(dataclasses.asdict(results))
    else:
        say(format_comparison(results))
        say(f"\ntables: {', '.join(map(str, tables))}")
        say(f"figures: {len(figures)} files in {out / 'figures'}")
        say(f"report: {page}")
    for dataset in results.datasets:
        why = [row.undefined for row in results.rows if row.dataset == dataset.info.key]
        if why and all(why):
            raise DataError(f"nothing could be measured on {dataset.info.key}: {why[0]}")


def _verify(arguments: Namespace) -> None:
    from segood.evaluation.comparison.verify import verify

    checks = verify(
        arguments.verify,
        data_root=arguments.data_root,
        num_frames=arguments.verify_frames,
        progress=progress_bar,
    )
    if arguments.json:
        say_json([dataclasses.asdict(c) for c in checks])
    else:
        for check in checks:
            say(f"{'ok  ' if check.holds else 'FAIL'}  {check.what}: {check.found}")
    failed = sum(not c.holds for c in checks)
    if failed:
        raise DataError(f"{arguments.verify}: {failed} of {len(checks)} checks failed")
