"""A page of results from a finished comparison: its tables, and the figures that show no scene.

    python docs/results.py runs/compare docs/results/compare_espnetv2.md

In: the folder of `segood compare`. Out: the page, its figures in a folder of the page's name beside it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from segood.evaluation.comparison.results import ComparisonResults
from segood.files import write_text
from segood.reporting import comparison_markdown

SHOWN = (
    ("violins", "The main score of known pixels (left halves) and unknown ones (right halves), per network"),
    ("roc", "ROC curves of all methods, with a linear and a logarithmic false positive rate"),
    ("pr", "Precision–recall curves of all methods"),
    ("forest", "Average precision and FPR95 of all methods with their intervals over images"),
    ("errors", "Errors over the threshold, before and after meta classification"),
)


def write_page(comparison: Path, page: Path) -> None:
    """Write the page and copy its figures."""
    results = ComparisonResults.load(comparison / "results.json")
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    packages = results.environment["packages"]
    lines = [
        f"# {page.stem}",
        "",
        f"Measured {results.created[:10]} on {results.environment['processor']}, torch {packages['torch']}, "
        f"seed {results.seed}. What the columns mean and where each number comes from: "
        "[comparison.md](../comparison.md). The networks before and after are one training each: intervals "
        "are over images, another training moves a number further.",
        "",
        "Data set hashes, weights, options and the whole configuration are in `results.json` of the "
        "comparison, which `segood compare --verify` checks. Networks and data sets:",
        "",
        *(f"- {n.title}: {n.network}, weights {(n.weights_sha256 or '')[:16]}" for n in results.networks),
        *(f"- {d.info.title}: content {d.info.content_hash[:16]}" for d in results.datasets),
        "",
    ]
    for dataset in results.datasets:
        lines += [f"## Figures, {dataset.info.title}", ""]
        for kind, words in SHOWN:
            figure = comparison / "figures" / f"{kind}_{dataset.info.key}.svg"
            if figure.exists():
                shutil.copyfile(figure, folder / figure.name)
                lines += [f"![{words}, {dataset.info.title}]({folder.name}/{figure.name})", ""]
    tables = comparison_markdown(results).split("\n", 1)[1]
    write_text(page, "\n".join(lines) + tables)


if __name__ == "__main__":
    write_page(Path(sys.argv[1]), Path(sys.argv[2]))
