"""Evaluation: scores, segments and the truth -> numbers.

In: score maps, segments, predictions, targets. Out: pixel-level, segment-level and closed-set metrics,
and the records (`RunResults` and its parts) that tables and reports read. Names are imported on
first use, so reading results costs no import of torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segood.evaluation.bins import BinLayout
    from segood.evaluation.closed_set import ClosedSetMetrics, ClosedSetReport
    from segood.evaluation.curves import BestF1
    from segood.evaluation.pixel import PixelMetrics
    from segood.evaluation.report import PixelReport, pixel_report
    from segood.evaluation.results import (
        ClosedSetResult,
        Curve,
        DatasetInfo,
        Distribution,
        MetaModelInfo,
        MetaResult,
        ModelInfo,
        PixelResult,
        RunResults,
        SegmentErrors,
        SegmentResult,
    )
    from segood.evaluation.segment import SegmentMatch, errors_after_removal, match_segments, sum_errors
    from segood.evaluation.smiyc import SmiycSegmentMetrics, smiyc_segment_metrics

__all__ = [
    "BestF1",
    "BinLayout",
    "ClosedSetMetrics",
    "ClosedSetReport",
    "ClosedSetResult",
    "Curve",
    "DatasetInfo",
    "Distribution",
    "MetaModelInfo",
    "MetaResult",
    "ModelInfo",
    "PixelMetrics",
    "PixelReport",
    "PixelResult",
    "RunResults",
    "SegmentErrors",
    "SegmentMatch",
    "SegmentResult",
    "SmiycSegmentMetrics",
    "errors_after_removal",
    "match_segments",
    "pixel_report",
    "smiyc_segment_metrics",
    "sum_errors",
]

_HOME = {
    "BestF1": "curves",
    "BinLayout": "bins",
    "ClosedSetMetrics": "closed_set",
    "ClosedSetReport": "closed_set",
    "PixelMetrics": "pixel",
    "PixelReport": "report",
    "SegmentMatch": "segment",
    "SmiycSegmentMetrics": "smiyc",
    "errors_after_removal": "segment",
    "match_segments": "segment",
    "pixel_report": "report",
    "smiyc_segment_metrics": "smiyc",
    "sum_errors": "segment",
}


def __getattr__(name: str) -> Any:
    """Import on first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'results')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
