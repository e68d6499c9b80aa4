"""Cityscapes label ids of everything that is painted, and their train ids.

The painters use the official label ids (0..33); `to_train_ids` gives what networks learn.
"""

from __future__ import annotations

import numpy as np

from segood.data.label_spaces import CITYSCAPES_LABEL_IDS_TO_TRAIN_IDS
from segood.types import IGNORE

EGO_VEHICLE = 1
STATIC = 4
ROAD = 7
SIDEWALK = 8
BUILDING = 11
WALL = 12
FENCE = 13
POLE = 17
TRAFFIC_LIGHT = 19
TRAFFIC_SIGN = 20
VEGETATION = 21
TERRAIN = 22
SKY = 23
PERSON = 24
RIDER = 25
CAR = 26
TRUCK = 27
BUS = 28
TRAIN = 31
MOTORCYCLE = 32
BICYCLE = 33

OBJECT_BASE = 100
"""Unknown objects are painted with label `OBJECT_BASE + id`, which no Cityscapes id reaches."""


def to_train_ids(label_ids: np.ndarray) -> np.ndarray:
    """Map label ids, uint8 (H,W), to train ids 0..18; everything else becomes 255.

    Example:
        >>> to_train_ids(np.array([[7, 26, 1]], dtype=np.uint8)).tolist()
        [[0, 13, 255]]
    """
    table = np.full(256, IGNORE, dtype=np.uint8)
    for label_id, train_id in CITYSCAPES_LABEL_IDS_TO_TRAIN_IDS.items():
        table[label_id] = train_id
    return table[label_ids]
