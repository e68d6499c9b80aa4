"""The small print of a comparison: why cells are empty, and what a reader has to know.

In: `ComparisonResults`. Out: sentences, each once.
"""

from __future__ import annotations

from segood.evaluation.comparison.results import ComparisonResults
from segood.reporting.comparison.blocks import dataset_title, method_label, row_or_empty


def reasons(results: ComparisonResults) -> list[str]:
    """Return why values are undefined, each reason once, as `place: reason`.

    A method that could not be used at all is named once; a reason that all methods of a data set share
    names the data set only.
    """
    unusable: dict[str, list[str]] = {}
    for method in results.methods:
        if method.undefined:
            unusable.setdefault(method.undefined, []).append(method_label(results, method.key))
    lines = [f"{'; '.join(names)}: {reason}" for reason, names in unusable.items()]
    usable = [method for method in results.methods if not method.undefined]
    for dataset in results.datasets:
        places: dict[str, list[str]] = {}
        for method in usable:
            row = row_or_empty(results, method, dataset.info.key)
            meta = row.meta.undefined if row.meta else None
            said = [("", row.undefined), ("", row.segments_undefined), ("meta classification: ", meta)]
            for reason in dict.fromkeys(f"{what}{why}" for what, why in said if why):
                places.setdefault(reason, []).append(method_label(results, method.key))
        for reason, names in places.items():
            where = "" if len(names) == len(usable) else f", {'; '.join(names)}"
            lines.append(f"{dataset.info.title}{where}: {reason}")
    for one in results.transfers:
        if one.meta.undefined:
            place = f"{dataset_title(results, one.fitted_on)} → {dataset_title(results, one.applied_to)}"
            lines.append(f"{place}, {method_label(results, one.method)}: {one.meta.undefined}")
    return list(dict.fromkeys(lines))


def notes(results: ComparisonResults) -> list[str]:
    """Return what a reader has to know about methods, rows and fitting, each note once."""
    lines = [f"{method_label(results, m.key)}: {note}" for m in results.methods for note in m.notes]
    lines += [
        f"{dataset_title(results, row.dataset)}, {method_label(results, row.method)}: {note}"
        for row in results.rows
        for note in row.notes
    ]
    return list(dict.fromkeys(lines)) + [f"{what}: {found}" for what, found in results.fitting.items()]
