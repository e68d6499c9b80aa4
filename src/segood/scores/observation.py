"""What a score may ask of a network about one image.

In: nothing; this is a protocol, so that scores know no networks. Out: logits, features, logits with dropout,
logits of a perturbed image. `segood.models.observation.observe` gives it for a network and an image; any
object with these members will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from jaxtyping import Float
from torch import Tensor


class Observation(Protocol):
    """One image, seen by one network.

    Attributes:
        size: (rows, columns) of the score map.
        num_classes: C of the logits.
    """

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def num_classes(self) -> int: ...

    def logits(self) -> Float[Tensor, "c h w"]:
        """Return the logits at `size`; computed once and kept, not to be changed in place."""
        ...

    def features(self, layer: str | None = None) -> Float[Tensor, "d i j"]:
        """Return features at the network's own resolution, float32; they cover the whole image.

        Args:
            layer: name of a module of the network, for its output, or with `:input` appended for its
                input; None for the network's default, what its last classifying convolution takes.

        Raises:
            UsageError: no such module, the module gives no map, or there are none to be had here.
        """
        ...

    def dropout_logits(self, passes: int, seed: int) -> Iterator[Float[Tensor, "c h w"]]:
        """Yield the logits of `passes` forwards with dropout at work, the same for the same `seed`.

        Raises:
            UsageError: the network has no dropout.
        """
        ...

    def perturbed_logits(
        self, objective: Callable[[Float[Tensor, "n c i j"]], Tensor], epsilon: float
    ) -> Float[Tensor, "c h w"]:
        """Return the logits of the image moved by `epsilon` so that `objective` rises.

        Each value of the image x moves to x + ε·sign(∂ objective / ∂x).

        Args:
            objective: maps logits as the network gives them, at its own resolution, to a number. What is
                computed for objectives that compare equal is shared.
            epsilon: ε ≥ 0, for images in [0,1]; 1/255 is one step of an 8-bit image. 0 gives `logits`.

        Raises:
            UsageError: the network gives no gradient.
        """
        ...
