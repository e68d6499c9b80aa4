"""Score maps that others wrote, measured as ours are: the way back from the public benchmark.

In: a folder of score maps and a data set with labels. Out: `ComparisonResults`, one row per method found. A
method whose maps cannot be measured gets a row that says why; the others are measured all the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from segood.data.dataset import SegmentationDataset
from segood.errors import DataError, SegoodError, UsageError
from segood.evaluation.comparison.results import ComparedDataset, ComparisonResults, MethodInfo, Row
from segood.evaluation.describe import describe_dataset
from segood.evaluation.exchange_files import MapFolder, find_methods, read_map
from segood.evaluation.map_numbers import MapFrame, MapNumbers, measure_maps
from segood.evaluation.protocols import SegmentProtocol, default_protocol
from segood.evaluation.results import ModelInfo
from segood.progress import Progress, no_progress
from segood.runs import describe_environment
from segood.segments.components import label_components
from segood.types import OUT_OF_DISTRIBUTION

EXTERNAL = "external"


def evaluate_score_maps(
    directory: str | Path,
    dataset: SegmentationDataset,
    protocol: SegmentProtocol | None = None,
    *,
    bootstrap_draws: int = 1000,
    seed: int = 0,
    memory: int = 2**29,
    progress: Progress = no_progress,
) -> ComparisonResults:
    """Measure the score maps of all methods below a folder on one data set.

    Args:
        directory: `DIR/anomaly_p/METHOD/DATASET/FRAME.hdf5`, or a part of that (see `exchange_files`).
        dataset: OoD test set, every frame with labels; maps have the size of its labels.
        protocol: of the segment metrics; the data set's usual one if not given.
        bootstrap_draws, seed, memory: see `measure_maps`.
        progress: see `segood.progress.Progress`.

    Returns:
        One method and one row for each folder of maps, on the network `external`.

    Raises:
        UsageError: no such folder, a data set without OoD labels, no usual protocol for it.
        DataError: frames without label, no score map of this data set.
    """
    _check_dataset(dataset)
    protocol = protocol or default_protocol(dataset.name)
    sample_ids = [record.sample_id for record in dataset.records]
    found = find_methods(directory, dataset.name, sample_ids)
    with_ood, num_segments = _count_ood(dataset)
    tick = progress(f"{dataset.title}: score maps", len(found))
    methods, rows = [], []
    for name, files in found.items():
        key = f"{EXTERNAL}/{name}"
        methods.append(MethodInfo(key, name, EXTERNAL, name))
        empty = Row(key, dataset.name, num_ground_truth=num_segments)
        try:
            if isinstance(files, DataError):
                raise files
            numbers = measure_maps(
                _Maps(files, dataset), protocol, bootstrap_draws=bootstrap_draws, seed=seed, memory=memory
            )
            rows.append(row_of(empty, numbers, _notes(files)))
        except SegoodError as error:
            notes = _notes(files) if isinstance(files, MapFolder) else []
            rows.append(dataclasses.replace(empty, undefined=str(error), notes=notes))
        tick()
    environment = describe_environment()
    return ComparisonResults(
        name=Path(directory).resolve().name,
        created=environment["created"],
        command=environment["command"],
        seed=seed,
        segood_version=environment["packages"].get("segood", "unknown"),
        baseline=None,
        main=methods[0].key,
        networks=[ModelInfo(EXTERNAL, "score maps of others", "not known", [])],
        methods=methods,
        datasets=[_compared(dataset, protocol, with_ood)],
        rows=rows,
        config={"dataset": dataset.name, "protocol": dataclasses.asdict(protocol)},
        environment=environment,
        num_draws=bootstrap_draws,
    )


def row_of(empty: Row, numbers: MapNumbers, notes: list[str]) -> Row:
    """Return a row with the numbers of score maps filled in.

    Args:
        empty: method and data set.
        numbers: of `measure_maps`.
        notes: further ones, which go first.
    """
    known = {field.name for field in dataclasses.fields(Row)}
    values = {f.name: getattr(numbers, f.name) for f in dataclasses.fields(numbers) if f.name in known}
    return dataclasses.replace(empty, **{**values, "notes": [*notes, *numbers.notes]})


@dataclasses.dataclass(frozen=True)
class _Maps:
    """The frames of one method, read anew in each iteration."""

    files: MapFolder
    dataset: SegmentationDataset

    def __iter__(self) -> Iterator[MapFrame]:
        records = self.dataset.records
        self.files.check_complete([record.sample_id for record in records])
        for index, record in enumerate(records):
            target = self.dataset.target(index)
            assert target is not None, "checked before"
            yield MapFrame(read_map(self.files.paths[record.sample_id]), target, record.sample_id)


def _check_dataset(dataset: SegmentationDataset) -> None:
    if dataset.role != "ood":
        raise UsageError(
            f"{dataset.title} is of the kind {dataset.role}; score maps are measured on a data set whose "
            "labels tell OoD pixels"
        )
    missing = [record.sample_id for record in dataset.records if record.label is None]
    if missing:
        raise DataError(
            f"{dataset.title}: {len(missing)} of {len(dataset)} frames have no public label (first: "
            f"{missing[0]}); choose the split that has, such as --dataset.split val"
        )


def _notes(files: MapFolder) -> list[str]:
    if not files.extra:
        return []
    count = len(files.extra)
    what = "map belongs" if count == 1 else "maps belong"
    return [f"{count} further {what} to no frame of the data set (first: {files.extra[0].name})"]


def _count_ood(dataset: SegmentationDataset) -> tuple[int, int]:
    """Return the number of frames with OoD pixels, and of OoD segments in all."""
    counts = [
        label_components(np.asarray(dataset.target(index)) == OUT_OF_DISTRIBUTION)[1]
        for index in range(len(dataset))
    ]
    return sum(count > 0 for count in counts), sum(counts)


def _compared(
    dataset: SegmentationDataset, protocol: SegmentProtocol, num_images_with_ood: int
) -> ComparedDataset:
    return ComparedDataset(
        info=describe_dataset(dataset.name, dataset, num_images_with_ood),
        network_input="not known, score maps were given",
        region_of_interest="all labelled pixels (255 is ignored)",
        min_segment_size=protocol.min_segment_size,
        min_instance_size=protocol.min_instance_size,
    )
