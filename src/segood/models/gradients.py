"""The gradient of a network's logits with respect to the image, for scores that move the image.

Enters: a model, and the images of one forward. Leaves: the graph of that forward, and for an objective the
direction in which it rises.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models.adapter import SegmentationModel, evaluation_mode
from segood.models.tiling import NetworkLogits

Objective = Callable[[Tensor], Tensor]
Graph = tuple[Tensor, Tensor]
"""Images in [0,1], which are a leaf, and the logits that are made of them."""


def with_graph(
    model: SegmentationModel, network_logits: NetworkLogits, images: Float[Tensor, "n 3 i j"]
) -> Graph:
    """Compute logits so that their gradient can be had, whatever the caller's mode of gradients.

    Raises:
        UsageError: they do not depend on the images by anything that has a gradient.
    """
    with torch.inference_mode(False), torch.enable_grad(), _frozen(model.network):
        leaf = images.detach().clone().requires_grad_()
        logits = network_logits(leaf)
    if not logits.requires_grad:
        raise UsageError(
            f"{no_gradient(model)}; use a score that needs none, for example energy, or epsilon=0"
        )
    return leaf, logits


def ascent(
    model: SegmentationModel, objective: Objective, graph: Graph, *, keep: bool = False
) -> Float[Tensor, "n 3 i j"]:
    """Return the sign of the objective's gradient at the images: -1, 0 or 1 per value.

    Args:
        model: in the evaluation mode in which the graph was made; parts may be computed again.
        objective: maps logits to a number.
        graph: of `with_graph`.
        keep: the graph will be used again.

    Raises:
        UsageError: the objective does not depend on the images.
    """
    images, logits = graph
    # what checkpointing computes again must run as it did the first time
    with torch.inference_mode(False), torch.enable_grad(), evaluation_mode(model), _frozen(model.network):
        value = objective(logits)
        (gradient,) = torch.autograd.grad(value, images, retain_graph=keep, allow_unused=True)
    if gradient is None:
        raise UsageError(
            f"{no_gradient(model)}; use a score that needs none, for example energy, or epsilon=0"
        )
    return gradient.sign()


def no_gradient(model: SegmentationModel) -> str:
    """Return the beginning of a message."""
    return f"network {model.label} gives no gradient of its logits with respect to the image"


@contextlib.contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Ask for no gradients of parameters, which saves the memory of what they are computed from."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
