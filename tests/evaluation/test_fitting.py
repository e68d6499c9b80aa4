"""Labels and outputs must speak of the same classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from segood.data import CAMVID11, CITYSCAPES, LabelSpace, SegmentationDataset, open_dataset
from segood.errors import UsageError
from segood.evaluation.fitting import check_labels_fit
from segood.models import SegmentationModel


def network(names: tuple[str, ...] | None, count: int) -> SegmentationModel:
    return SegmentationModel(nn.Conv2d(3, count, 1), num_classes=count, class_names=names)


def labelled(root: Path, space: LabelSpace | None) -> SegmentationDataset:
    for folder in ("images", "labels"):
        (root / folder).mkdir(exist_ok=True)
        Image.fromarray(np.zeros((4, 6, 3) if folder == "images" else (4, 6), np.uint8)).save(
            root / folder / "0.png"
        )
    if space is None:
        return open_dataset("folder", root, mapping={0: 0}, role="ood")
    return open_dataset("folder", root, role="closed_set", label_space=space)


def test_same_classes_fit(tmp_path: Path) -> None:
    dataset = labelled(tmp_path, CITYSCAPES)
    check_labels_fit(dataset, network(CITYSCAPES.class_names, 19))
    check_labels_fit(dataset, network(None, 19))
    written_otherwise = tuple(n.title().replace(" ", "_") for n in CITYSCAPES.class_names)
    check_labels_fit(dataset, network(written_otherwise, 19))


def test_sets_without_classes_fit_every_network(tmp_path: Path) -> None:
    check_labels_fit(labelled(tmp_path, None), network(None, 3))


def test_other_classes_are_refused(tmp_path: Path) -> None:
    camvid = labelled(tmp_path, CAMVID11)
    with pytest.raises(UsageError, match=r"labels of 11 classes \(camvid\), the network Conv2d has 19"):
        check_labels_fit(camvid, network(CITYSCAPES.class_names, 19))
    with pytest.raises(UsageError, match=r"labels of 11 classes .* has 12"):
        check_labels_fit(camvid, network(None, 12))
    with pytest.raises(UsageError, match=r"train id 0 is 'sky' in its labels .* but 'road' in the network"):
        check_labels_fit(camvid, network(CITYSCAPES.class_names[:11], 11))
