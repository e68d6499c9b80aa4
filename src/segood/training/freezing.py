"""What of a network stays as it was: whole parts by name, or batch-norm statistics everywhere.

In: a network in training mode, `OptimizerConfig`. Out: the network; what is frozen neither learns nor counts.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Sequence

from torch import nn

from segood.errors import UsageError
from segood.training.config import OptimizerConfig


def freeze_parts(network: nn.Module, names: Sequence[str]) -> list[nn.Parameter]:
    """Take the weights of these parts out of the training.

    Args:
        network: its modules are called by their names in it, as in `dict(network.named_modules())`.
        names: of parts, such as `base_net` or `decoder.blocks.0`.

    Returns:
        The weights that would have learnt.

    Raises:
        UsageError: the network has no such part, or nothing is left that learns; nothing is frozen then.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 1))
        >>> len(freeze_parts(network, ["0"]))
        2
        >>> [weight.requires_grad for weight in network.parameters()]
        [False, False, True, True]
    """
    parts = dict(network.named_modules(remove_duplicate=False))
    for name in names:
        if not name or name not in parts:
            alike = difflib.get_close_matches(name, filter(None, parts), n=1)
            largest = ", ".join(child for child, _ in network.named_children())
            raise UsageError(
                f"optimizer.frozen names {name!r}, which the network does not have"
                + (f"; did you mean {alike[0]!r}?" if alike else f"; its parts: {largest}")
            )
    frozen = {id(weight) for name in names for weight in parts[name].parameters()}
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    if names and all(id(weight) in frozen for weight in learning):
        raise UsageError("optimizer.frozen leaves no part of the network that learns; name fewer")
    stopped = [weight for weight in learning if id(weight) in frozen]
    for weight in stopped:
        weight.requires_grad_(False)
    return stopped


@contextlib.contextmanager
def frozen_parts(network: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """Keep these parts out of the training while the context lasts, see `freeze_parts`."""
    stopped = freeze_parts(network, names)
    try:
        yield
    finally:
        for weight in stopped:
            weight.requires_grad_(True)


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
