"""`segood report`: one self-contained HTML page of a run, or of a comparison."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import make_parser, say


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "report",
        "Write report.html: numbers with their protocol, curves, violins, gallery, coefficients;\n"
        "of a comparison: its methods side by side.",
        "segood report runs/camvid --figures",
        usage="report RUN",
    )
    parser.add_argument("run", help="folder of `segood evaluate` or of `segood compare`")
    parser.add_argument(
        "--figures", action="store_true", help="also write each figure for print, under figures/"
    )
    parser.add_argument(
        "--full_size",
        action="store_true",
        help="also write the shown frames as large as they can be had, under report_images/ (of a run)",
    )
    return parser


def run(arguments: Namespace) -> None:
    """Write the report and say where it is."""
    from segood.reporting import build_any_report, write_any_figures

    say(f"report: {build_any_report(arguments.run, full_size=arguments.full_size or None)}")
    if arguments.figures:
        for path in write_any_figures(arguments.run):
            say(f"figure: {path}")
