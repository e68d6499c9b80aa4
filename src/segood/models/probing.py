"""One small forward pass through a network of the user's, before anything is done with it.

Enters: a network, or the model that wraps it. Leaves: the number of channels of its logits, or one
line that says what is wrong and what to declare.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segood.errors import SegoodError, UsageError, one_line
from segood.models.adapter import SegmentationModel, evaluation_mode, extract_logits
from segood.models.preprocessing import Preprocessing, pad_to_multiple

PROBE_SIZE = (65, 97)
"""Size of the probing image: odd, so that networks that only take multiples of 32 are found early."""


def probe_num_channels(network: nn.Module, preprocessing: Preprocessing | None = None) -> int:
    """Count the channels of a network's logits with one forward of a small grey image.

    Args:
        network: as for `SegmentationModel`; run in evaluation mode on the device of its parameters.
        preprocessing: its working size, if any, is the size of the image; 65×97 otherwise.

    Raises:
        UsageError: the forward fails, or its output is no (N,C,h,w) map; the message says what to declare.
    """
    multiple = preprocessing.size_multiple if preprocessing else 1
    image = pad_to_multiple(probe_image(network, preprocessing), multiple)
    with torch.no_grad(), evaluation_mode(network):
        try:
            output = network(image)
        except Exception as error:  # anything may happen in a network of the user's
            raise _failure(network, image, error, "pass num_classes, and ") from error
    logits = extract_logits(output)
    if logits.ndim != 4 or logits.shape[0] != 1 or logits.shape[1] < 2:
        raise UsageError(
            f"network {type(network).__name__} must give logits of shape (N,C,h,w) with C ≥ 2; "
            f"got {tuple(logits.shape)} for an image of shape {tuple(image.shape)}"
        )
    return logits.shape[1]


def check_forward(model: SegmentationModel) -> None:
    """Run one small image through the model as it is declared.

    Raises:
        UsageError: the forward fails, or its output is no map of as many classes as are declared.
    """
    image = probe_image(model.network, model.preprocessing)
    with torch.no_grad(), evaluation_mode(model):
        try:
            model.network_logits(image)
        except SegoodError:
            raise
        except Exception as error:
            raise _failure(model.network, image, error, "declare ") from error


def probe_image(network: nn.Module, preprocessing: Preprocessing | None) -> Tensor:
    """Return a black image (1,3,h,w) on the network's device, of its working size or of `PROBE_SIZE`."""
    parameter = next(network.parameters(), None)
    size = (preprocessing and preprocessing.working_size) or PROBE_SIZE
    return torch.zeros((1, 3, *size), device=None if parameter is None else parameter.device)


def _failure(network: nn.Module, image: Tensor, error: Exception, ask: str) -> UsageError:
    reason = one_line(error, 300)
    return UsageError(
        f"network {type(network).__name__} failed on a probing image of shape {tuple(image.shape)}: "
        f"{type(error).__name__}: {reason}; "
        f"{ask}preprocessing with a working_size it takes, or a size_multiple such as 32"
    )
