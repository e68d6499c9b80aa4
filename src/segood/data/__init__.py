"""Files on disk to `(image, target, sample_id)`: loaders, proxies, checks, preparation.

Everything but `TrainTransform` works without importing torch; names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.data.check import CheckReport as CheckReport
    from segood.data.check import DatasetFacts as DatasetFacts
    from segood.data.check import check_dataset as check_dataset
    from segood.data.coco import CocoProxies as CocoProxies
    from segood.data.coco import coco_facts as coco_facts
    from segood.data.coco import prepare_coco as prepare_coco
    from segood.data.config import DatasetConfig as DatasetConfig
    from segood.data.dataset import PairedDataset as PairedDataset
    from segood.data.dataset import SegmentationDataset as SegmentationDataset
    from segood.data.images import read_image as read_image
    from segood.data.images import read_labels as read_labels
    from segood.data.label_spaces import CAMVID11 as CAMVID11
    from segood.data.label_spaces import CITYSCAPES as CITYSCAPES
    from segood.data.label_spaces import LabelSpace as LabelSpace
    from segood.data.label_spaces import get_label_space as get_label_space
    from segood.data.paste import paste_objects as paste_objects
    from segood.data.prepare import prepare_cityscapes as prepare_cityscapes
    from segood.data.proxy_filter import ProxyFilterReport as ProxyFilterReport
    from segood.data.recognition import Recognized as Recognized
    from segood.data.recognition import recognize as recognize
    from segood.data.registry import DATASETS as DATASETS
    from segood.data.registry import open_dataset as open_dataset
    from segood.data.sample import Record as Record
    from segood.data.sample import Sample as Sample
    from segood.data.transforms import TrainTransform as TrainTransform

_HOMES = {
    "CAMVID11": "label_spaces",
    "CITYSCAPES": "label_spaces",
    "CheckReport": "check",
    "CocoProxies": "coco",
    "DATASETS": "registry",
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
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
