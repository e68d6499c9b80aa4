"""segood: make any semantic segmentation network say "I don't know this" at the right pixels.

The packages are the pipeline, in order: `data` -> `models` -> `scores` -> `segments` -> `meta` ->
`evaluation`, with `training`, `reporting` and `deployment` built on them. Nothing heavy is
imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood import data as data
    from segood import deployment as deployment
    from segood import evaluation as evaluation
    from segood import meta as meta
    from segood import models as models
    from segood import reporting as reporting
    from segood import scores as scores
    from segood import segments as segments
    from segood import training as training
    from segood.compiled import set_num_threads as set_num_threads
    from segood.deployment.detection import Detection as Detection
    from segood.deployment.monitor import Monitor as Monitor
    from segood.errors import SegoodError as SegoodError
    from segood.models.checkpoints import save_model as save_model
    from segood.models.registry import load_model as load_model
    from segood.types import IGNORE as IGNORE
    from segood.types import OOD as OOD

_HOMES = {
    "Detection": "deployment.detection",
    "IGNORE": "types",
    "Monitor": "deployment.monitor",
    "OOD": "types",
    "SegoodError": "errors",
    "data": "",
    "deployment": "",
    "evaluation": "",
    "load_model": "models.registry",
    "meta": "",
    "models": "",
    "reporting": "",
    "save_model": "models.checkpoints",
    "scores": "",
    "segments": "",
    "set_num_threads": "compiled",
    "training": "",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
