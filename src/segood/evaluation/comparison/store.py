"""What a comparison keeps per frame, so that nothing is computed twice and an interruption costs one frame.

In and out: float16 score maps in the layout of the public benchmark,
`anomaly_p/{network}__{score}/{dataset}/{frame}.hdf5`, and segment tables
`segments/{network}__{score}/{dataset}/{frame}.parquet`. Each says what made it; what was made in another way
counts as missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from segood.evaluation.exchange_files import read_map
from segood.evaluation.score_maps import write_score_map
from segood.files import atomic_path

_MADE_BY = "made_by"


@dataclass(frozen=True)
class FrameSegments:
    """Segments of one method on one frame.

    Attributes:
        table: rows of all thresholds, with their `threshold`; no features where the method has none.
        num_ground_truth: OoD segments of the frame's ground truth.
        milliseconds: what the score took, the forward passes it needs included.
    """

    table: pd.DataFrame
    num_ground_truth: int
    milliseconds: float


class Store:
    """The files of one method on one data set.

    Args:
        root: folder of the comparison.
        method: its key, `NETWORK/SCORE`.
        dataset: key of the data set.
        maps_by: what identifies the score maps: network, preprocessing, score, sizes.
        segments_by: what identifies the segments besides: thresholds.
    """

    def __init__(
        self,
        root: Path,
        method: str,
        dataset: str,
        maps_by: Mapping[str, Any],
        segments_by: Mapping[str, Any],
    ) -> None:
        folder = method.replace("/", "__")
        self.maps = root / "anomaly_p" / folder / dataset
        self.segments = root / "segments" / folder / dataset
        self._maps_by = json.dumps(maps_by, sort_keys=True)
        self._segments_by = json.dumps({**maps_by, **segments_by}, sort_keys=True)

    def has(self, sample_id: str) -> bool:
        """Return whether both files of a frame are there, made in this very way."""
        return self._map_is_ready(sample_id) and self._segments_are_ready(sample_id)

    def save(self, sample_id: str, score: np.ndarray, segments: FrameSegments) -> None:
        """Write both files of a frame, each whole or not at all.

        Args:
            sample_id: of the frame.
            score: (H,W) float16.
            segments: with any number of rows.
        """
        write_score_map(self.map_path(sample_id), score, {_MADE_BY: self._maps_by})
        facts = {
            _MADE_BY: self._segments_by,
            "num_ground_truth": str(segments.num_ground_truth),
            "milliseconds": repr(segments.milliseconds),
        }
        table = pa.Table.from_pandas(segments.table, preserve_index=False)
        with atomic_path(self._segment_path(sample_id)) as temporary:
            pq.write_table(
                table.replace_schema_metadata({**(table.schema.metadata or {}), **facts}), temporary
            )

    def score(self, sample_id: str) -> np.ndarray:
        """Return a score map (H,W) float16.

        Raises:
            DataError: it is missing or damaged.
        """
        return read_map(self.map_path(sample_id))

    def frame_segments(self, sample_id: str) -> FrameSegments:
        """Return the segments of a frame that `has` vouches for."""
        table = pq.read_table(self._segment_path(sample_id))
        facts = table.schema.metadata
        return FrameSegments(
            table.to_pandas(), int(facts[b"num_ground_truth"]), float(facts[b"milliseconds"].decode())
        )

    def map_path(self, sample_id: str) -> Path:
        """Return where a frame's score map lies."""
        return self.maps / f"{sample_id}.hdf5"

    def _segment_path(self, sample_id: str) -> Path:
        return self.segments / f"{sample_id}.parquet"

    def _map_is_ready(self, sample_id: str) -> bool:
        try:
            with h5py.File(self.map_path(sample_id), "r") as file:
                return bool(file.attrs.get(_MADE_BY) == self._maps_by)
        except OSError:
            return False  # missing, or damaged from outside

    def _segments_are_ready(self, sample_id: str) -> bool:
        try:
            facts = pq.read_schema(self._segment_path(sample_id)).metadata or {}
        except (OSError, pa.ArrowInvalid):
            return False
        return facts.get(_MADE_BY.encode()) == self._segments_by.encode()
