"""The numbers of a score map in HDF5, which anybody may have written.

In: a file. Out: its array `value`, or one error. Chunks are unpacked here: HDF5's own filters trust the sizes
that a file states, and crash the process where these are wrong.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import h5py
import numpy as np

from segood.errors import DataError, one_line

MOST_PIXELS = 2**27
"""Of a score map that is read; more than any image that is."""


def read_value(path: str | Path, remedy: str) -> np.ndarray:
    """Return the (H,W) numbers `value` of an HDF5 file, of any real type.

    Args:
        path: the file; its array may be compressed with gzip and shuffled.
        remedy: what to do about a bad file, for the error.

    Raises:
        DataError: the file is missing, no HDF5, has no such array, or one that lies in another file.
    """
    try:
        with h5py.File(path, "r") as file:
            stored = file["value"]
            rule = _broken_rule(file, stored)
            if rule is None:
                return _unpacked(stored) if stored.chunks else np.asarray(stored[()])
    except Exception as error:  # h5py raises whatever the damaged byte leads to
        raise DataError(
            f"{path}: not a score map (HDF5 with an array `value`): {one_line(error)}; {remedy}"
        ) from error
    raise DataError(f"{path}: not a score map (HDF5 with an array `value`): {rule}; {remedy}")


def _broken_rule(file: h5py.File, stored: object) -> str | None:
    if not isinstance(file.get("value", getlink=True), h5py.HardLink) or not isinstance(stored, h5py.Dataset):
        return "`value` must be an array in the file itself"
    if stored.external or stored.is_virtual:  # what it shows would be read from any file of the reader's
        return "`value` must lie in the file itself"
    if stored.ndim != 2:
        return f"`value` must have shape (H,W); it has {stored.shape}"
    if stored.dtype.kind not in "fiu" or stored.id.get_type().get_size() != stored.dtype.itemsize:
        return f"`value` must hold numbers; it is {stored.dtype}"
    # chunks that were never written cost nothing
    if max(stored.size, math.prod(stored.chunks or (1,))) > MOST_PIXELS:
        return f"`value` must have at most {MOST_PIXELS} pixels; it is {stored.shape}"
    return None


def _unpacked(stored: h5py.Dataset) -> np.ndarray:
    created = stored.id.get_create_plist()
    filters = [created.get_filter(i)[0] for i in range(created.get_nfilters())]
    if set(filters) - {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE}:
        raise ValueError("it is packed by something else than gzip")
    rows, cols = stored.chunks
    bulk = rows * cols * stored.dtype.itemsize
    count = stored.id.get_num_chunks()
    if count != -(-stored.shape[0] // rows) * -(-stored.shape[1] // cols):
        raise ValueError("chunks are missing")
    found = np.zeros(stored.shape, stored.dtype)
    for index in range(count):
        place = stored.id.get_chunk_info(index)
        if place.size > bulk + bulk // 100 + 1024:  # gzip enlarges what it cannot shrink a little
            raise ValueError("a chunk is larger than it can be")
        skipped, content = stored.id.read_direct_chunk(place.chunk_offset)
        for position in reversed(range(len(filters))):
            if not skipped >> position & 1:
                content = _undone(filters[position], content, bulk, stored.dtype.itemsize)
        if len(content) != bulk:
            raise ValueError("a chunk has another size than it says")
        row, col = place.chunk_offset
        part = np.frombuffer(content, stored.dtype).reshape(rows, cols)
        inside = found[row : row + rows, col : col + cols]
        inside[...] = part[: inside.shape[0], : inside.shape[1]]
    return found


def _undone(kind: int, content: bytes, bulk: int, itemsize: int) -> bytes:
    if kind == h5py.h5z.FILTER_DEFLATE:
        return zlib.decompressobj().decompress(content, bulk + 1)
    if len(content) != bulk:
        raise ValueError("a chunk has another size than it says")
    return np.frombuffer(content, np.uint8).reshape(itemsize, -1).T.tobytes()
