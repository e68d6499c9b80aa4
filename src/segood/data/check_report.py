"""The result of `check_dataset`: facts and faults, as frozen records, as text and as plain data.

In: what the scan counted. Out: `CheckReport.to_text()` for people, `.to_dict()` for machines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

_SHOWN = 10


@dataclass(frozen=True)
class LabelValue:
    """One label value on disk: how many pixels, which share of all pixels with label, and its meaning."""

    value: int
    pixels: int
    share: float
    meaning: str


@dataclass(frozen=True)
class DatasetFacts:
    """Facts and faults of one split of one data set.

    Attributes:
        name: registry name.
        title: name as people write it.
        role: `closed_set`, `ood` or `proxy`.
        root: its folder.
        split: its split, `None` where there is none.
        variant: which variant of the layout was found.
        protocol: how labels become targets.
        num_images: image files that are frames.
        num_labels: label files, with or without image.
        sizes: `WxH` -> images of that size, most frequent first.
        label_values: values in the label files.
        num_ood_objects: 8-connected OoD objects; `None` unless role `ood` with labels.
        median_ood_object_area: median of their areas in pixels; `None` without objects.
        median_ood_pixels_per_frame: median over all labelled frames of their OoD pixels.
        frames_without_ood: ids of labelled frames without OoD pixel.
        frames_all_ignored: ids of frames whose target is ignored everywhere.
        images_without_label: relative paths.
        labels_without_image: relative paths.
        unlabeled_allowed: images without label are no fault here.
        misnamed: files whose content is of another format than the suffix says; read all the same.
        problems: faults that make a loader fail, one line each.
        content_hash: see `SegmentationDataset.content_hash`; `None` where files are unreadable.
        coco: further facts of a COCO folder (see `coco_facts`), `None` for others; there, `num_labels`
            counts annotated objects and `labels_without_image` lists annotated images not on disk.
    """

    name: str
    title: str
    role: str
    root: str
    split: str | None
    variant: str
    protocol: str = ""
    num_images: int = 0
    num_labels: int = 0
    sizes: Mapping[str, int] | None = None
    label_values: tuple[LabelValue, ...] = ()
    num_ood_objects: int | None = None
    median_ood_object_area: float | None = None
    median_ood_pixels_per_frame: float | None = None
    frames_without_ood: tuple[str, ...] = ()
    frames_all_ignored: tuple[str, ...] = ()
    images_without_label: tuple[str, ...] = ()
    labels_without_image: tuple[str, ...] = ()
    unlabeled_allowed: bool = False
    misnamed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    content_hash: str | None = None
    coco: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether a loader can read all of it."""
        unpaired = bool(
            self.labels_without_image or (self.images_without_label and not self.unlabeled_allowed)
        )
        return not self.problems and not unpaired

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return {**asdict(self), "ok": self.ok}

    def to_text(self) -> str:
        """Return a block of aligned lines."""
        split = f", split {self.split}" if self.split else ""
        lines = [f"{self.title} ({self.name}{split})"]
        rows = list(self._rows())
        width = max(len(label) for label, _ in rows) + 2
        lines += [f"  {label:<{width}}{text}".rstrip() for label, text in rows]
        return "\n".join(lines)

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "root", self.root
        yield "layout", self.variant
        yield "protocol", self.protocol
        yield "images", f"{self.num_images:,}"
        yield "labels" if self.coco is None else "annotated objects", f"{self.num_labels:,}"
        sizes = [f"{size}: {count:,}" for size, count in (self.sizes or {}).items()]
        yield "sizes", _listed(sizes)
        for i, item in enumerate(self.label_values):
            yield (
                "label values" if i == 0 else "",
                f"{item.value:>3}  {_percent(item.share):>9}  {item.meaning}",
            )
        yield from _flatten(self.coco or {})
        if self.num_ood_objects is not None:
            area = self.median_ood_object_area
            median = "" if area is None else f", median area {_pixels(area)}"
            yield "OoD objects", f"{self.num_ood_objects:,} (8-connected){median}"
            yield "OoD per frame", f"median {_pixels(self.median_ood_pixels_per_frame or 0.0)}"
            yield "frames without OoD", _counted(self.frames_without_ood)
        if self.frames_all_ignored:
            yield "frames all ignored", _counted(self.frames_all_ignored)
        note = " (allowed here)" if self.unlabeled_allowed and self.images_without_label else ""
        yield "images without label", _counted(self.images_without_label) + note
        yield "labels without image", _counted(self.labels_without_image)
        yield "wrong suffix", _counted(self.misnamed)
        yield (
            "content hash",
            f"sha256 {self.content_hash}" if self.content_hash else "none, files are unreadable",
        )
        for i, problem in enumerate(self.problems[:_SHOWN]):
            yield f"problems ({len(self.problems)})" if i == 0 else "", problem
        if not self.problems:
            yield "problems", "none" if self.ok else "unpaired files, see above"


@dataclass(frozen=True)
class CheckReport:
    """All that was found at one root.

    Attributes:
        root: the folder.
        datasets: one `DatasetFacts` per data set and split.

    Example:
        >>> report = CheckReport("data", (DatasetFacts("kitti", "KITTI", "closed_set", "data", None, ""),))
        >>> report.ok, report.to_text().splitlines()[0]
        (True, 'KITTI (kitti)')
    """

    root: str
    datasets: tuple[DatasetFacts, ...]

    @property
    def ok(self) -> bool:
        """Whether loaders can read all of it."""
        return all(facts.ok for facts in self.datasets)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        return {"root": self.root, "ok": self.ok, "datasets": [facts.to_dict() for facts in self.datasets]}

    def to_text(self) -> str:
        """Return the facts as text, one block per data set and split."""
        return "\n\n".join(facts.to_text() for facts in self.datasets)


def _flatten(values: Mapping[str, Any], indent: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        label = indent + key.replace("_", " ")
        if isinstance(value, Mapping) and any(
            isinstance(item, Mapping | list | tuple) for item in value.values()
        ):
            yield label, ""
            yield from _flatten(value, indent + "  ")
        elif isinstance(value, Mapping):
            count = f"{len(value):,}; " if len(value) > _SHOWN else ""
            yield label, count + _listed([f"{name}: {_number(item)}" for name, item in value.items()])
        elif isinstance(value, list | tuple):
            yield label, _counted(tuple(str(item) for item in value))
        else:
            yield label, _number(value)


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _pixels(number: float) -> str:
    return f"{number:,.1f}".removesuffix(".0") + " px"


def _percent(share: float) -> str:
    return f"{100 * share:.3f} %"


def _counted(items: tuple[str, ...]) -> str:
    return "none" if not items else f"{len(items):,}: {_listed(list(items))}"


def _listed(items: list[str]) -> str:
    more = f", … {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return (", ".join(items[:_SHOWN]) + more) or "none"
