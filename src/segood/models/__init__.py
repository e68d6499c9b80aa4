"""Networks: image (N,3,H,W) in [0,1] -> logits (N,q,H,W), whatever the network.

`load_model` gives a `SegmentationModel` from a name, a file, code or a module of the user's;
`save_model` writes weights and everything needed to build the network again. PyTorch is imported
with the first name taken from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from segood.lazy import attach

if TYPE_CHECKING:
    from segood.models.adapter import SegmentationModel as SegmentationModel
    from segood.models.checkpoints import load_state_dict_file as load_state_dict_file
    from segood.models.checkpoints import read_header as read_header
    from segood.models.checkpoints import save_model as save_model
    from segood.models.espnetv2 import ESPNetv2 as ESPNetv2
    from segood.models.header import model_header as model_header
    from segood.models.inference import Inference as Inference
    from segood.models.matching import LoadReport as LoadReport
    from segood.models.matching import load_weights as load_weights
    from segood.models.observation import NetworkObservation as NetworkObservation
    from segood.models.observation import observe as observe
    from segood.models.preprocessing import Preprocessing as Preprocessing
    from segood.models.registry import list_models as list_models
    from segood.models.registry import load_model as load_model

_HOMES = {
    "ESPNetv2": "espnetv2",
    "LoadReport": "matching",
    "Inference": "inference",
    "NetworkObservation": "observation",
    "Preprocessing": "preprocessing",
    "SegmentationModel": "adapter",
    "list_models": "registry",
    "load_model": "registry",
    "load_state_dict_file": "checkpoints",
    "load_weights": "matching",
    "model_header": "header",
    "observe": "observation",
    "read_header": "checkpoints",
    "save_model": "checkpoints",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = attach(__name__, _HOMES)
