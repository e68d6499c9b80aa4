"""Which images a part of a run was made from, so that later parts can keep away from them.

In: an open data set. Out: one short hash per image file, of its bytes. Equal hashes are equal files wherever
they lie and whatever they are called; the same picture stored or resized anew has another one.
"""

from __future__ import annotations

from segood.data.dataset import SegmentationDataset
from segood.files import file_hash

HASH_DIGITS = 16
"""Of a SHA-256, in hexadecimal: two of a million images agree by chance once in ten million."""


def image_hashes(dataset: SegmentationDataset) -> list[str]:
    """Return the hash of every image file, in order of the records.

    Raises:
        DataError: a file cannot be read.
    """
    return [file_hash(record.image)[:HASH_DIGITS] for record in dataset.records]
