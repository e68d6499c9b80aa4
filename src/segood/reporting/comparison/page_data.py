"""What the page's script needs to compare two methods: pairs that were drawn, and the tables' values.

In: `ComparisonResults`. Out: plain JSON, embedded as `comparison`.
"""

from __future__ import annotations

from typing import Any

from segood.evaluation.comparison.results import ComparisonResults, Row
from segood.reporting.comparison.blocks import method_label
from segood.reporting.comparison.sections import PAIR_METRICS

_UP = {"auroc": True, "average_precision": True, "fpr95": False, "errors": False}


def comparison_data(results: ComparisonResults) -> dict[str, Any]:
    """Return methods, data sets, metrics, drawn pairs and values, all by their keys."""
    return {
        "main": results.main,
        "num_draws": results.num_draws,
        "methods": [
            {"key": one.key, "label": method_label(results, one.key), "network": one.network}
            for one in results.methods
        ],
        "datasets": [{"key": one.info.key, "title": one.info.title} for one in results.datasets],
        "metrics": [
            {"key": key, "title": title, "up": _UP[key], "digits": 0 if key == "errors" else 3}
            for key, title in PAIR_METRICS.items()
        ],
        "pairs": [
            {"dataset": pair.dataset, "metric": pair.metric, "a": pair.a, "b": pair.b,
             "value": pair.difference.value, "low": pair.difference.low, "high": pair.difference.high,
             "images": pair.difference.num_images, "draws": pair.difference.num_draws,
             "share": pair.share_better}
            for pair in results.pairs
        ],
        "values": [
            {"dataset": row.dataset, "method": row.method, **_values(row)} for row in results.rows
        ],
    }  # fmt: skip


def _values(row: Row) -> dict[str, float | None]:
    after = row.meta.errors.value if row.meta is not None and row.meta.errors is not None else None
    return {
        "auroc": row.auroc.value,
        "average_precision": row.average_precision.value,
        "fpr95": row.fpr95.value,
        "errors": row.errors.value,
        "errors_meta": after,
    }
