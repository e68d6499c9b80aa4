"""A monitor that looks at a part of the image only."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import segood
from segood.compiled import kernels_enabled
from segood.deployment.frame_segments import find_segments
from segood.deployment.networks import Seen
from segood.errors import UsageError
from segood.meta import MetaClassifier
from segood.segments import Region, extract_segments, feature_names


@pytest.fixture
def logits() -> np.ndarray:
    """Class 0 below, class 1 above, undecided in three places."""
    values = np.zeros((3, 20, 30), np.float32)
    values[1, :8], values[0, 8:] = 9, 9
    for rows, cols in (
        (slice(2, 4), slice(3, 6)),
        (slice(10, 14), slice(10, 15)),
        (slice(7, 9), slice(25, 28)),
    ):
        values[:, rows, cols] = 0
    return values


LOWER = Region(polygon=((0.4, 0), (0.4, 1), (1, 1), (1, 0)))


def test_segments_are_cut_at_the_region(logits: np.ndarray) -> None:
    found = find_segments(Seen(logits), (20, 30), 0.7, LOWER)
    assert found is not None
    inside = LOWER.inside((20, 30))
    expected = extract_segments(logits=logits, threshold=0.7, ignore=~inside)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.features, expected.features.to_numpy())
    assert len(found.features) == 2
    assert found.flagged_share() == pytest.approx((20 + 3) / (12 * 30))


def test_the_road_is_found_by_the_network(logits: np.ndarray) -> None:
    road = Region(classes=(0,))
    found = find_segments(Seen(logits), (20, 30), 0.7, road)
    assert found is not None
    # the hull of the road closes over the object on it
    assert found.inside is not None
    assert found.inside[8:].all()
    assert not found.inside[:2].any()
    assert found.labels[12, 12] > 0
    assert found.labels[3, 4] == 0 or found.inside[3, 4]


def test_without_kernels_the_same(logits: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernels_enabled()
    results = {}
    for setting in ("1", "0"):
        monkeypatch.setenv("SEGOOD_KERNELS", setting)
        for name, region in (("none", None), ("lower", LOWER), ("road", Region(classes=(0,)))):
            found = find_segments(Seen(logits), (20, 30), 0.7, region)
            assert found is not None
            results[setting, name] = found
        bad = logits.copy()
        bad[0, 0, 0] = np.nan
        assert find_segments(Seen(bad), (20, 30), 0.7, None) is None
    for name in ("none", "lower", "road"):
        np.testing.assert_array_equal(results["1", name].labels, results["0", name].labels)
        np.testing.assert_allclose(results["1", name].features, results["0", name].features, atol=1e-5)


def test_a_classifier_of_another_region_is_refused() -> None:
    names = feature_names(4)
    table = np.random.default_rng(0).normal(size=(20, len(names)))
    import pandas as pd

    meta = MetaClassifier().fit(
        pd.DataFrame(table, columns=names), table[:, 0] > 0, provenance={"region": LOWER.to_dict()}
    )
    network = torch.nn.Conv2d(3, 4, 1)
    assert segood.Monitor(network, meta=meta, region=LOWER).region == LOWER
    with pytest.raises(
        UsageError, match="fitted for the polygon of 4 corners, the monitor looks at the whole"
    ):
        segood.Monitor(network, meta=meta)
    with pytest.raises(UsageError, match="looks at the hull of predicted classes 0"):
        segood.Monitor(network, meta=meta, region=Region(classes=(0,)))


def test_reasons_add_up_to_the_largest_contributions() -> None:
    torch.manual_seed(0)
    names = feature_names(4)
    table = np.random.default_rng(0).normal(size=(60, len(names)))
    import pandas as pd

    meta = MetaClassifier().fit(pd.DataFrame(table, columns=names), table[:, 0] + table[:, 36] > 0)
    monitor = segood.Monitor(torch.nn.Conv2d(3, 4, 1), threshold=0.5, meta=meta)
    seen = monitor(np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    parts = -meta.explain(seen.features)
    for thing in (*seen.objects, *seen.removed):
        row = parts.loc[thing.id]
        assert len(thing.reasons) == 6
        assert [r.weight for r in thing.reasons[:3]] == pytest.approx(row.nlargest(3).tolist())
        assert [r.weight for r in thing.reasons[3:]] == pytest.approx(row.nsmallest(3).tolist())
        logit = row.sum() - meta.intercept
        assert thing.probability == pytest.approx(1 / (1 + np.exp(-logit)))
