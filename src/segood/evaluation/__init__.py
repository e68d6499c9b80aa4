"""Evaluation: scores, segments and the truth -> numbers.

In: score maps, segments, predictions, targets. Out: pixel-level, segment-level and closed-set metrics,
and the records (`RunResults` and its parts) that tables and reports read. Names are imported on
first use, so reading results costs no import of torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.evaluation.bins import BinLayout as BinLayout
    from segood.evaluation.closed_set import ClosedSetMetrics as ClosedSetMetrics
    from segood.evaluation.closed_set import ClosedSetReport as ClosedSetReport
    from segood.evaluation.curves import BestF1 as BestF1
    from segood.evaluation.pixel import PixelMetrics as PixelMetrics
    from segood.evaluation.report import PixelReport as PixelReport
    from segood.evaluation.report import pixel_report as pixel_report
    from segood.evaluation.results import ClosedSetResult as ClosedSetResult
    from segood.evaluation.results import Curve as Curve
    from segood.evaluation.results import DatasetInfo as DatasetInfo
    from segood.evaluation.results import Distribution as Distribution
    from segood.evaluation.results import MetaModelInfo as MetaModelInfo
    from segood.evaluation.results import MetaResult as MetaResult
    from segood.evaluation.results import ModelInfo as ModelInfo
    from segood.evaluation.results import PixelResult as PixelResult
    from segood.evaluation.results import RunResults as RunResults
    from segood.evaluation.results import SegmentErrors as SegmentErrors
    from segood.evaluation.results import SegmentResult as SegmentResult
    from segood.evaluation.segment import SegmentMatch as SegmentMatch
    from segood.evaluation.segment import errors_after_removal as errors_after_removal
    from segood.evaluation.segment import match_segments as match_segments
    from segood.evaluation.segment import sum_errors as sum_errors
    from segood.evaluation.smiyc import SmiycSegmentMetrics as SmiycSegmentMetrics
    from segood.evaluation.smiyc import smiyc_segment_metrics as smiyc_segment_metrics

_HOMES = {
    "BestF1": "curves",
    "BinLayout": "bins",
    "ClosedSetMetrics": "closed_set",
    "ClosedSetReport": "closed_set",
    "ClosedSetResult": "results",
    "Curve": "results",
    "DatasetInfo": "results",
    "Distribution": "results",
    "MetaModelInfo": "results",
    "MetaResult": "results",
    "ModelInfo": "results",
    "PixelMetrics": "pixel",
    "PixelReport": "report",
    "PixelResult": "results",
    "RunResults": "results",
    "SegmentErrors": "results",
    "SegmentMatch": "segment",
    "SegmentResult": "results",
    "SmiycSegmentMetrics": "smiyc",
    "errors_after_removal": "segment",
    "match_segments": "segment",
    "pixel_report": "report",
    "smiyc_segment_metrics": "smiyc",
    "sum_errors": "segment",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
