"""A comparison as one tidy table: a line per method, data set and metric.

In: `ComparisonResults`. Out: CSV text with full precision; empty cells are undefined, with the reason beside.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from segood.evaluation.comparison.results import ComparisonResults, MetaNumbers, MethodInfo, Number, Row
from segood.reporting.comparison.blocks import row_or_empty
from segood.reporting.comparison.columns import COLUMNS

HEADER = ("dataset", "network", "score", "method", "metric", "value", "low", "high", "num_images",
          "num_draws", "protocol", "threshold", "threshold_source", "meta_protocol", "undefined")  # fmt: skip
_SMIYC = {"siou", "ppv", "f1_mean"}
_ERRORS = {"false_positives", "false_negatives", "errors", "reduction"}


def comparison_csv(results: ComparisonResults) -> str:
    """Return a comparison as long CSV.

    Args:
        results: numbers of one comparison.

    Returns:
        A header, then a line per method × data set × metric in the order of the results; after them those of
        transferred meta classifiers (`meta_protocol` says from where) and mIoU (no method). `reduction` is a
        share. Undefined values are empty and say why in `undefined`.

    Raises:
        Nothing: whatever is missing is an empty cell.

    Example:
        >>> empty = ComparisonResults("c", "", "", 0, "0", None, "", [], [], [])
        >>> comparison_csv(empty).strip().split(",")[:6]
        ['dataset', 'network', 'score', 'method', 'metric', 'value']
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, lineterminator="\n", restval="")
    writer.writeheader()
    for line in [*_method_lines(results), *_transfer_lines(results), *_closed_set_lines(results)]:
        writer.writerow({key: "" if value is None else value for key, value in line.items()})
    return text.getvalue()


def _method_lines(results: ComparisonResults) -> Iterator[dict[str, Any]]:
    for dataset in results.datasets:
        for method in results.methods:
            row = row_or_empty(results, method, dataset.info.key)
            place = {**_method(method), "dataset": dataset.info.key, "protocol": dataset.info.protocol}
            for column in COLUMNS:
                if not column.key.endswith("_meta"):
                    number = column.number(row)
                    yield {
                        **place,
                        "metric": column.key,
                        **_number(number),
                        **_threshold(row, column.key),
                        "undefined": _reason(row, column.key, number),
                    }
            if row.meta is not None:
                errors = {"threshold": row.threshold, "threshold_source": row.threshold_source}
                yield from _meta_lines({**place, **errors}, row.meta, row.segments_undefined)
                yield {**place, **errors, "metric": "reduction_meta", "meta_protocol": row.meta.protocol,
                       **_number(Number(row.reduction_meta)),
                       "undefined": row.meta.undefined if row.reduction_meta is None else None}  # fmt: skip


def _transfer_lines(results: ComparisonResults) -> Iterator[dict[str, Any]]:
    methods = {method.key: method for method in results.methods}
    protocols = {one.info.key: one.info.protocol for one in results.datasets}
    for one in results.transfers:
        place = {**_method(methods[one.method]), "dataset": one.applied_to}
        yield from _meta_lines({**place, "protocol": protocols.get(one.applied_to)}, one.meta, None)


def _closed_set_lines(results: ComparisonResults) -> Iterator[dict[str, Any]]:
    for one in results.closed_set:
        yield {"dataset": one.dataset, "network": one.network, "metric": "miou", **_number(one.miou),
               "num_images": one.num_images}  # fmt: skip


def _meta_lines(place: dict[str, Any], meta: MetaNumbers, why: str | None) -> Iterator[dict[str, Any]]:
    numbers = {
        "false_positives_meta": meta.false_positives,
        "false_negatives_meta": meta.false_negatives,
        "errors_meta": meta.errors,
        "meta_auroc": Number(meta.auroc),
        "meta_auprc": Number(meta.auprc),
        "meta_accuracy": Number(meta.accuracy),
        "meta_naive_accuracy": Number(meta.naive_accuracy),
        "meta_random_auprc": Number(meta.random_auprc),
    }
    for key, number in numbers.items():
        number = number or Number(None)
        reason = (meta.undefined or why) if number.value is None else None
        yield {**place, "metric": key, "meta_protocol": meta.protocol, **_number(number), "undefined": reason}


def _method(method: MethodInfo) -> dict[str, Any]:
    return {"network": method.network, "score": method.score, "method": method.key}


def _number(number: Number) -> dict[str, Any]:
    shown = {"value": number.value, "low": number.low, "high": number.high}
    # repr keeps every digit; counts stay whole
    exact = {key: repr(value) if isinstance(value, float) else value for key, value in shown.items()}
    return {**exact, "num_images": number.num_images or None, "num_draws": number.num_draws or None}


def _threshold(row: Row, metric: str) -> dict[str, Any]:
    if metric in _SMIYC:
        return {"threshold": row.smiyc_threshold, "threshold_source": row.smiyc_threshold_source}
    if metric in _ERRORS:
        return {"threshold": row.threshold, "threshold_source": row.threshold_source}
    return {}


def _reason(row: Row, metric: str, number: Number) -> str | None:
    if number.value is not None:
        return None
    return (row.segments_undefined or row.undefined) if metric in _ERRORS | _SMIYC else row.undefined
