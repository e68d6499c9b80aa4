"""Frames of a comparison: which, at what size, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.errors import DataError, UsageError
from segood.evaluation.comparison.config import ComparisonConfig, FrameSource, TestSet, ValidationConfig
from segood.evaluation.comparison.sources import open_frames, open_labelled, open_test_set, open_validation


def test_frames_are_evenly_spaced(world: WorldPaths) -> None:
    source = FrameSource("cityscapes", str(world.cityscapes), "train", num_frames=3)
    frames = open_frames("city", source, ".")
    assert frames.indices == [0, 2, 5]
    assert [s.sample_id for s in frames] == frames.sample_ids
    assert (frames.target(1) == frames[1].target).all()
    assert "3 of 6 frames" in frames.words()
    assert "3 of 6 frames" in frames.describe().protocol


def test_the_hash_is_that_of_the_frames_used(world: WorldPaths) -> None:
    whole = open_frames("city", FrameSource("cityscapes", str(world.cityscapes), "train"), ".")
    some = open_frames("city", FrameSource("cityscapes", str(world.cityscapes), "train", num_frames=2), ".")
    assert whole.content_hash() == whole.dataset.content_hash() != some.content_hash()


def test_validation_is_in_distribution_streets_and_ood_proxies(world: WorldPaths) -> None:
    source = ValidationConfig(
        FrameSource("cityscapes", str(world.cityscapes), "val", num_frames=1),
        FrameSource("coco_proxies", str(world.coco), "train", num_frames=1),
    )
    validation = open_validation(source, ".")
    (street, on_street, _), (proxy, on_proxy, _) = list(validation)
    assert len(validation) == 2
    assert set(np.unique(on_street)) <= {0, 255}
    assert ((on_street == 0) == (street.target < 254)).all()
    assert set(np.unique(on_proxy)) == {1, 255}
    assert ((on_proxy == 1) == (proxy.target == 254)).all()
    assert sum(s["pixel_share"] for s in validation.pixel_shares) == pytest.approx(1)


def test_proxies_of_the_training_can_be_left_out(world: WorldPaths) -> None:
    street = FrameSource("cityscapes", str(world.cityscapes), "val")
    small = FrameSource("coco_proxies", str(world.coco), "train", options={"min_side": 100})
    trained = DatasetConfig("coco_proxies", str(world.coco), "train")
    left = set(open_validation(ValidationConfig(street, small, trained), ".").proxies.sample_ids)
    assert left
    assert not left & {r.sample_id for r in trained.open(".").records}
    with pytest.raises(DataError, match=r"all .* frames are left out by `without`"):
        open_validation(ValidationConfig(street, FrameSource(**dataclasses.asdict(trained)), trained), ".")


def test_roles_are_checked(world: WorldPaths) -> None:
    laf = {"name": "lost_and_found", "root": str(world.lost_and_found), "split": "test"}
    city = {"name": "cityscapes", "root": str(world.cityscapes), "split": "val"}
    with pytest.raises(UsageError, match="needs a data set with train ids"):
        open_labelled("fitting", FrameSource(**laf), ".")
    with pytest.raises(UsageError, match="needs one whose labels tell OoD pixels"):
        open_test_set("city", TestSet(**city), ".")
    with pytest.raises(UsageError, match="must be a proxy set"):
        open_validation(ValidationConfig(FrameSource(**city), FrameSource(**city)), ".")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": {}}, "at least one entry in `scores`"),
        ({"baseline": "befor"}, "did you mean 'before'"),
        ({"main": "after/entropie"}, "did you mean 'after/entropy'"),
        ({"num_draws": 0}, "`num_draws` must be at least 1"),
        ({"fitting": FrameSource("cityscapes", "x", num_frames=0)}, "`num_frames` of fitting"),
    ],
)
def test_bad_configurations(config: ComparisonConfig, change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(config, **change).check()  # type: ignore[arg-type]


def test_keys_name_folders(config: ComparisonConfig) -> None:
    models = {"be/fore": next(iter(config.models.values()))}
    with pytest.raises(UsageError, match="keys that can name a folder"):
        dataclasses.replace(config, models=models, baseline=None).check()
