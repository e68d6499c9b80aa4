"""Everything behind one call: the monitor, the monitor on streams of frames, its bundle, its service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.deployment.detection import Detection as Detection
    from segood.deployment.detection import NoVerdict as NoVerdict
    from segood.deployment.detection import UnknownObject as UnknownObject
    from segood.deployment.frame_checks import FrameChecks as FrameChecks
    from segood.deployment.frame_record import frame_schema as frame_schema
    from segood.deployment.monitor import Monitor as Monitor
    from segood.deployment.predict import PredictOptions as PredictOptions
    from segood.deployment.predict import predict_frames as predict_frames
    from segood.deployment.sources import find_images as find_images
    from segood.deployment.sources import open_source as open_source
    from segood.deployment.streaming import FrameResult as FrameResult
    from segood.deployment.streaming import StreamSummary as StreamSummary
    from segood.deployment.streaming import stream as stream
    from segood.deployment.tracking import Tracker as Tracker

_HOMES = {
    "Detection": "detection",
    "FrameChecks": "frame_checks",
    "FrameResult": "streaming",
    "Monitor": "monitor",
    "NoVerdict": "detection",
    "PredictOptions": "predict",
    "StreamSummary": "streaming",
    "Tracker": "tracking",
    "UnknownObject": "detection",
    "find_images": "sources",
    "frame_schema": "frame_record",
    "open_source": "sources",
    "predict_frames": "predict",
    "stream": "streaming",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
