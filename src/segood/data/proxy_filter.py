"""Which COCO images may stand for the unknown: the proxy filter and its report.

In: checked COCO annotations, the excluded categories, the smallest side. Out: the images that
pass, and a `ProxyFilterReport`: how many were dropped for which reason, and how often each
category's pixels occur among the images that pass.

An image is dropped if any instance in it, crowd regions included, belongs to an excluded category,
since a network must not learn that its own classes are unknown; else if a side is too short.

Source: the paper, section 4 and figure 3.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segood.data.coco_annotations import CocoAnnotations, CocoImage
from segood.data.coco_masks import segmentation_area
from segood.data.proxy_presets import resolve_excluded
from segood.errors import DataError, UsageError

EXCLUDED_CLASS = "excluded class"
TOO_SMALL = "too small"


@dataclass(frozen=True)
class ProxyFilterReport:
    """What the proxy filter did.

    Attributes:
        preset: name of the preset, `custom` for an explicit list.
        excluded: excluded categories.
        absent: those of them that the annotation file does not define, so that they drop nothing.
        min_side: smallest height and width kept, in pixels.
        num_images: images in the annotation file.
        kept: images that pass.
        dropped: reason -> images dropped for it; the reasons are tried in this order.
        dropped_by_category: excluded category -> images that contain it, most first; an image with
            several of them counts for each.
        num_instances: annotated objects in the kept images, crowd regions included.
        num_crowd_regions: crowd regions in the kept images.
        num_without_objects: kept images without any annotation; all of it is background.
        object_pixels: annotated area in the kept images, in pixels; overlaps count twice.
        image_pixels: area of the kept images, in pixels.
        pixel_share: category -> share of `object_pixels`, largest first; sums to 1 (paper fig. 3).

    Example:
        >>> counts = {"num_images": 5, "kept": 3, "dropped": {TOO_SMALL: 2}, "dropped_by_category": {}}
        >>> pixels = {"object_pixels": 60.0, "image_pixels": 100, "pixel_share": {"dog": 1.0}}
        >>> objects = {"num_instances": 4, "num_crowd_regions": 0, "num_without_objects": 0}
        >>> report = ProxyFilterReport("custom", ("car",), (), 480, **counts, **objects, **pixels)
        >>> report.drops_to_text(), ProxyFilterReport.from_dict(report.to_dict()) == report
        ('2 too small', True)
    """

    preset: str
    excluded: tuple[str, ...]
    absent: tuple[str, ...]
    min_side: int
    num_images: int
    kept: int
    dropped: dict[str, int]
    dropped_by_category: dict[str, int]
    num_instances: int
    num_crowd_regions: int
    num_without_objects: int
    object_pixels: float
    image_pixels: int
    pixel_share: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data for JSON, in the order of the attributes."""
        return {**asdict(self), "excluded": list(self.excluded), "absent": list(self.absent)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ProxyFilterReport:
        """Return the report that `to_dict` gave as `values`."""
        return cls(**{**values, "excluded": tuple(values["excluded"]), "absent": tuple(values["absent"])})

    def drops_to_text(self) -> str:
        """Return the drops in one line, such as `234 excluded class (person 215), 107 too small`."""
        categories = ", ".join(f"{name} {count}" for name, count in self.dropped_by_category.items())
        parts = []
        for reason, count in self.dropped.items():
            parts.append(
                f"{count} {reason}" + (f" ({categories})" if reason == EXCLUDED_CLASS and categories else "")
            )
        return ", ".join(parts)

    def to_text(self, num_categories: int = 10) -> str:
        """Return the report as lines of text, with the `num_categories` most frequent categories."""
        lines = [
            f"proxy filter, preset {self.preset}, both sides at least {self.min_side} px",
            f"  images          {self.num_images}",
            f"  kept            {self.kept}",
            f"  dropped         {self.drops_to_text()}",
            f"  objects kept    {self.num_instances}, of which {self.num_crowd_regions} crowd regions",
            f"  object pixels   {self.object_pixels / max(1, self.image_pixels):.1%} of the kept images",
        ]
        if self.num_without_objects:
            lines.append(f"  without object  {self.num_without_objects} kept images")
        if self.absent:
            lines.append(f"  not in the file {', '.join(self.absent)}")
        shares = [f"{name} {share:.1%}" for name, share in list(self.pixel_share.items())[:num_categories]]
        if shares:
            lines.append(f"  most pixels     {', '.join(shares)}")
        return "\n".join(lines)


def check_min_side(min_side: int) -> None:
    """Raise `UsageError` unless `min_side` is a whole number of pixels, at least 1."""
    if isinstance(min_side, bool) or not isinstance(min_side, int) or min_side < 1:
        raise UsageError(f"`min_side` must be a whole number of pixels, at least 1; got {min_side!r}")


def check_any_kept(report: ProxyFilterReport, annotation_file: str | Path) -> None:
    """Raise `DataError` if no image passed; says how many were dropped for which reason."""
    if report.kept == 0:
        raise DataError(
            f"{annotation_file}: no image passes the proxy filter; of {report.num_images} images "
            f"were dropped: {report.drops_to_text()}; lower `min_side` (now {report.min_side}) or "
            "exclude fewer categories"
        )


def filter_key(excluded: Sequence[str], min_side: int) -> str:
    """Return 12 hexadecimal digits that stand for a filter, whatever the order of its categories."""
    return hashlib.sha256(json.dumps([sorted(set(excluded)), min_side]).encode()).hexdigest()[:12]


def filter_proxies(
    annotations: CocoAnnotations, excluded: str | Sequence[str] = "cityscapes", min_side: int = 480
) -> tuple[tuple[CocoImage, ...], ProxyFilterReport]:
    """Select the images that may serve as OoD proxies.

    Args:
        annotations: all images and instances.
        excluded: preset or category names, see `proxy_presets.resolve_excluded`.
        min_side: smallest height and smallest width, in pixels.

    Returns:
        `(kept, report)`: the images that pass, in the file's order (possibly none), and the report.

    Raises:
        UsageError: unknown preset or category, or `min_side` below 1.

    Reference:
        R. Chan, M. Rottmann, H. Gottschalk, ICCV 2021, section 4.
    """
    check_min_side(min_side)
    preset, names = resolve_excluded(excluded, annotations.categories.values())
    excluded_ids = {key for key, name in annotations.categories.items() if name in names}
    kept: list[CocoImage] = []
    dropped = {EXCLUDED_CLASS: 0, TOO_SMALL: 0}
    by_category: Counter[int] = Counter()
    for image in annotations.images:
        found = excluded_ids.intersection(i.category_id for i in annotations.instances.get(image.id, ()))
        by_category.update(found)
        if found:
            dropped[EXCLUDED_CLASS] += 1
        elif min(image.height, image.width) < min_side:
            dropped[TOO_SMALL] += 1
        else:
            kept.append(image)
    instances = [instance for image in kept for instance in annotations.instances.get(image.id, ())]
    shares, object_pixels = pixel_shares(annotations, kept)
    report = ProxyFilterReport(
        preset=preset,
        excluded=names,
        absent=tuple(name for name in names if name not in annotations.categories.values()),
        min_side=min_side,
        num_images=len(annotations.images),
        kept=len(kept),
        dropped=dropped,
        dropped_by_category=_descending({annotations.categories[key]: n for key, n in by_category.items()}),
        num_instances=len(instances),
        num_crowd_regions=sum(instance.is_crowd for instance in instances),
        num_without_objects=sum(image.id not in annotations.instances for image in kept),
        object_pixels=object_pixels,
        image_pixels=sum(image.height * image.width for image in kept),
        pixel_share=shares,
    )
    return tuple(kept), report


def pixel_shares(annotations: CocoAnnotations, images: Iterable[CocoImage]) -> tuple[dict[str, float], float]:
    """Return how the annotated pixels are spread over the categories: the data of the paper's figure 3.

    Args:
        annotations: all images and instances.
        images: those to count.

    Returns:
        `(shares, total)`: category -> share of the annotated area in [0, 1], largest first (equal
        ones by name), without categories that do not occur; the area in pixels by the file's `area`
        (by the segmentation where that is missing).
    """
    areas: Counter[str] = Counter()
    for image in images:
        for instance in annotations.instances.get(image.id, ()):
            area = segmentation_area(instance.segmentation) if instance.area is None else instance.area
            areas[annotations.categories[instance.category_id]] += area  # type: ignore[assignment]
    total = float(sum(areas.values()))
    shares = {name: area / total for name, area in areas.items() if area > 0}
    return _descending(shares), total


def _descending(values: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(values.items(), key=lambda item: (-item[1], item[0])))
