"""What the service needs of a monitor; `segood.deployment.monitor.Monitor` is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from segood.deployment.detection import Detection

if TYPE_CHECKING:
    from segood.deployment.drift import EntropyReference
    from segood.segments.region import Region


class Detector(Protocol):
    """A monitor, as the service sees it."""

    threshold: float
    probability_threshold: float
    region: Region | None
    meta: Any
    reference: EntropyReference | None
    card: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What messages call the network."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the known classes, in the order of their train ids."""

    def detect_batch(
        self,
        images: Sequence[np.ndarray],
        *,
        threshold: float | None = None,
        probability_threshold: float | None = None,
    ) -> list[Detection]:
        """Return one detection per uint8 (H,W,3) RGB image, at other thresholds if given."""
