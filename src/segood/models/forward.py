"""How a network is called for a prediction: memory format, precision, compiled or not.

Enters: a network and `Inference`. Leaves: a function that maps what the network takes to what it returns.
The network's module is never replaced or wrapped: its keys, its copies and its training stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from segood.errors import UsageError
from segood.models.inference import Inference

Call = Callable[[Tensor], Any]


class Forward:
    """Give calls of a network, and keep its compiled form from one prediction to the next.

    Copies start without it: a compiled form belongs to the weights it was compiled for.

    Example:
        >>> network = nn.Conv2d(3, 4, 1)
        >>> call = Forward().of(network, Inference(precision="bfloat16"))
        >>> with torch.no_grad():
        ...     call(torch.zeros(1, 3, 5, 7)).dtype
        torch.bfloat16
    """

    def __init__(self) -> None:
        self._compiled: tuple[nn.Module, Call] | None = None

    def __reduce__(self) -> tuple[type[Forward], tuple[()]]:
        """Copy and pickle as a new one."""
        return Forward, ()

    def of(self, network: nn.Module, inference: Inference) -> Call:
        """Return a function that calls `network` as `inference` says.

        Raises:
            UsageError: when called, where `compile` is asked for and impossible here, or `precision` is
                not to be had on the device.
        """
        call: Call = network
        if inference.channels_last:
            _store_channels_last(network)
        if inference.compile:
            call = self._compiled_call(network)
        if not inference.channels_last and inference.precision == "float32":
            return call

        def with_options(images: Tensor) -> Any:
            if inference.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            if inference.precision == "float32":
                return call(images)
            with torch.autocast(images.device.type, torch.bfloat16):
                return call(images)

        return with_options

    def _compiled_call(self, network: nn.Module) -> Call:
        if self._compiled is None or self._compiled[0] is not network:
            # a function, not a module: one would register itself among the model's own
            self._compiled = (network, torch.compile(lambda images: network(images)))
        compiled = self._compiled[1]

        def call(images: Tensor) -> Any:
            try:
                return compiled(images)
            except Exception as error:
                network(images)  # a fault of the network's, not of compiling, is raised here
                reason = " ".join(str(error).split("\n")[0].split())
                raise UsageError(
                    f"`compile` is impossible for network {type(network).__name__} here: {reason[:200]}; "
                    "use compile=False"
                ) from error

        return call


def _store_channels_last(network: nn.Module) -> None:
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4 and not tensor.is_contiguous(memory_format=torch.channels_last):
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
