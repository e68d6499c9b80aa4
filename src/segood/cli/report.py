"""`segood report`: one self-contained HTML page of a run."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import make_parser, say


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "report",
        "Write report.html: numbers with their protocol, curves, violins, gallery, coefficients.",
        "segood report runs/camvid --figures",
        usage="report RUN",
    )
    parser.add_argument("run", help="run directory of `segood evaluate`")
    parser.add_argument(
        "--figures", action="store_true", help="also write each figure for print, under figures/"
    )
    return parser


def run(arguments: Namespace) -> None:
    """Write the report and say where it is."""
    from segood.reporting import build_report, write_figures

    say(f"report: {build_report(arguments.run)}")
    if arguments.figures:
        for path in write_figures(arguments.run):
            say(f"figure: {path}")
