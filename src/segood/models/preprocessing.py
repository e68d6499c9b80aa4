"""What a network expects of its input; part of the model, and stored with its weights.

segood's images are RGB in [0,1]. In this order they become a network's input: resized to the working
size (if there is one), channels in the network's order, values in its range, minus mean, by std, padded
to a multiple of what the network can divide (if it has to). Enters: an image as uint8 (H,W,3). Leaves:
float32 (3,h,w) in [0,1] at the working size (`prepare`); all the rest happens within the model's forward,
so that training, scoring and export cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from segood.checks import check_choice
from segood.data.images import resize_image
from segood.errors import UsageError

ChannelOrder = Literal["rgb", "bgr"]
Three = tuple[float, float, float]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """Normalisation and working size of a network; the default is ImageNet's, at any size.

    Args:
        mean: per channel, in the network's channel order and value range, as the network's authors
            state it. ImageNet's where not given and the range is (0, 1); 0 in other ranges.
        std: per channel, positive, likewise; 1 in other ranges.
        working_size: (rows, columns) to which images are resized before the network; None keeps
            their size.
        channel_order: `rgb`, or `bgr` for networks with weights from Caffe or OpenCV pipelines.
        value_range: what black and white become before mean and std: (0, 1), (0, 255), (-1, 1).
        size_multiple: for networks that only take rows and columns divisible by this: the image is
            padded at its bottom and right with its last row and column, and the logits are cut again.

    Raises:
        UsageError: not three finite values per channel, `std` not positive, a size or multiple below 1,
            an unknown channel order, or a range that does not rise.

    Example:
        >>> Preprocessing(working_size=(512, 1024)).std
        (0.229, 0.224, 0.225)
        >>> Preprocessing(channel_order="bgr", value_range=(0, 255), mean=(104, 117, 123)).std
        (1.0, 1.0, 1.0)
    """

    mean: Three = None  # type: ignore[assignment]  # resolved below, so never None
    std: Three = None  # type: ignore[assignment]
    working_size: tuple[int, int] | None = None
    channel_order: ChannelOrder = "rgb"
    value_range: tuple[float, float] = (0.0, 1.0)
    size_multiple: int = 1

    def __post_init__(self) -> None:
        check_choice("channel_order", self.channel_order, ("rgb", "bgr"))
        value_range = _floats("value_range", self.value_range)
        if len(value_range) != 2 or not np.isfinite(value_range).all() or value_range[0] >= value_range[1]:
            raise UsageError(f"`value_range` must be (low, high), finite and rising; got {value_range}")
        object.__setattr__(self, "value_range", value_range)
        defaults = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
        if value_range != (0.0, 1.0):
            defaults = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
        for name, default in defaults.items():
            given = getattr(self, name)
            if given is None:
                given = default[::-1] if self.channel_order == "bgr" else default
            values = _floats(name, given)
            if len(values) != 3 or not np.isfinite(values).all():
                raise UsageError(f"`{name}` must hold 3 finite numbers, one per channel; got {values}")
            object.__setattr__(self, name, values)
        if min(self.std) <= 0:
            raise UsageError(f"`std` must be positive in every channel; got {self.std}")
        if self.working_size is not None:
            size = _whole_numbers("working_size", self.working_size)
            if len(size) != 2 or min(size) < 1:
                raise UsageError(f"`working_size` must be (rows, columns), at least 1 each; got {size}")
            object.__setattr__(self, "working_size", size)
        if type(self.size_multiple) is not int:
            raise UsageError(f"`size_multiple` must be a whole number; got {self.size_multiple!r:.80}")
        if self.size_multiple < 1:
            raise UsageError(f"`size_multiple` must be at least 1; got {self.size_multiple}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the inverse of `from_dict`."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Build from the result of `to_dict`, or from a part of it.

        Example:
            >>> Preprocessing.from_dict({"working_size": [512, 1024]}).working_size
            (512, 1024)
        """
        return cls(**_known(values))

    def changed(self, values: Mapping[str, Any]) -> Preprocessing:
        """Return a copy in which the given values differ; mean and std of another range or order are new.

        Example:
            >>> Preprocessing(mean=(0.5, 0.5, 0.5)).changed({"working_size": (64, 128)}).mean
            (0.5, 0.5, 0.5)
        """
        values = _known(values)
        if {"channel_order", "value_range"} & set(values):
            values = {"mean": None, "std": None, **values}
        return replace(self, **values)

    def unit_normalization(self) -> tuple[Three, Three]:
        """Return mean and std of the same normalisation for values in [0,1], in the network's channel order.

        Example:
            >>> Preprocessing(value_range=(-1, 1)).unit_normalization()
            ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
        """
        low, high = self.value_range
        scale = high - low
        mean = tuple((m - low) / scale for m in self.mean)
        return mean, tuple(s / scale for s in self.std)  # type: ignore[return-value]

    def prepare(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "3 h w"]:
        """Resize `image` to the working size, if any, and scale it to [0,1]; not yet normalised.

        Resizing is Pillow's bilinear on uint8 (with antialiasing), as data sets do it.

        Args:
            image: uint8 (H,W,3), RGB.

        Returns:
            float32 (3,h,w) in [0,1], RGB, on the CPU.

        Raises:
            UsageError: `image` is no uint8 array of shape (H,W,3).

        Example:
            >>> Preprocessing(working_size=(2, 3)).prepare(np.full((4, 6, 3), 255, np.uint8)).shape
            torch.Size([3, 2, 3])
        """
        return to_unit_range(self.resize(image))

    def resize(self, image: UInt8[np.ndarray, "h w 3"], scale: float = 1.0) -> UInt8[np.ndarray, "i j 3"]:
        """Resize `image` to `scale` times the working size, or times its own size; see `prepare`.

        Example:
            >>> Preprocessing().resize(np.zeros((4, 6, 3), np.uint8), scale=0.5).shape
            (2, 3, 3)
        """
        check_image(image)
        return resize_image(image, self.resized((image.shape[0], image.shape[1]), scale))

    def resized(self, size: tuple[int, int], scale: float = 1.0) -> tuple[int, int]:
        """Return (rows, columns) that `resize` gives an image of `size`.

        Example:
            >>> Preprocessing(working_size=(512, 1024)).resized((1000, 1000), scale=0.5)
            (256, 512)
        """
        rows, columns = self.working_size or size
        return max(1, round(rows * scale)), max(1, round(columns * scale))


def check_image(image: np.ndarray) -> None:
    """Raise `UsageError` unless `image` is a uint8 array of shape (H,W,3) with at least one pixel."""
    shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__)
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or dtype != np.uint8:
        raise UsageError(f"`image` must be a uint8 array of shape (H,W,3), RGB; got shape {shape}, {dtype}")
    if image.size == 0:
        raise UsageError(f"`image` must have at least one pixel; got shape {shape}")


def to_unit_range(image: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "3 h w"]:
    """Scale pixels to [0,1], channels first, also in memory.

    Example:
        >>> to_unit_range(np.full((1, 1, 3), 255, np.uint8)).flatten()
        tensor([1., 1., 1.])
    """
    # the copy: a tensor must not share memory with a read-only or caller's array
    return torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32, order="C")).div_(255.0)


def pad_to_multiple(images: Float[Tensor, "n c h w"], multiple: int) -> Float[Tensor, "n c i j"]:
    """Repeat the last row and column until both sizes are multiples; the input itself where they are.

    Example:
        >>> pad_to_multiple(torch.zeros(1, 3, 65, 96), 32).shape
        torch.Size([1, 3, 96, 96])
    """
    rows, columns = -images.shape[-2] % multiple, -images.shape[-1] % multiple
    if not rows and not columns:
        return images
    return F.pad(images, (0, columns, 0, rows), mode="replicate")


def cut_padding(
    logits: Float[Tensor, "n c i j"], padded: tuple[int, int], size: tuple[int, int]
) -> Float[Tensor, "n c h w"]:
    """Cut from the logits of a padded image what belongs to the padding.

    Args:
        logits: at any resolution. Coarse ones are first resized to the padded image's size, because the
            edge of the image mostly lies within one of their cells.
        padded: rows and columns of the padded image.
        size: rows and columns of the image itself.

    Example:
        >>> cut_padding(torch.zeros(1, 2, 24, 24), (96, 96), (65, 96)).shape
        torch.Size([1, 2, 65, 96])
    """
    if padded == size:
        return logits
    if (logits.shape[-2], logits.shape[-1]) != padded:
        logits = F.interpolate(logits, size=padded, mode="bilinear", align_corners=False)
    return logits[..., : size[0], : size[1]]


def _floats(name: str, values: Any) -> tuple[float, ...]:
    try:
        return tuple(float(v) for v in values)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"`{name}` must hold numbers; got {values!r:.80}") from None


def _whole_numbers(name: str, values: Any) -> tuple[int, ...]:
    try:
        return tuple(int(v) for v in values)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"`{name}` must hold whole numbers; got {values!r:.80}") from None


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    names = [f.name for f in fields(Preprocessing)]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise UsageError(f"`preprocessing` knows {', '.join(names)}; got {', '.join(unknown)}")
    return dict(values)
