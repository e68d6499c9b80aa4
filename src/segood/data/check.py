"""`segood data check`: the facts of a data set on disk, and all its faults instead of the first one.

In: a root folder, perhaps a name and a split. Out: a `CheckReport` as text or plain data. Every image and
label is decoded once, in threads; the first fault stops a loader, but never this report.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from segood.data.check_coco import check_coco
from segood.data.check_frame import FrameFacts, scan_frame
from segood.data.check_report import CheckReport, DatasetFacts, LabelValue
from segood.data.dataset import PairedDataset, combine_hashes
from segood.data.images import sniff_format
from segood.data.index import LayoutIndex
from segood.data.recognition import recognize, recognize_below
from segood.data.registry import DATASETS, open_dataset
from segood.data.splits import check_root
from segood.errors import DataError, UsageError
from segood.progress import Progress

__all__ = ["CheckReport", "DatasetFacts", "LabelValue", "check_dataset"]


def check_dataset(
    root: str | Path,
    name: str | None = None,
    split: str | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> CheckReport:
    """List the facts and faults of the data set at `root`.

    Args:
        root: folder of the data set.
        name: registry name; recognised by the layout if left out.
        split: one split; all that are present if left out.
        progress: see `segood.progress.Progress`.
        **options: of the data set, as for `open_dataset`.

    Returns:
        one `DatasetFacts` per data set and split found.

    Raises:
        DataError: no such folder, layout not recognised, no frames at all.
        UsageError: unknown name, split or option.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for folder, mode in (("images", "RGB"), ("labels_masks", "L")):
        ...         (Path(root) / folder).mkdir()
        ...         Image.new(mode, (4, 2)).save(Path(root) / folder / "a.png")
        ...     facts = check_dataset(root).datasets[0]
        >>> facts.name, facts.num_images, facts.sizes, facts.frames_without_ood
        ('folder', 1, {'4x2': 1}, ('a',))
    """
    folder = check_root(name or "data", root, "a data set")
    facts = []
    for found_name, found_split in _find(folder, name, split):
        if found_name == "coco_proxies":
            facts.append(check_coco(folder, found_split))
        else:
            facts.append(_check_paired(folder, found_name, found_split, progress, options))
    return CheckReport(str(folder), tuple(facts))


def _find(root: Path, name: str | None, split: str | None) -> list[tuple[str, str | None]]:
    """Return the (name, split) pairs to check."""
    if name is not None:
        if name not in DATASETS or split is not None:
            return [(name, split)]  # a wrong name is reported by the registry
        splits = [] if name == "folder" else DATASETS[name].splits(root)
        return [(name, present) for present in splits] or [(name, None)]
    found = recognize(root)
    if not found:
        below = recognize_below(root)
        hint = (
            "; below it lie " + ", ".join(f"{path.name} ({seen.name})" for path, seen in below)
            if below
            else ""
        )
        raise DataError(
            f"{root}: layout not recognised{hint}; pass a data set's own folder, or its name "
            f"({', '.join(DATASETS)})"
        )
    if split is not None and split not in [seen.split for seen in found]:
        return [(found[0].name, split)]  # the loader names the splits present
    return [(seen.name, seen.split) for seen in found if split is None or seen.split == split]


def _check_paired(
    root: Path, name: str, split: str | None, progress: Progress | None, options: dict[str, Any]
) -> DatasetFacts:
    lenient: dict[str, Any] = {"strict": False} if name in DATASETS else {}
    dataset = open_dataset(name, root, split, **lenient, **options)
    if not isinstance(dataset, PairedDataset):
        raise UsageError(f"{name} gives no segood.data.PairedDataset, whose label files could be checked")
    tick = (lambda: None) if progress is None else progress(dataset.title, len(dataset))

    def scan(record: Any) -> FrameFacts:
        facts = scan_frame(dataset, record)
        tick()
        return facts

    with ThreadPoolExecutor() as pool:
        frames = list(pool.map(scan, dataset.records))
    return _summarise(dataset, frames)


def _summarise(dataset: PairedDataset, frames: list[FrameFacts]) -> DatasetFacts:
    labelled = [frame for frame in frames if frame.label_counts is not None]
    sizes: dict[str, int] = {}
    for frame in frames:
        if frame.size is not None:
            key = f"{frame.size[1]}x{frame.size[0]}"
            sizes[key] = sizes.get(key, 0) + 1
    judged = [frame for frame in labelled if frame.ood_areas is not None]
    is_ood = dataset.role == "ood" and bool(judged)
    areas = [area for frame in judged for area in frame.ood_areas or ()]
    hashes = [(frame.sample_id, *frame.fingerprint) for frame in frames if frame.fingerprint is not None]
    return DatasetFacts(
        name=dataset.name,
        title=dataset.title,
        role=dataset.role,
        root=str(dataset.root),
        split=dataset.split,
        variant=dataset.variant,
        protocol=dataset.protocol,
        num_images=len(frames),
        num_labels=sum(record.label is not None for record in dataset.records)
        + len(dataset.found.labels_without_image),
        sizes=dict(sorted(sizes.items(), key=lambda item: -item[1])),
        label_values=_label_values(dataset, labelled),
        num_ood_objects=len(areas) if is_ood else None,
        median_ood_object_area=float(np.median(areas)) if is_ood and areas else None,
        median_ood_pixels_per_frame=float(np.median([frame.ood_pixels for frame in judged]))
        if is_ood
        else None,
        frames_without_ood=tuple(frame.sample_id for frame in judged if not frame.ood_areas)
        if is_ood
        else (),
        frames_all_ignored=tuple(frame.sample_id for frame in labelled if frame.all_ignored),
        images_without_label=_relative(dataset, dataset.found.images_without_label),
        labels_without_image=_relative(dataset, dataset.found.labels_without_image),
        unlabeled_allowed=dataset.allow_unlabeled or not _has_labels(dataset.found),
        misnamed=tuple(
            f"{_relative(dataset, (path,))[0]} holds {sniff_format(path)}"
            for f in frames
            for path in f.misnamed
        ),
        problems=tuple(problem for frame in frames for problem in frame.problems),
        content_hash=combine_hashes(hashes) if len(hashes) == len(frames) else None,
    )


def _label_values(dataset: PairedDataset, frames: list[FrameFacts]) -> tuple[LabelValue, ...]:
    if not frames:
        return ()
    counts = np.sum([frame.label_counts for frame in frames if frame.label_counts is not None], axis=0)
    total = int(counts.sum())
    return tuple(
        LabelValue(
            int(value), int(counts[value]), float(counts[value] / total), _meaning(dataset, int(value))
        )
        for value in np.flatnonzero(counts)
    )


def _meaning(dataset: PairedDataset, value: int) -> str:
    """Return what a label value stands for; nothing where files of several encodings are mixed."""
    lookups = {id(look): look for r in dataset.records if r.label for look in [dataset.lookup_for(r.label)]}
    if len(lookups) != 1:
        return ""
    target = next(iter(lookups.values())).mapping.get(value)
    if target is None:
        return "unknown"
    if target == 255:
        return "ignored"
    if dataset.role == "ood":
        return {0: "in-distribution", 1: "OoD"}.get(target, "")
    names = dataset.label_space.class_names if dataset.label_space else ()
    return names[target] if target < len(names) else ""


def _has_labels(index: LayoutIndex) -> bool:
    return len(index.records) > len(index.images_without_label) or bool(index.labels_without_image)


def _relative(dataset: PairedDataset, paths: tuple[Path, ...]) -> tuple[str, ...]:
    return tuple(
        p.relative_to(dataset.root).as_posix() if p.is_relative_to(dataset.root) else str(p) for p in paths
    )
