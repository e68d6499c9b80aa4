"""Files on disk to `(image, target, sample_id)`: loaders, proxies, checks, preparation.

Everything but `TrainTransform` works without importing torch; names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segood.data.check import CheckReport, DatasetFacts, check_dataset
    from segood.data.coco import CocoProxies, coco_facts, prepare_coco
    from segood.data.config import DatasetConfig
    from segood.data.dataset import PairedDataset, SegmentationDataset
    from segood.data.images import read_image, read_labels
    from segood.data.label_spaces import CAMVID11, CITYSCAPES, LabelSpace, get_label_space
    from segood.data.paste import paste_objects
    from segood.data.prepare import prepare_cityscapes
    from segood.data.proxy_filter import ProxyFilterReport
    from segood.data.recognition import Recognized, recognize
    from segood.data.registry import DATASETS, open_dataset
    from segood.data.sample import Record, Sample
    from segood.data.transforms import TrainTransform

_MODULE_OF = {
    "CAMVID11": "label_spaces",
    "CITYSCAPES": "label_spaces",
    "DATASETS": "registry",
    "CheckReport": "check",
    "CocoProxies": "coco",
    "DatasetConfig": "config",
    "DatasetFacts": "check",
    "LabelSpace": "label_spaces",
    "PairedDataset": "dataset",
    "ProxyFilterReport": "proxy_filter",
    "Recognized": "recognition",
    "Record": "sample",
    "Sample": "sample",
    "SegmentationDataset": "dataset",
    "TrainTransform": "transforms",
    "check_dataset": "check",
    "coco_facts": "coco",
    "get_label_space": "label_spaces",
    "open_dataset": "registry",
    "paste_objects": "paste",
    "prepare_cityscapes": "prepare",
    "prepare_coco": "coco",
    "read_image": "images",
    "read_labels": "images",
    "recognize": "recognition",
}

__all__ = [
    "CAMVID11",
    "CITYSCAPES",
    "DATASETS",
    "CheckReport",
    "CocoProxies",
    "DatasetConfig",
    "DatasetFacts",
    "LabelSpace",
    "PairedDataset",
    "ProxyFilterReport",
    "Recognized",
    "Record",
    "Sample",
    "SegmentationDataset",
    "TrainTransform",
    "check_dataset",
    "coco_facts",
    "get_label_space",
    "open_dataset",
    "paste_objects",
    "prepare_cityscapes",
    "prepare_coco",
    "read_image",
    "read_labels",
    "recognize",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value  # the next access finds it directly
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
