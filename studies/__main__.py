"""`python -m studies`: measure what is missing, and write the tables from what is there.

    python -m studies factors --data_root data     # hours; goes on where it was cut off
    python -m studies far --data_root data         # hours, too
    python -m studies errors runs/compare          # of a finished `segood compare`; seconds
    python -m studies small_objects --data_root data --trained NETWORK.safetensors
    python -m studies meta RUN                     # of an evaluated run; seconds
    python -m studies tables                       # seconds

In: data sets, rows. Out: rows in `studies/results`, tables and figures in `docs/`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from studies.recipes import BASE_RECIPE, FACTORS, WEIGHTS


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m studies", description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    factors = verbs.add_parser("factors", help="one change of the recipe at a time")
    factors.add_argument("--seeds", type=int, nargs="+", default=[0])
    factors.add_argument("--epochs", type=int, default=1)
    factors.add_argument("--only", nargs="+", default=[], help="factors to measure")
    small = verbs.add_parser("small_objects", help="resolution, tiles and scales on Lost & Found")
    small.add_argument(
        "--trained", type=Path, help="a network of `segood train`; else the one before training"
    )
    far = verbs.add_parser("far", help="the best recipe against all scores before training")
    far.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    errors = verbs.add_parser("errors", help="objects missed and false alarms of a finished `segood compare`")
    errors.add_argument("comparison", type=Path, help="its folder")
    meta = verbs.add_parser("meta", help="features, protocols and transfer of the meta classifier")
    meta.add_argument("run", type=Path, help="a run that `segood evaluate` has evaluated")
    meta.add_argument("--network", default="after training", help="how the tables call its network")
    for verb in (factors, far, small):
        verb.add_argument("--data_root", type=Path, required=True, help="folder of the data sets")
        verb.add_argument("--weights", type=Path, help="start weights; else those of `segood models fetch`")
    verbs.add_parser("tables", help="write tables and figures")
    options = parser.parse_args(argv)
    if options.verb == "tables":
        from studies.tables import write_tables

        write_tables()
        return 0
    if options.verb == "small_objects":
        from studies.small_objects import measure_ways

        start = str(options.trained or options.weights or WEIGHTS)
        measure_ways("after" if options.trained else "before", start, options.data_root)
        return 0
    if options.verb == "meta":
        from studies.meta import measure_meta

        measure_meta(options.run, options.network)
        return 0
    if options.verb == "errors":
        from segood.evaluation.comparison.results import ComparisonResults
        from studies.far import add_errors, add_sweep

        results = ComparisonResults.load(options.comparison / "results.json")
        add_errors(results)
        add_sweep(results)
        return 0
    if options.verb == "far":
        from studies.far import measure_far

        measure_far(options.data_root, options.weights, options.seeds)
        return 0
    return _factors(options)


def _factors(options: argparse.Namespace) -> int:
    from studies.trained import measure_recipes, measure_start

    root: Path = options.data_root
    measure_start("factors", root, options.weights)
    chosen = [r for r in FACTORS if not options.only or r.factor in (*options.only, BASE_RECIPE.factor)]
    measure_recipes("factors", chosen, options.seeds, root, epochs=options.epochs, weights=options.weights)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
