"""Why a cell of a comparison's table is empty: every `–` of the page has a sentence.

In: a row and a column without value. Out: the reason, with its remedy where there is one.
"""

from __future__ import annotations

from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults, Row
from segood.reporting.comparison.blocks import row_or_empty
from segood.reporting.comparison.columns import Column
from segood.reporting.comparison.inputs import is_external

_SMIYC = {
    "siou": "no object has {instance} or more pixels: nothing to average",
    "ppv": "no predicted segment has {segment} or more pixels: nothing to average",
    "f1_mean": "neither an object nor a predicted segment is large enough: nothing to average",
}
_NO_THRESHOLD = "no threshold could be chosen for these metrics"
_NO_TIME = "not timed"


def cell_reason(results: ComparisonResults, dataset: ComparedDataset, row: Row, column: Column) -> str:
    """Return why `row` has no number in `column`.

    Args:
        results: of the comparison.
        dataset: of the row.
        row: of `row_or_empty`: a method that was not measured says so.
        column: whose number has no value.
    """
    method = next((one.undefined for one in results.methods if one.key == row.method), None)
    if method or column.key in ("auroc", "average_precision", "fpr95"):
        return method or row.undefined or "undefined on these frames"
    if column.key in _SMIYC:
        return row.undefined or _smiyc_reason(dataset, row, column.key)
    if column.key == "milliseconds":
        return row.undefined if row.undefined == "not measured" else _NO_TIME
    if column.key in ("errors_meta", "reduction_meta") and row.errors.value is not None:
        reason = _meta_reason(row)
        if reason or column.key == "errors_meta":
            return reason or "undefined on these frames"
    if column.key.startswith("reduction") and row.errors.value is not None:
        return _reduction_reason(results, dataset)
    if is_external(results) and row.undefined is None:
        return "only score maps were given, no segments"
    return row.segments_undefined or row.undefined or "undefined on these frames"


def _smiyc_reason(dataset: ComparedDataset, row: Row, key: str) -> str:
    if row.smiyc_threshold is None:
        return _NO_THRESHOLD
    return _SMIYC[key].format(instance=dataset.min_instance_size, segment=dataset.min_segment_size)


def _meta_reason(row: Row) -> str | None:
    if row.meta is None:
        return "meta classification was not asked for (`meta: null`)"
    return row.meta.undefined


def _reduction_reason(results: ComparisonResults, dataset: ComparedDataset) -> str:
    if results.baseline is None:
        return "no baseline network was named"
    method = next((one for one in results.methods if one.key == dataset.best_baseline), None)
    if method is None:
        return "no score on the baseline network has errors to compare with"
    if row_or_empty(results, method, dataset.info.key).errors.value == 0:
        return "the best baseline makes no error: there is nothing to reduce"
    return "undefined on these frames"
