"""What a network expects of its input; part of the model, and stored with its weights.

Every network gets RGB, scaled to [0,1], then normalised per channel. Enters: an image as uint8
(H,W,3). Leaves: float32 (3,h,w) in [0,1], at the working size if there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from segood.errors import UsageError


@dataclass(frozen=True)
class Preprocessing:
    """Normalisation and working size of a network; the default is ImageNet's, at any size.

    Args:
        mean: per channel (red, green, blue), of values in [0,1].
        std: per channel, positive.
        working_size: (rows, columns) to which images are resized before the network; None keeps
            their size.

    Raises:
        UsageError: not three finite values per channel, `std` not positive, or a size below 1.

    Example:
        >>> Preprocessing(working_size=(512, 1024)).std
        (0.229, 0.224, 0.225)
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    working_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            values = tuple(float(v) for v in getattr(self, name))
            if len(values) != 3 or not np.isfinite(values).all():
                raise UsageError(f"`{name}` must hold 3 finite numbers, one per channel; got {values}")
            object.__setattr__(self, name, values)
        if min(self.std) <= 0:
            raise UsageError(f"`std` must be positive in every channel; got {self.std}")
        if self.working_size is not None:
            size = tuple(int(v) for v in self.working_size)
            if len(size) != 2 or min(size) < 1:
                raise UsageError(f"`working_size` must be (rows, columns), at least 1 each; got {size}")
            object.__setattr__(self, "working_size", size)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the inverse of `from_dict`."""
        size = None if self.working_size is None else list(self.working_size)
        return {"mean": list(self.mean), "std": list(self.std), "working_size": size}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocessing:
        """Build from the result of `to_dict`, or from a part of it.

        Example:
            >>> Preprocessing.from_dict({"working_size": [512, 1024]}).working_size
            (512, 1024)
        """
        unknown = sorted(set(values) - {"mean", "std", "working_size"})
        if unknown:
            raise UsageError(f"`preprocessing` knows mean, std, working_size; got {', '.join(unknown)}")
        return cls(**values)

    def prepare(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "3 h w"]:
        """Resize `image` to the working size, if any, and scale it to [0,1]; not yet normalised.

        Resizing is Pillow's bilinear on uint8 (with antialiasing), as data sets do it.

        Args:
            image: uint8 (H,W,3), RGB.

        Returns:
            float32 (3,h,w) in [0,1], on the CPU.

        Raises:
            UsageError: `image` is no uint8 array of shape (H,W,3).

        Example:
            >>> Preprocessing(working_size=(2, 3)).prepare(np.full((4, 6, 3), 255, np.uint8)).shape
            torch.Size([3, 2, 3])
        """
        shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__)
        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or dtype != np.uint8:
            raise UsageError(
                f"`image` must be a uint8 array of shape (H,W,3), RGB; got shape {shape}, {dtype}"
            )
        if image.size == 0:
            raise UsageError(f"`image` must have at least one pixel; got shape {shape}")
        if self.working_size is not None and image.shape[:2] != self.working_size:
            rows, columns = self.working_size
            resized = Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR)
            image = np.asarray(resized)
        # the copy: a tensor must not share memory with a read-only or caller's array
        return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32)).div_(255.0)
