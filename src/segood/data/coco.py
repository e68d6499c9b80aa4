"""COCO images as stand-ins for the unknown: `{split}2017/*.jpg` with instance annotations.

In: the root folder of COCO 2017. Out: proxy samples whose target holds `OOD` on every annotated
object, crowd regions included, and on the rest what `background` says.

Source: the paper, section 4 (COCO as OoD proxy); T.-Y. Lin et al., "Microsoft COCO", ECCV 2014.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segood.checks import check_choice
from segood.data.coco_annotations import CocoImage, read_coco_annotations
from segood.data.coco_layout import (
    check_images_exist,
    check_stated_size,
    locate_coco,
    missing_images,
    sample_name,
)
from segood.data.coco_masks import Polygons, RunLengths, object_mask
from segood.data.coco_preparation import prepare_coco
from segood.data.dataset import SegmentationDataset, combine_hashes, record_fingerprint
from segood.data.images import image_size, read_image, read_labels
from segood.data.index import image_files
from segood.data.proxy_cache import ProxyCache
from segood.data.proxy_filter import ProxyFilterReport, check_any_kept, check_min_side, filter_proxies
from segood.data.proxy_presets import resolve_excluded
from segood.data.sample import Record
from segood.errors import DataError
from segood.files import file_hash
from segood.types import IGNORE, OOD

__all__ = ["BACKGROUNDS", "CocoProxies", "coco_facts", "prepare_coco"]

BACKGROUNDS = {"ignore": IGNORE, "ood": OOD, "class0": 0}
"""Target of the pixels on no object: without loss (default), OoD too (the whole image), or class 0
(road), as the published code has it, for comparison."""


class CocoProxies(SegmentationDataset):
    """COCO images that pass the proxy filter, objects marked `OOD`.

    Args:
        root: folder that holds `annotations/` and `{split}2017/`.
        split: for example `train` (default) or `val`.
        excluded: categories no proxy may contain: a preset (`cityscapes`, `paper`, `disjoint`) or names.
        min_side: smallest height and width in pixels.
        background: target of the rest: `ignore` (255), `ood` (254) or `class0` (0).
        cache: folder that `prepare_coco` wrote; used where it belongs to this annotation file and
            filter (`cached` tells), which saves reading the annotations; else masks are drawn on the fly.
        resize: (H,W) to which images (bilinear) and targets (nearest) are brought.

    Attributes:
        filter_report: what was kept and dropped, see `ProxyFilterReport`.
        cached: whether masks come from `cache`.

    Raises:
        DataError: missing root, annotations or images, faulty annotations, or no image passes.
        UsageError: no such split, preset, category or background.

    Reference:
        Lin et al.: Microsoft COCO, ECCV 2014; as OoD proxies: Chan et al., ICCV 2021, section 4.

    Example:
        >>> import tempfile
        >>> from segood.data.synthetic import write_world
        >>> few = dict.fromkeys(("num_train", "num_val", "num_lost_and_found", "num_fishyscapes"), 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     world = write_world(folder, size=(128, 256), num_proxies=4, **few)
        ...     sample = CocoProxies(world.coco)[0]
        >>> np.unique(sample.target).tolist()  # objects OoD, the rest ignored
        [254, 255]
    """

    filter_report: ProxyFilterReport
    cached: bool

    def __init__(
        self,
        root: str | Path,
        split: str | None = "train",
        *,
        excluded: str | Sequence[str] = "cityscapes",
        min_side: int = 480,
        background: str = "ignore",
        cache: str | Path | None = None,
        resize: tuple[int, int] | None = None,
    ) -> None:
        check_choice("background", background, BACKGROUNDS)
        check_min_side(min_side)
        if isinstance(excluded, str):
            resolve_excluded(excluded)
        folder, split, annotation_file = locate_coco(root, split)
        self.annotation_file = annotation_file
        self.background = background
        self._cache: ProxyCache | None = None
        self._segmentations: dict[str, list[Polygons | RunLengths]] = {}
        prepared = None
        if cache is not None:
            # names of a list are checked against the annotations, or were so when they were prepared
            preset, names = resolve_excluded(excluded, known=() if isinstance(excluded, str) else excluded)
            annotations_hash = file_hash(annotation_file)
            self._cache = ProxyCache.locate(cache, split, annotations_hash, preset, names, min_side)
            prepared = self._cache.read_index()
        self.cached = prepared is not None
        if prepared is not None:
            images, self.filter_report = prepared
        else:
            annotations = read_coco_annotations(annotation_file)
            images, self.filter_report = filter_proxies(annotations, excluded, min_side)
            for image in images:
                instances = annotations.instances.get(image.id, [])
                self._segmentations[sample_name(split, image)] = [one.segmentation for one in instances]
        check_any_kept(self.filter_report, annotation_file)
        frames = folder / f"{split}2017"
        check_images_exist(frames, images)
        self._images = {sample_name(split, image): image for image in images}
        rest = {"ignore": "ignored", "ood": "OoD", "class0": "class 0"}[background]
        super().__init__(
            name="coco_proxies",
            title="COCO proxies",
            role="proxy",
            protocol=(
                f"objects OoD, background {rest}; excluded: {self.filter_report.preset}; "
                f"both sides at least {min_side} px"
            ),
            root=folder,
            split=split,
            records=[Record(name, frames / image.file_name, None) for name, image in self._images.items()],
            resize=resize,
        )

    def load(self, record: Record) -> tuple[np.ndarray, np.ndarray]:
        """Read a record and mark its objects.

        Args:
            record: one of `records`.

        Returns:
            Image uint8 (H,W,3), RGB, and target uint8 (H,W): `OOD` on objects, else the background's value.

        Raises:
            DataError: an unreadable image or mask, or one of another size than the annotations state.
        """
        image = read_image(record.image)
        check_stated_size(record.image, image.shape[:2], self._images[record.sample_id])
        mask = self._object_mask(record, *image.shape[:2])
        return image, np.where(mask, np.uint8(OOD), np.uint8(BACKGROUNDS[self.background]))

    def _object_mask(self, record: Record, height: int, width: int) -> np.ndarray:
        if not self.cached or self._cache is None:
            segmentations = self._segmentations[record.sample_id]
            return object_mask(
                segmentations, height, width, name=f"{self.annotation_file}: {record.image.name}"
            )
        path = self._cache.mask_path(self._images[record.sample_id].file_name)
        mask = read_labels(path)
        if mask.shape != (height, width) or not np.isin(mask, (0, OOD)).all():
            raise DataError(
                f"{path}: is no mask of {record.image}; delete the cache folder and prepare again"
            )
        return mask == OOD

    def content_hash(self) -> str:
        """Hash what identifies frames and labels; a cache changes nothing.

        Returns:
            SHA-256, hexadecimal, over the annotation file, sample ids and sizes of the image files in bytes.

        Raises:
            DataError: a file is missing or unreadable.
        """
        parts = [(record.sample_id, *record_fingerprint(record)) for record in self.records]
        return combine_hashes([("annotations", 0, file_hash(self.annotation_file)), *parts])


def coco_facts(root: str | Path, split: str | None = None) -> dict[str, Any]:
    """Collect the facts that `segood data check` prints for a COCO folder.

    Faults of single images are listed, not raised.

    Args:
        root: folder that holds `annotations/` and `{split}2017/`.
        split: for example `train`, which is the default where present.

    Returns:
        plain data: `split`, `annotation_file`, `images`, `annotations`, `crowd_regions`,
        `annotations_without_image_entry`, `degenerate_polygons`, `categories` (name -> objects, most
        first), `sizes` ("WxH" -> images, most first, as the annotations state), `images_missing_on_disk`,
        `images_not_in_json`, `unreadable_images` and `images_of_other_size` (lists of file names),
        `licenses` (name -> images, most first), `filter_report` (default preset, see
        `ProxyFilterReport.to_dict`).

    Raises:
        DataError: missing root, annotations or image folder, or faulty annotations.
        UsageError: no such split.

    Example:
        >>> import tempfile
        >>> from segood.data.synthetic import write_world
        >>> few = dict.fromkeys(("num_train", "num_val", "num_lost_and_found", "num_fishyscapes"), 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     world = write_world(folder, size=(128, 256), num_proxies=4, **few)
        ...     facts = coco_facts(world.coco)
        >>> facts["split"], facts["images"], facts["unreadable_images"]
        ('train', 4, [])
    """
    folder, split, annotation_file = locate_coco(root, split)
    annotations = read_coco_annotations(annotation_file)
    frames = folder / f"{split}2017"
    named = {image.file_name for image in annotations.images}
    missing = missing_images(frames, annotations.images)
    unreadable, other_size = _faulty_images(frames, annotations.images, set(missing))
    instances = [one for placed in annotations.instances.values() for one in placed]
    categories = Counter(annotations.categories[one.category_id] for one in instances)
    licenses = Counter(
        annotations.licenses.get(image.license, "unknown") if image.license is not None else "not stated"
        for image in annotations.images
    )
    return {
        "split": split,
        "annotation_file": str(annotation_file),
        "images": len(annotations.images),
        "annotations": annotations.num_annotations,
        "crowd_regions": sum(one.is_crowd for one in instances),
        "annotations_without_image_entry": annotations.num_orphans,
        "degenerate_polygons": annotations.num_degenerate,
        "categories": dict(categories.most_common()),
        "sizes": dict(Counter(f"{i.width}x{i.height}" for i in annotations.images).most_common()),
        "images_missing_on_disk": missing,
        "images_not_in_json": sorted(
            name
            for name in (f.relative_to(frames).as_posix() for f in image_files(frames, recursive=True))
            if name not in named
        ),
        "unreadable_images": unreadable,
        "images_of_other_size": other_size,
        "licenses": dict(licenses.most_common()),
        "filter_report": filter_proxies(annotations)[1].to_dict(),
    }


def _faulty_images(
    folder: Path, images: Iterable[CocoImage], missing: set[str]
) -> tuple[list[str], list[str]]:
    """Return the names of unreadable images and of those whose header states another size."""
    unreadable, other_size = [], []
    for image in images:
        if image.file_name in missing:
            continue
        try:
            size = image_size(folder / image.file_name)
        except DataError:
            unreadable.append(image.file_name)
        else:
            if size != (image.height, image.width):
                other_size.append(image.file_name)
    return unreadable, other_size
