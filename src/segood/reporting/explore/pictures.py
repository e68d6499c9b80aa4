"""Frames without an exploration: what became of the segments; the truth as a map.

In: a stored frame and rows of `segments.parquet`. Out: sets of segment ids, counts, an RGB picture.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from segood.evaluation.gallery import GalleryFrame
from segood.reporting.explore.overlay import FrameFacts
from segood.reporting.overlays import missed_boxes
from segood.types import IGNORE, OUT_OF_DISTRIBUTION

KNOWN = (38, 44, 53)
UNKNOWN = (255, 255, 255)
NOT_EVALUATED = (118, 126, 136)


def truth_map(target: np.ndarray) -> np.ndarray:
    """Draw a ground truth: unknown objects white, the rest dark, what is not evaluated striped in grey.

    Args:
        target: uint8 (H,W), 0 in-distribution, 1 OoD, 255 ignore.

    Returns:
        uint8 (H,W,3), RGB.

    Example:
        >>> truth_map(np.array([[0, 1]], np.uint8)).tolist()
        [[[38, 44, 53], [255, 255, 255]]]
    """
    picture = np.empty((*target.shape, 3), np.uint8)
    picture[:] = KNOWN
    picture[target == OUT_OF_DISTRIBUTION] = UNKNOWN
    ignored = target == IGNORE
    period = max(6, round(target.shape[1] / 48))
    diagonal = np.add.outer(np.arange(target.shape[0]), np.arange(target.shape[1])) % period
    picture[ignored & (diagonal < period / 2)] = NOT_EVALUATED
    return picture


def frame_decisions(
    segments: pd.DataFrame | None, dataset: str, frame: GalleryFrame, model: str | None, labels: np.ndarray
) -> tuple[set[int], set[int], set[int]]:
    """Return all ids, those removed, those without object: from the table if it knows, else the picture."""
    ids = set(np.unique(labels[labels > 0]).tolist())
    wrong = ids - set(np.unique(labels[frame.target == OUT_OF_DISTRIBUTION]).tolist())
    if segments is None or model is None:
        return ids, set(), wrong
    here = (segments["model"] == model) & (segments["dataset"] == dataset)
    rows = segments[here & (segments["sample_id"] == frame.sample_id)]
    if len(rows) == 0:
        return ids, set(), wrong
    removed = rows.loc[rows["removed"].fillna(False).astype(bool), "segment"]
    false_alarms = rows.loc[rows["is_false_positive"].astype(bool), "segment"]
    return set(rows["segment"].tolist()), set(removed.tolist()), set(false_alarms.tolist())


def frame_facts(
    labels: np.ndarray, ids: set[int], removed: set[int], wrong: set[int], target: np.ndarray
) -> FrameFacts:
    """Count objects, misses and segments of a frame as stored."""
    return FrameFacts(
        objects=len(missed_boxes(np.zeros_like(labels), (), target)),
        missed=len(missed_boxes(labels, removed, target)),
        kept_rightly=len(ids - removed - wrong),
        kept_wrongly=len((ids - removed) & wrong),
        removed_rightly=len(ids & removed & wrong),
        removed_wrongly=len((ids & removed) - wrong),
    )
