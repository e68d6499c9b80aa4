"""What of a network stays as it was: whole parts by name, or batch-norm statistics everywhere.

In: a network in training mode, `OptimizerConfig`. Out: the network; what is frozen neither learns nor counts.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from torch import nn

from segood.errors import UsageError
from segood.training.config import OptimizerConfig


def freeze_parts(network: nn.Module, names: Sequence[str]) -> None:
    """Take the weights of these parts out of the training.

    Args:
        network: its modules are called by their names in it, as in `dict(network.named_modules())`.
        names: of parts, such as `base_net` or `decoder.blocks.0`.

    Raises:
        UsageError: the network has no such part, or nothing is left that learns.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 1))
        >>> freeze_parts(network, ["0"])
        >>> [weight.requires_grad for weight in network.parameters()]
        [False, False, True, True]
    """
    parts = dict(network.named_modules())
    for name in names:
        if not name or name not in parts:
            alike = difflib.get_close_matches(name, parts, n=1)
            largest = ", ".join(child for child, _ in network.named_children())
            raise UsageError(
                f"optimizer.frozen names {name!r}, which the network does not have"
                + (f"; did you mean {alike[0]!r}?" if alike and alike[0] else f"; its parts: {largest}")
            )
        parts[name].requires_grad_(False)
    if names and not any(weight.requires_grad for weight in network.parameters()):
        raise UsageError("optimizer.frozen leaves no part of the network that learns; name fewer")


def hold_frozen(network: nn.Module, config: OptimizerConfig) -> None:
    """Put what is frozen into eval mode: no dropout in frozen parts, and statistics that stay.

    Args:
        network: in training mode; its weights were frozen by `freeze_parts`.
        config: `frozen` names parts; `freeze_batch_norm` means all batch norms, whose scale and shift learn.
    """
    for name in config.frozen:
        network.get_submodule(name).eval()
    if config.freeze_batch_norm:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
