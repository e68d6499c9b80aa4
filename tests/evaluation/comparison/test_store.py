"""Stored frames count only where they were made in the same way, and whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from segood.evaluation.comparison.store import FrameSegments, Store

SCORE = np.array([[0.25, 0.5], [0.75, 1.0]], np.float16)


def store(root: Path, maps_by: str = "a", thresholds: tuple[float, ...] = (0.5,)) -> Store:
    return Store(root, "net/entropy", "set", {"maps": maps_by}, {"thresholds": thresholds})


def segments(rows: int = 2) -> FrameSegments:
    table = pd.DataFrame({"threshold": [0.5] * rows, "size": [3.0] * rows, "ground_truth": [[1, 2]] * rows})
    return FrameSegments(table, num_ground_truth=4, milliseconds=0.1 + 0.2)


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    kept = store(tmp_path)
    assert not kept.has("scene/1")
    kept.save("scene/1", SCORE, segments())
    assert kept.has("scene/1")
    assert (kept.score("scene/1") == SCORE).all()
    found = kept.frame_segments("scene/1")
    assert found.num_ground_truth == 4
    assert found.milliseconds == 0.1 + 0.2
    assert [list(ids) for ids in found.table["ground_truth"]] == [[1, 2], [1, 2]]
    assert kept.map_path("scene/1").relative_to(tmp_path).parts[:3] == ("anomaly_p", "net__entropy", "set")


def test_a_method_without_threshold_has_no_rows(tmp_path: Path) -> None:
    kept = store(tmp_path, thresholds=())
    kept.save("1", SCORE, FrameSegments(pd.DataFrame(), 0, 1.0))
    assert kept.has("1")
    assert kept.frame_segments("1").table.empty


def test_another_maker_counts_as_missing(tmp_path: Path) -> None:
    store(tmp_path).save("1", SCORE, segments())
    assert not store(tmp_path, maps_by="b").has("1")
    assert not store(tmp_path, thresholds=(0.7,)).has("1")
    assert store(tmp_path).has("1")


def test_damaged_files_count_as_missing(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.save("1", SCORE, segments())
    whole = kept.map_path("1").read_bytes()
    kept.map_path("1").write_bytes(whole[: len(whole) // 2])
    assert not kept.has("1")
    kept.map_path("1").write_bytes(whole)
    assert kept.has("1")
    (kept.segments / "1.parquet").write_bytes(b"PAR1")
    assert not kept.has("1")
