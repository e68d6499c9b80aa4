"""Features of a network: the output, or the input, of one of its modules, as a map over the image.

Enters: a network and names of its modules. Leaves: hooks that fetch what passes there during a forward, and
the module whose input is what the network classifies (its default layer).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models.adapter import SegmentationModel, evaluation_mode
from segood.models.probing import probe_image
from segood.models.zoo import NETWORKS

INPUT = ":input"
"""At the end of a module's name: its input, not its output."""


@contextlib.contextmanager
def fetched(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Fetch features by hooks, which are removed afterwards; of a module that runs twice, the later ones.

    Args:
        network: the network.
        layers: names of modules as in `named_modules` (the network itself is ""); with `:input` appended,
            their first input.

    Yields:
        By layer (N,D,h,w) float32, copies; filled by the forward within the context.

    Raises:
        UsageError: no such module, or, during the forward, something that is no map.
    """
    found: dict[str, Tensor] = {}
    modules = dict(network.named_modules())

    def keep(layer: str, value: Any) -> None:
        if not isinstance(value, Tensor) or value.ndim != 4 or not value.is_floating_point():
            is_tensor = isinstance(value, Tensor)
            given = f"{tuple(value.shape)}, {value.dtype}" if is_tensor else type(value).__name__
            raise UsageError(
                f"features must be a floating-point map (N,D,h,w); layer '{layer}' gives {given}; "
                "choose another layer"
            )
        # a copy: activations may be changed in place after
        found[layer] = value.detach().to(torch.float32, copy=True).contiguous()

    def hook(layer: str) -> Any:
        name = layer.removesuffix(INPUT)
        if name not in modules:
            near = [m for m in get_close_matches(name, modules, n=3, cutoff=0.4) if m]
            hint = f"; near are {', '.join(near)}" if near else ""
            raise UsageError(
                f"`layer` must name a module of network {type(network).__name__} "
                f"(see its named_modules()); got {layer!r}{hint}"
            )
        if name == layer:
            return modules[name].register_forward_hook(lambda module, args, output: keep(layer, output))
        return modules[name].register_forward_pre_hook(
            lambda module, args, kwargs: keep(layer, next(iter((*args, *kwargs.values())), None)),
            with_kwargs=True,
        )

    with contextlib.ExitStack() as stack:
        for layer in layers:
            stack.callback(hook(layer).remove)
        yield found
    for layer in layers:
        if layer not in found:
            raise UsageError(f"layer '{layer}' is not run in the network's forward; choose another layer")


def default_layer(model: SegmentationModel) -> str:
    """Return the layer of a model's features where none is asked for.

    That is the model's `feature_layer`, or that of the named network, or the input of the last 2-D
    convolution that the logits are made from and that gives as many channels as the network's logits have.
    Found by one small forward, and remembered.

    Raises:
        UsageError: there is no such convolution, as in networks that classify masks.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
        >>> default_layer(SegmentationModel(network, num_classes=4))
        '2:input'
    """
    entry = NETWORKS.get(model.name or "")
    if model.feature_layer is None:
        known = entry.feature_layer if entry else None
        model.feature_layer = known or _classifier(model) + INPUT
    return model.feature_layer


def _classifier(model: SegmentationModel) -> str:
    channels = model.num_classes + model.drop_channels
    ran: list[tuple[str, Tensor]] = []
    image = probe_image(model.network, model.preprocessing)
    with contextlib.ExitStack() as stack:
        for name, module in model.network.named_modules():
            if isinstance(module, nn.Conv2d) and module.out_channels == channels:
                handle = module.register_forward_hook(lambda m, x, y, name=name: ran.append((name, y)))
                stack.callback(handle.remove)
        stack.enter_context(evaluation_mode(model))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        logits = model.network_logits(image.clone().requires_grad_(model.gives_gradients))
    if not model.gives_masks:
        for name, output in reversed(ran):
            if not logits.requires_grad or _leads_to(output, logits):
                return name
    what = "it classifies masks" if model.gives_masks else f"none gives {channels} channels"
    raise UsageError(
        f"network {model.label} has no convolution that classifies pixels ({what}), so say where its "
        "features are taken: layer=NAME, a module of its named_modules() that gives a map (N,D,h,w)"
    )


def _leads_to(output: Tensor, logits: Tensor) -> bool:
    """Whether `logits` depend on `output`; auxiliary heads run, but nobody looks at them."""
    if not output.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(logits.sum(), output, retain_graph=True, allow_unused=True)
    return gradient is not None


def cut_feature_padding(
    features: Float[Tensor, "d i j"], padded: tuple[int, int], size: tuple[int, int]
) -> Float[Tensor, "d h w"]:
    """Cut from the features of a padded image what belongs to the padding.

    Where the image's edge lies within a cell, the image is covered by as many cells as touch it, a little
    smaller ones, interpolated (bilinear).

    Args:
        features: (D,i,j), over the padded image.
        padded: rows and columns of the padded image.
        size: rows and columns of the image, at its top left.

    Example:
        >>> cut_feature_padding(torch.zeros(2, 24, 24), (96, 96), (65, 96)).shape
        torch.Size([2, 17, 24])
    """
    for dim, whole, part in ((1, padded[0], size[0]), (2, padded[1], size[1])):
        cells = features.shape[dim]
        if whole == part:
            continue
        wanted = -(-cells * part // whole)
        step = torch.tensor(cells * part / (whole * wanted), dtype=torch.float64)
        position = ((torch.arange(wanted) + 0.5) * step - 0.5).clamp(0, cells - 1)
        low = position.long().clamp(max=max(cells - 2, 0))
        share = (position - low).to(features).view((-1, 1) if dim == 1 else (-1,))
        below = features.index_select(dim, low.to(features.device))
        above = features.index_select(dim, (low + 1).clamp(max=cells - 1).to(features.device))
        features = below.lerp(above, share)
    return features
