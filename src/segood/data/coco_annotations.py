"""Read a COCO instance annotation file into compact, checked records.

In: `annotations/instances_{split}2017.json`. Out: `CocoAnnotations`: images, categories and per
image its instances, every value checked once, so that nothing later meets a wrong type.

The official train file has 470 MB and 860,001 annotations; as Python objects it would take several
gigabytes. The annotations are therefore decoded one by one and packed into `array`s at once.

Source: the COCO data format, https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from segood.data.coco_json import JsonRuleError, decode_streaming
from segood.data.coco_masks import Polygons, RunLengths, decode_counts
from segood.errors import DataError, system_says

# the largest side that a JPEG file can state
MAX_SIDE = 65_535
MAX_COORDINATE = 1e15
"""Areas of polygons with larger coordinates would overflow."""

_Entry = TypeVar("_Entry", bound="tuple[Any, ...]")


class CocoImage(NamedTuple):
    """One entry of `images`; sizes in pixels."""

    id: int
    file_name: str
    height: int
    width: int
    license: int | None


class CocoInstance(NamedTuple):
    """One entry of `annotations`; `area` in pixels, `None` where the file gives none."""

    category_id: int
    is_crowd: bool
    area: float | None
    segmentation: Polygons | RunLengths


@dataclass(frozen=True)
class CocoAnnotations:
    """The content of one annotation file.

    Attributes:
        path: the file.
        images: in the file's order; ids and sample names are unique.
        categories: id -> name, in the file's order.
        instances: image id -> its instances, in the file's order; images without are left out.
        licenses: id -> name.
        num_annotations: entries in the file.
        num_orphans: annotations whose image has no entry in `images`.
        num_degenerate: polygons with fewer than three corners, which cover no pixel.
    """

    path: Path
    images: tuple[CocoImage, ...]
    categories: dict[int, str]
    instances: dict[int, list[CocoInstance]]
    licenses: dict[int, str]
    num_annotations: int
    num_orphans: int
    num_degenerate: int


def read_coco_annotations(path: str | Path) -> CocoAnnotations:
    """Read and check an annotation file.

    Args:
        path: a COCO instance annotation file (JSON).

    Returns:
        The checked content.

    Raises:
        DataError: the file cannot be read, is no JSON, or an entry lacks a key, has a wrong type,
            an impossible value or a reference to nothing; the line names file, entry and rule.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({system_says(error)})") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: cannot be read as UTF-8 text ({error}); restore the original file"
        ) from error
    builder = _InstanceBuilder()
    try:
        members = decode_streaming(text, "annotations", builder.add)
        _entries(members, "annotations")
        images = _read_all(members, "images", _read_image)
        categories = _read_all(members, "categories", _read_named)
        licenses = _read_all(members, "licenses", _read_named, required=False)
        _check_sample_names(images)
        known = {category for category, _ in categories}
        unknown = builder.category_ids - known
        if unknown:
            raise JsonRuleError(
                f"annotations name category_id {min(unknown)}, which is not among `categories`"
            )
    except JsonRuleError as error:
        raise DataError(f"{path}: {error}; correct the entry or restore the original file") from error
    except RecursionError as error:
        raise DataError(
            f"{path}: nested too deeply for COCO annotations; restore the original file"
        ) from error
    except ValueError as error:  # json.JSONDecodeError, and integers with thousands of digits
        raise DataError(f"{path}: no valid JSON ({error}); the file may be truncated, restore it") from error
    placed = {image.id: builder.instances[image.id] for image in images if image.id in builder.instances}
    return CocoAnnotations(
        path=path,
        images=tuple(images),
        categories=dict(categories),
        instances=placed,
        licenses=dict(licenses),
        num_annotations=builder.count,
        num_orphans=builder.count - sum(map(len, placed.values())),
        num_degenerate=builder.num_degenerate,
    )


class _InstanceBuilder:
    """Checks and packs annotations as they are decoded."""

    def __init__(self) -> None:
        self.count = 0
        self.num_degenerate = 0
        self.category_ids: set[int] = set()
        self.instances: dict[int, list[CocoInstance]] = {}

    def add(self, entry: Any) -> None:
        where = f"annotation {self.count}"
        if isinstance(entry, dict) and type(entry.get("id")) is int:
            where = f"annotation with id {entry['id']}"
        image_id = _integer(entry, "image_id", where)
        category_id = _integer(entry, "category_id", where)
        crowd = entry.get("iscrowd", 0)
        if crowd not in (0, 1):
            raise JsonRuleError(f"{where}: `iscrowd` must be 0 or 1; got {crowd!r:.40}")
        area = entry.get("area")
        if area is not None and not (_is_number(area) and 0 <= area <= sys.float_info.max):
            raise JsonRuleError(
                f"{where}: `area` must be a finite number of pixels, at least 0; got {area!r:.40}"
            )
        segmentation = entry.get("segmentation")
        if isinstance(segmentation, list):
            packed: Polygons | RunLengths = tuple(self._polygons(segmentation, where))
        elif isinstance(segmentation, dict):
            packed = _run_lengths(segmentation, where)
        else:
            raise JsonRuleError(f"{where}: `segmentation` must be a list of polygons or an RLE object")
        self.count += 1
        self.category_ids.add(category_id)
        self.instances.setdefault(image_id, []).append(
            CocoInstance(category_id, bool(crowd), None if area is None else float(area), packed)
        )

    def _polygons(self, polygons: list[Any], where: str) -> Iterator[array[float]]:
        for polygon in polygons:
            try:
                if not isinstance(polygon, list):
                    raise TypeError
                packed = array("d", polygon)
            except (TypeError, OverflowError):
                raise JsonRuleError(f"{where}: a polygon must be a list of numbers x, y, x, y, …") from None
            if len(packed) % 2:
                raise JsonRuleError(f"{where}: a polygon has {len(packed)} coordinates, an x without its y")
            if len(packed) and max(max(packed), -min(packed)) > MAX_COORDINATE:
                raise JsonRuleError(
                    f"{where}: a polygon has a coordinate that is not finite, or beyond {MAX_COORDINATE:g}"
                )
            if len(packed) < 6:
                self.num_degenerate += 1
            else:
                yield packed


def _run_lengths(segmentation: dict[str, Any], where: str) -> RunLengths:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not (isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)):
        raise JsonRuleError(f"{where}: RLE `size` must be [height, width]; got {size!r:.40}")
    try:
        if isinstance(counts, str):
            packed = decode_counts(counts)
        elif isinstance(counts, list):
            packed = array("q", counts)
        else:
            raise TypeError
    except (TypeError, ValueError, OverflowError):
        raise JsonRuleError(
            f"{where}: RLE `counts` must be a list of whole numbers or a COCO-compressed string"
        ) from None
    if (len(packed) and min(packed) < 0) or sum(packed) != size[0] * size[1]:
        raise JsonRuleError(
            f"{where}: RLE `counts` must be at least 0 and add up to height x width = {size[0]} x {size[1]}"
        )
    return RunLengths(size[0], size[1], packed)


def _entries(members: dict[str, Any], key: str, *, required: bool = True) -> list[Any]:
    value = members.get(key)
    if value is None and not required:
        return []
    if not isinstance(value, list):
        raise JsonRuleError(f"`{key}` must be a list" if key in members else f"`{key}` is missing")
    return value


def _read_all(
    members: dict[str, Any], key: str, read: Callable[[Any, str], _Entry], *, required: bool = True
) -> list[_Entry]:
    entries = [
        read(entry, f"{key}[{n}]") for n, entry in enumerate(_entries(members, key, required=required))
    ]
    seen: set[int] = set()
    for entry in entries:
        if entry[0] in seen:
            raise JsonRuleError(f"two entries of `{key}` share the id {entry[0]}")
        seen.add(entry[0])
    return entries


def _read_image(entry: Any, where: str) -> CocoImage:
    identity = _integer(entry, "id", where)
    where = f"image with id {identity}"
    name = entry.get("file_name")
    if not isinstance(name, str) or not name or "\\" in name or "\0" in name:
        raise JsonRuleError(f"{where}: `file_name` must be a name below the image folder; got {name!r:.80}")
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise JsonRuleError(f"{where}: `file_name` must stay below the image folder; got {name!r:.80}")
    height, width = _integer(entry, "height", where), _integer(entry, "width", where)
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise JsonRuleError(f"{where}: height and width must lie in 1..{MAX_SIDE}; got {height} x {width}")
    licence = entry.get("license")
    return CocoImage(identity, name, height, width, licence if type(licence) is int else None)


def _read_named(entry: Any, where: str) -> tuple[int, str]:
    identity = _integer(entry, "id", where)
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise JsonRuleError(f"{where}: `name` must be a text; got {name!r:.40}")
    return identity, name


def _integer(entry: Any, key: str, where: str) -> int:
    if not isinstance(entry, dict):
        raise JsonRuleError(f"{where} must be an object; got {entry!r:.40}")
    value = entry.get(key)
    if type(value) is not int:  # bool is an int to isinstance
        rule = f"must be a whole number; got {value!r:.40}" if key in entry else "is missing"
        raise JsonRuleError(f"{where}: `{key}` {rule}")
    return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _check_sample_names(images: list[CocoImage]) -> None:
    seen: dict[str, str] = {}
    for image in images:
        other = seen.setdefault(str(PurePosixPath(image.file_name).with_suffix("")), image.file_name)
        if other is not image.file_name:
            raise JsonRuleError(f"images {other} and {image.file_name} differ in nothing but their suffix")
