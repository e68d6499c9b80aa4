"""Score maps and segment tables from anybody: damaged HDF5 and Parquet, and sizes that nothing stands for."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet as parquet_files
from tests.hostile.fuzzing import FORMS, Attack, Case, survive
from tests.hostile.mutations import damaged, hostile_value

from segood.errors import DataError, SegoodError
from segood.evaluation.exchange_files import read_map
from segood.evaluation.score_maps import read_score_map, write_score_map
from segood.evaluation.segment_tables import read_table

SCORE = np.linspace(0, 1, 9 * 13).reshape(9, 13)


def read(path: Path) -> None:
    refusal = None
    for reader in (read_score_map, read_map):
        try:
            assert reader(path).ndim == 2
        except SegoodError as error:
            refusal = error
    if refusal is not None:
        raise refusal


def hdf5(folder: Path) -> Case:
    """Damage score maps of several layouts."""
    path = folder / "a.hdf5"
    good = []
    for kind, options in (
        (np.float16, {"compression": "gzip"}),
        (np.float32, {}),
        (">f8", {"chunks": (4, 4), "shuffle": True, "compression": "gzip"}),
        (np.float16, {"chunks": (9, 5), "fletcher32": True}),
        (np.int16, {}),
    ):
        with h5py.File(path, "w") as file:
            file.create_dataset("value", data=SCORE.astype(kind), **options)
            file.attrs["score"] = "entropy"
        good.append(path.read_bytes())
    write_score_map(path, SCORE, {"score": "entropy"})
    good.append(path.read_bytes())
    np.testing.assert_array_equal(read_map(path), SCORE.astype(np.float16))

    def case(draw: random.Random) -> None:
        path.write_bytes(damaged(draw, draw.choice(good), good))
        read(path)

    return case


def table(**columns: Any) -> pd.DataFrame:
    rows = {"model": "after", "dataset": "static", "sample_id": ["a", "a", "b"], "segment": [0, 1, 0]}
    numbers = {"entropy_mean": [0.5, 0.6, 0.7], "size": [3.0, 4.0, 5.0]}
    return pd.DataFrame(
        {
            **rows,
            **numbers,
            "is_false_positive": [True, False, True],
            "ground_truth": [[], [1], []],
            **columns,
        }
    )


def parquet(folder: Path) -> Case:
    """Damage segment tables."""
    path = folder / "a.parquet"
    good = []
    for options in ({}, {"compression": "gzip"}, {"compression": "none"}, {"index": True}):
        table().to_parquet(path, **options)
        good.append(path.read_bytes())

    def case(draw: random.Random) -> None:
        path.write_bytes(damaged(draw, draw.choice(good), good))
        read_table(path, "evaluate again")

    return case


def columns(folder: Path) -> Case:
    """Write whole tables whose columns hold something else."""
    path = folder / "a.parquet"
    names = list(table())

    def case(draw: random.Random) -> None:
        name = draw.choice((*names, "more"))
        value = hostile_value(draw)
        try:
            made = table(**{name: [value] * 3})
            made.drop(columns=[draw.choice(names)] if draw.random() < 0.2 else []).to_parquet(path)
        except Exception:  # no Parquet can hold this
            table().to_parquet(path)
        read_table(path, "evaluate again")

    return case


ATTACKS: dict[str, Attack] = {
    "score maps": hdf5,
    "segment tables": parquet,
    "columns of segment tables (slow)": columns,
}


def sparse(file: h5py.File) -> None:
    file.create_dataset("value", (10**6, 10**6), np.float16, chunks=(64, 64))


def linked(file: h5py.File) -> None:
    with h5py.File(f"{file.filename}.other", "w") as other:
        other["value"] = SCORE
    file["value"] = h5py.ExternalLink(f"{file.filename}.other", "value")


def external(file: h5py.File) -> None:
    file.create_dataset("value", (2, 2), np.float32, external=[("/etc/passwd", 0, 16)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((9, 13), np.float64)
    layout[:] = h5py.VirtualSource("/etc/passwd", "value", (9, 13))
    file.create_virtual_dataset("value", layout)


def checksummed(file: h5py.File) -> None:
    """Write what crashed HDF5 once the size of a chunk was set to 0."""
    file.create_dataset("value", data=SCORE, chunks=(4, 4), fletcher32=True)


MAPS_ONCE_FAILED: dict[str, tuple[Callable[[h5py.File], object], str]] = {
    "sparse": (sparse, "`value` must have at most"),  # MemoryError: 2 terabytes
    "linked": (linked, "must be an array in the file itself"),
    "external": (external, "must lie in the file itself"),
    "virtual": (virtual, "must lie in the file itself"),
    "checksummed": (checksummed, "packed by something else than gzip"),
    "group": (lambda file: file.create_group("value"), "must be an array in the file itself"),
    "text": (lambda file: file.create_dataset("value", data=[[b"a"]]), "must hold numbers"),
    "complex": (lambda file: file.create_dataset("value", data=[[1j]]), "must hold numbers"),
    "numbers": (
        lambda file: file.create_dataset("value", data=[1.0]),
        r"must have shape \(H,W\); it has \(1,\)",
    ),
    "nothing": (lambda file: file.create_dataset("value", dtype="f4", shape=None), "not a score map"),
}


@pytest.mark.parametrize("name", list(MAPS_ONCE_FAILED))
def test_maps_that_once_failed(name: str, tmp_path: Path) -> None:
    write, message = MAPS_ONCE_FAILED[name]
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        write(file)
    for reader in (read_map, read_score_map):
        with pytest.raises(DataError, match=rf"a\.hdf5: .*{message}"):
            reader(path)


def test_numbers_beyond_float32_are_infinite(tmp_path: Path) -> None:
    """RuntimeWarning: overflow encountered in cast."""
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["value"] = [[1e300, 1.0]]
    assert read_score_map(tmp_path / "a.hdf5").tolist() == [[np.inf, 1.0]]


TABLES_ONCE_FAILED: dict[str, tuple[pd.DataFrame, str]] = {
    # KeyError, TypeError and ValueError in whatever used the table
    "no label": (table().drop(columns="is_false_positive"), "the column is_false_positive is missing"),
    "label": (
        table(is_false_positive=["yes", "no", "no"]),
        "the column is_false_positive must hold true or false",
    ),
    "unlabeled": (
        table(is_false_positive=[True, None, False]),
        "the column is_false_positive must hold true or false",
    ),
    "model": (table(model=7), "the column model must hold text"),
    "feature": (table(size="large"), "the column size must hold numbers"),
}


@pytest.mark.parametrize("name", list(TABLES_ONCE_FAILED))
def test_tables_that_once_failed(name: str, tmp_path: Path) -> None:
    made, message = TABLES_ONCE_FAILED[name]
    made.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=rf"a\.parquet: is no segment table: {message}; evaluate again"):
        read_table(tmp_path / "a.parquet", "evaluate again")


def test_a_table_of_more_rows_than_memory_holds(tmp_path: Path) -> None:
    """Equal values cost nothing in the file."""
    batch = pa.RecordBatch.from_arrays(
        [pa.DictionaryArray.from_arrays(pa.array(np.zeros(2**20, np.int32)), ["a"])], ["a"]
    )
    with parquet_files.ParquetWriter(tmp_path / "a.parquet", batch.schema) as writer:
        for _ in range(257):
            writer.write_batch(batch)
    assert (tmp_path / "a.parquet").stat().st_size < 2**20
    with pytest.raises(DataError, match=r"a\.parquet: is no segment table: it holds 269484032 values"):
        read_table(tmp_path / "a.parquet", "evaluate again")


@pytest.mark.parametrize("cases", FORMS)
def test_whatever_a_table_holds(cases: int, tmp_path: Path) -> None:
    survive("test_tables", cases, tmp_path, slower=5)
