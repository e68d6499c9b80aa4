"""Meta classification at every threshold: errors at every probability, and why drawn segments have theirs.

In: what the frames gave (`explore_frames`), the segment table of the run's own threshold, those of the others
on disk, a `MetaConfig`. Out: `Exploration`. At the run's own threshold and probability its counts are those
of `metrics.json`: the same rows, folds and classifier. Other thresholds keep features in float32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from segood.evaluation.config import EvaluationConfig, MetaConfig
from segood.evaluation.exploration import Exploration, ModelSweep, ShownFrame, ShownSegment
from segood.evaluation.explore_counts import count_errors_at, kept_at
from segood.evaluation.explore_frames import MOST_SEGMENTS, Swept, table_path
from segood.evaluation.explore_reasons import HeldOut, explained, hold_out
from segood.evaluation.explore_shown import CONTRIBUTIONS, within_budget
from segood.evaluation.segment_tables import read_table
from segood.scores import score_class

PROBABILITIES = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Meta probabilities that the report's reader can move to."""
NOTHING_REMOVED = 1.01
"""The last entry of `Exploration.probabilities`."""


def begin(swept: Sequence[Swept], config: EvaluationConfig) -> Exploration | None:
    """Put the data sets of an evaluation together; None where nothing was explored.

    Args:
        swept: one per data set, of the same thresholds.
        config: of the evaluation.

    Returns:
        An exploration that `explore` completes; the smallest false alarms of the gallery may be left out.
    """
    if not swept:
        return None
    thresholds = swept[0].thresholds
    frames = [frame for part in swept for frame in part.frames]
    return Exploration(
        score=score_class(config.score).name,
        thresholds=thresholds,
        threshold=config.threshold,
        probabilities=[],
        probability_threshold=config.meta.probability_threshold,
        sweeps=[sweep for part in swept for sweep in part.sweeps],
        frames=within_budget(frames, thresholds.index(config.threshold)),
    )


def explore(begun: Exploration, segments: pd.DataFrame, tables: Path, config: MetaConfig) -> Exploration:
    """Cross-validate the meta classifier at every threshold.

    Args:
        begun: what `begin` returned, or an exploration of the same frames with another meta classification.
        segments: table of the run's own threshold.
        tables: folder of those of the other thresholds.
        config: protocol, preset, classifier, probability threshold. The neural classifier, refitted for every
            fold, is applied at the run's own threshold only, and has no contributions.

    Raises:
        DataError: a table is missing or unreadable.
    """
    own = begun.thresholds.index(begun.threshold)
    probabilities = [*sorted({*PROBABILITIES, config.probability_threshold}), NOTHING_REMOVED]
    frames = [dataclasses.replace(frame, segments={}, unshown={}) for frame in begun.frames]
    sweeps = []
    for sweep in begun.sweeps:
        counts, undefined = [], []
        for step in range(len(begun.thresholds)):
            rows = _of(segments, sweep) if step == own else _read(tables, sweep, step)
            drawn = [_drawn(frame, sweep, step) for frame in begun.frames]
            where = _rows_per_frame(rows, begun.frames, sweep)
            held_out = _hold_out(rows, config, _mask(len(rows), drawn, where), is_own=step == own)
            at = [NOTHING_REMOVED] if held_out.probabilities is None else probabilities
            counts.append(count_errors_at(rows, held_out.probabilities, sweep.num_ground_truth, at))
            undefined.append(held_out.undefined)
            for frame, shown, row_of in zip(frames, drawn, where, strict=True):
                if frame.dataset == sweep.dataset:
                    told = explained(shown, row_of, held_out, CONTRIBUTIONS[step != own])
                    frame.segments.setdefault(sweep.model, []).append(told)
                    left = _left_out(rows, shown, row_of)
                    kept = kept_at(left, held_out.probabilities, at) if len(left) else []
                    frame.unshown.setdefault(sweep.model, []).append(kept)
        sweeps.append(dataclasses.replace(sweep, segments=counts, undefined=undefined))
    return dataclasses.replace(
        begun,
        probabilities=probabilities,
        probability_threshold=config.probability_threshold,
        sweeps=sweeps,
        frames=frames,
    )


def _hold_out(rows: pd.DataFrame, config: MetaConfig, explain: np.ndarray, *, is_own: bool) -> HeldOut:
    reason = None
    if not is_own and config.classifier == "neural":
        reason = "the neural classifier is refitted for every fold, at the run's own threshold only"
    elif not is_own and not len(rows):
        reason = "there is no predicted segment"
    elif not is_own and len(rows) > MOST_SEGMENTS:
        reason = (
            f"{len(rows)} segments; up to {MOST_SEGMENTS} are classified at thresholds other than the run's"
        )
    if reason is not None:
        return HeldOut(None, f"meta classification is undefined: {reason}", None)
    return hold_out(rows, config, explain)


def _of(segments: pd.DataFrame, sweep: ModelSweep) -> pd.DataFrame:
    return segments[(segments["model"] == sweep.model) & (segments["dataset"] == sweep.dataset)]


def _read(tables: Path, sweep: ModelSweep, step: int) -> pd.DataFrame:
    path = table_path(tables, sweep.model, sweep.dataset, step)
    return read_table(path, "run `segood evaluate` again", texts=("sample_id",))


def _drawn(frame: ShownFrame, sweep: ModelSweep, step: int) -> list[ShownSegment]:
    return frame.segments[sweep.model][step] if frame.dataset == sweep.dataset else []


def _rows_per_frame(
    rows: pd.DataFrame, frames: Sequence[ShownFrame], sweep: ModelSweep
) -> list[dict[int, int]]:
    """Return per frame by segment id its row; nothing for frames of other data sets."""
    positions: dict[Any, Any] = rows.groupby("sample_id").indices if len(rows) else {}
    found = []
    for frame in frames:
        here = positions.get(frame.sample_id, ()) if frame.dataset == sweep.dataset else ()
        at = np.asarray(here, np.int64)
        found.append(dict(zip(_ids(rows, at), at.tolist(), strict=True)))
    return found


def _ids(rows: pd.DataFrame, at: np.ndarray) -> list[int]:
    if "segment" in rows:
        return rows["segment"].to_numpy()[at].astype(int).tolist()  # type: ignore[no-any-return]
    return list(range(1, len(at) + 1))  # a table without features; ids count from 1 in every frame


def _mask(count: int, drawn: Sequence[list[ShownSegment]], where: Sequence[Mapping[int, int]]) -> np.ndarray:
    mask = np.zeros(count, bool)
    for shown, row_of in zip(drawn, where, strict=True):
        mask[[row_of[segment.segment] for segment in shown]] = True
    return mask


def _left_out(rows: pd.DataFrame, shown: Sequence[ShownSegment], row_of: Mapping[int, int]) -> np.ndarray:
    drawn = {segment.segment for segment in shown}
    return np.array([row for segment, row in row_of.items() if segment not in drawn], np.int64)
