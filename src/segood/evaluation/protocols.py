"""Under which sizes and threshold segments are matched, and what each benchmark prescribes.

In: the name of a data set. Out: `SegmentProtocol`.
Source: Chan et al., SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation, NeurIPS 2021 Datasets and
Benchmarks, section 4: smallest predicted segment and smallest instance of the two tracks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from segood.errors import UsageError
from segood.evaluation.smiyc_frames import check_sizes


@dataclass(frozen=True)
class SegmentProtocol:
    """How SegmentMeIfYouCan's segment metrics are measured.

    Attributes:
        min_segment_size: predicted segments with fewer pixels are dropped.
        min_instance_size: pixels of smaller ground-truth instances count for nothing.
        threshold: predicted is score > threshold; None picks the best pixel F1 on the same data.
        source: where the sizes come from, in words.

    Raises:
        UsageError: a negative size, or a threshold that is not finite.

    Example:
        >>> SegmentProtocol(50, 10, threshold=0.5).threshold
        0.5
    """

    min_segment_size: int
    min_instance_size: int
    threshold: float | None = None
    source: str = "given"

    def __post_init__(self) -> None:
        check_sizes(self.min_segment_size, self.min_instance_size)
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise UsageError(f"`threshold` must be a finite number; got {self.threshold}")


ANOMALY = SegmentProtocol(500, 100, source="anomaly track of SegmentMeIfYouCan")
OBSTACLE = SegmentProtocol(50, 10, source="obstacle track of SegmentMeIfYouCan")

PROTOCOLS = {
    "road_anomaly_21": ANOMALY,
    "road_anomaly": ANOMALY,
    "road_obstacle_21": OBSTACLE,
    "lost_and_found": OBSTACLE,
    "fishyscapes_static": OBSTACLE,
    "fishyscapes_lost_and_found": OBSTACLE,
}
"""By the registry's name of the data set. Small objects on the road go by the obstacle track's sizes."""


def default_protocol(dataset_name: str) -> SegmentProtocol:
    """Return the protocol that is usual for a data set, by its name in the registry.

    Args:
        dataset_name: for example `road_anomaly_21`.

    Raises:
        UsageError: no sizes are usual for it.

    Example:
        >>> default_protocol("road_obstacle_21")
        SegmentProtocol(min_segment_size=50, min_instance_size=10, threshold=None,
        source='obstacle track of SegmentMeIfYouCan')
    """
    if dataset_name not in PROTOCOLS:
        raise UsageError(
            f"no segment sizes are usual for data set {dataset_name!r}; "
            "give `min_segment_size` and `min_instance_size` (500 and 100, or 50 and 10 for small objects)"
        )
    return PROTOCOLS[dataset_name]
