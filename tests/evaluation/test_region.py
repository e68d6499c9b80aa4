"""The region of interest in an evaluation: read from a configuration, cut from the targets, written down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segood import runs
from segood.data import SegmentationDataset, open_dataset
from segood.data.config import DatasetConfig
from segood.data.sample import Record
from segood.data.synthetic import WorldPaths
from segood.errors import DataError, UsageError
from segood.evaluation import RunResults
from segood.evaluation.config import EvaluationConfig, MetaConfig
from segood.evaluation.provenance import image_hashes
from segood.evaluation.region import check_region, cut_to_region, read_region
from segood.evaluation.run import evaluate_run, filter_run
from segood.evaluation.runner import measure_dataset
from segood.meta import MetaClassifier
from segood.models import SegmentationModel, load_model
from segood.models.config import ModelConfig
from segood.segments.region import Region
from segood.types import IGNORE

LOWER = {"polygon": [[0.5, 0], [0.5, 1], [1, 1], [1, 0]]}


class Masked(SegmentationDataset):
    """A data set whose labels ignore the upper half already."""

    def __init__(self, inner: SegmentationDataset) -> None:
        super().__init__(
            name=inner.name, title=inner.title, role=inner.role, protocol=inner.protocol, root=inner.root,
            split=inner.split, records=inner.records,
        )  # fmt: skip
        self._inner = inner

    def load(self, record: Record) -> tuple[np.ndarray, np.ndarray | None]:
        image, target = self._inner.load(record)
        assert target is not None
        target = target.copy()
        target[: len(target) // 2] = IGNORE
        return image, target


def test_a_polygon_counts_like_labels_that_ignore_the_rest(
    world: WorldPaths, model: SegmentationModel
) -> None:
    dataset = open_dataset("fishyscapes_static", world.fishyscapes)
    config = EvaluationConfig(threshold=0.9)
    cut = measure_dataset("s", dataset, {"a": model}, config, region=read_region(LOWER))
    masked = measure_dataset("s", Masked(dataset), {"a": model}, config)
    assert cut.pixel == masked.pixel
    assert cut.segment == masked.segment
    assert cut.segments.equals(masked.segments)
    assert cut.dataset.protocol == f"{dataset.protocol}; region: polygon of 4 corners, ignored outside"
    assert cut.pixel[0].num_in < measure_dataset("s", dataset, {"a": model}, config).pixel[0].num_in


def test_a_region_of_predicted_classes_is_every_networks_own(
    world: WorldPaths, model: SegmentationModel
) -> None:
    torch.manual_seed(3)
    networks = {"a": model, "b": load_model("unet", width=8)}
    dataset = open_dataset("fishyscapes_static", world.fishyscapes)
    region = Region(classes=(int(model.predict_logits(dataset[0].image).argmax(0)[-1, 0]),))
    measured = measure_dataset("s", dataset, networks, EvaluationConfig(threshold=0.9), region=region)
    for result in measured.pixel:
        num_in = num_ood = 0
        for image, target, _ in dataset:
            assert target is not None
            predicted = networks[result.model].predict_logits(image).argmax(0).numpy()
            own = cut_to_region(target, region, predicted)
            num_in, num_ood = num_in + (own == 0).sum(), num_ood + (own == 1).sum()
        assert (result.num_in, result.num_ood) == (num_in, num_ood)
    first, second = measured.pixel
    assert first.num_in != second.num_in


def test_meta_json_tells_region_and_images_and_keeps_them(
    world: WorldPaths, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    mask = np.zeros((128, 256), np.uint8)
    mask[40:] = 255
    Image.fromarray(mask).save(tmp_path / "road.png")
    config = EvaluationConfig(
        datasets={"static": DatasetConfig("fishyscapes_static", str(world.fishyscapes))},
        threshold=0.5,
        gallery_frames=1,
        explore=[],
        region={"mask": "road.png"},
    )
    run = tmp_path / "run"
    evaluate_run(
        run, config, models={"mine": ModelConfig(str(checkpoints["after"]))}, data_root=str(tmp_path)
    )
    dataset = open_dataset("fishyscapes_static", world.fishyscapes)
    for _ in range(2):
        known = MetaClassifier.load(run / runs.META).provenance
        assert known["region"] == Region.from_mask(mask > 0).to_dict()
        assert known["images"] == {"static": image_hashes(dataset)}
        filter_run(run, MetaConfig(probability_threshold=0.4))
    assert (
        RunResults.load(run / runs.METRICS).datasets[0].protocol.endswith("mask of 128×256, ignored outside")
    )
    assert runs.read_config(run, runs.EVALUATION)["region"] == {"mask": "road.png"}
    (run / runs.META).write_text("{}")
    filter_run(run, MetaConfig())
    assert "region" not in MetaClassifier.load(run / runs.META).provenance


def test_wrong_regions_are_named(tmp_path: Path) -> None:
    for given, message in (
        ({"polygon": [[0, 0], [1, 1]]}, "three corners|a region is"),
        ({"classes": []}, "must be train ids|a region is"),
        ({"circle": 3}, "a region is {polygon"),
        ("road", "`region` must be an object such as"),
    ):
        with pytest.raises(UsageError, match=message):
            EvaluationConfig(region=given).check()  # type: ignore[arg-type]
    check_region({"mask": "only looked for later.png"})
    with pytest.raises(DataError, match="no such file"):
        read_region({"mask": "missing.png"}, tmp_path)
    Image.new("L", (4, 4)).save(tmp_path / "empty.png")
    with pytest.raises(DataError, match="needs pixels above 0"):
        read_region({"mask": "empty.png"}, tmp_path)
    stored = Region.from_mask(np.eye(3, dtype=bool))
    assert read_region(stored.to_dict()) == stored
