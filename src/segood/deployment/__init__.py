"""Everything behind one call: the monitor, and the monitor over many images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.deployment.detection import Detection as Detection
    from segood.deployment.detection import NoVerdict as NoVerdict
    from segood.deployment.detection import UnknownObject as UnknownObject
    from segood.deployment.monitor import Monitor as Monitor
    from segood.deployment.predict import find_images as find_images
    from segood.deployment.predict import predict_images as predict_images

_HOMES = {
    "Detection": "detection",
    "Monitor": "monitor",
    "NoVerdict": "detection",
    "UnknownObject": "detection",
    "find_images": "predict",
    "predict_images": "predict",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
