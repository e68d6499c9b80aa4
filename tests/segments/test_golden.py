"""Features and their order equal what the published implementation computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segood.segments import boundary_mask, extract_segments, published_names


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_features_equal_the_published_ones(shared: Path, name: str) -> None:
    with np.load(shared / "golden" / f"segments_{name}.npz") as golden:
        segments = extract_segments(
            logits=golden["logits"], threshold=float(golden["threshold"]), ignore=golden["target"] == 255
        )
        np.testing.assert_array_equal(segments.labels, golden["components"])
        np.testing.assert_array_equal(boundary_mask(segments.labels > 0), golden["boundary"])
        published = segments.published()
        # SPEC 4: the matching metrics (iou, iou0, prc) are no features.
        assert {f"pred_{name}" for name in published} | {"pred_iou", "pred_iou0", "pred_prc"} == {
            key for key in golden.files if key.startswith("pred_")
        }
        for ours, theirs in published_names(len(golden["logits"])).items():
            expected = golden[f"pred_{theirs}"]
            difference = np.abs(segments.features[ours].to_numpy() - expected)
            assert (difference <= 2e-3 * (1e-3 + np.abs(expected))).all(), (ours, difference.max())
