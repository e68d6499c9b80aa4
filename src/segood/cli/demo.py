"""`segood demo`: the whole job on a synthetic world, in minutes."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import make_parser, progress_bar, say


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "demo",
        "Generate a synthetic world, train a small network, fine-tune it with entropy maximisation,\n"
        "evaluate both on unknown objects, filter false alarms, write the report. Interrupted, it goes\n"
        "on where it stopped.",
        "segood demo --out runs/demo",
    )
    parser.add_argument("--out", default="runs/demo", help="folder for everything")
    parser.add_argument("--seed", type=int, default=0, help="of the world and the trainings")
    return parser


def run(arguments: Namespace) -> None:
    """Run the demo; end with the before/after table and the path of the report."""
    from segood.demo import run_demo
    from segood.reporting import format_table

    done = run_demo(
        arguments.out,
        seed=arguments.seed,
        say=say,
        progress=progress_bar,
        training_progress=True,
    )
    say(f"\n{format_table(done.results)}\n\nreport: {done.report}")
