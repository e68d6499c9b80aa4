"""Measure the run of 02 before and after fine-tuning, and read the numbers from its files. 10 seconds.

python examples/03_evaluate.py runs/examples     adds numbers and report.html to finetuned/
"""

import sys
from pathlib import Path

from segood.evaluation import RunResults
from segood.evaluation.run import evaluate_run
from segood.reporting import build_report, format_table


def main(out: Path) -> None:
    run = out / "finetuned"
    print(format_table(evaluate_run(run)))  # what the run's own config.yaml says

    results = RunResults.load(run / "metrics.json")  # the same numbers, at any later time, without torch
    for pixels in results.pixel:
        low, high = pixels.intervals["average_precision"]  # bootstrap over frames, one trained network
        print(
            f"{pixels.model}: AP {pixels.average_precision:.3f} [{low:.2f}, {high:.2f}], guessing"
            f" has {pixels.num_ood / (pixels.num_ood + pixels.num_in):.3f}"
        )
    for segments in results.segment:
        removed = segments.meta.after if segments.meta else None
        print(
            f"{segments.model}: {segments.num_ground_truth} objects, errors {segments.before_meta.errors}"
            f" before meta classification, {removed.errors if removed else 'undefined'} after"
        )
    print(f"page with two sliders and a gallery: {build_report(run)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
