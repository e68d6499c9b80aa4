"""Joint image and target augmentation for training: scale, random crop, flip, brightness.

In: a `Sample` (uint8 image, uint8 target) and a seed. Out: a uint8 image tensor (3,h,w) and an
int64 target tensor (h,w), both of the crop's size. Geometry runs through
`torchvision.transforms.v2` on `tv_tensors`, so image and target always move together.

Source: the recipe of the paper (random horizontal flip, random 480x480 crops; images smaller than
the crop are scaled up until it fits).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as functional

from segood.checks import check_unit_interval
from segood.data.sample import Sample
from segood.errors import UsageError


@dataclass(frozen=True)
class TrainTransform:
    """Cut one random training crop out of a sample.

    The sample is scaled by a factor drawn uniformly from `scale_range`, raised where needed so
    that the crop fits, and the crop's position is uniform. Only the region that the crop shows is
    resized, which equals scaling the whole frame and cropping up to the rounding of the region to
    whole pixels. The image is interpolated bilinearly (antialiased), the target by nearest
    neighbour, so no label value arises that was not there before.

    Args:
        crop_size: (height, width) of the result in pixels, each at least 1.
        scale_range: (lowest, highest) scale factor, both positive.
        flip: probability in [0, 1] of a horizontal flip.
        brightness: in [0, 1]; the image is multiplied by a factor uniform in
            [1 - brightness, 1 + brightness].

    Raises:
        UsageError: an argument is outside its range.

    Example:
        >>> sample = Sample(np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8), "a")
        >>> image, target = TrainTransform(crop_size=(8, 8))(sample, seed=0)
        >>> tuple(image.shape), image.dtype, tuple(target.shape), target.dtype
        ((3, 8, 8), torch.uint8, (8, 8), torch.int64)
    """

    crop_size: tuple[int, int] = (480, 480)
    scale_range: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.5
    brightness: float = 0.0

    def __post_init__(self) -> None:
        if len(self.crop_size) != 2 or min(self.crop_size) < 1:
            raise UsageError(
                f"`crop_size` must be (height, width), each at least 1; got {tuple(self.crop_size)}"
            )
        if len(self.scale_range) != 2 or not 0 < self.scale_range[0] <= self.scale_range[1] < float("inf"):
            raise UsageError(
                f"`scale_range` must be (lowest, highest), both positive; got {tuple(self.scale_range)}"
            )
        check_unit_interval("flip", self.flip)
        check_unit_interval("brightness", self.brightness)

    def __call__(self, sample: Sample, seed: int) -> tuple[UInt8[Tensor, "3 h w"], Int64[Tensor, "h w"]]:
        """Draw one crop.

        Args:
            sample: image uint8 (H,W,3) and target uint8 (H,W), of any size; not changed.
            seed: the only source of randomness, at least 0; the global generators stay as they are.

        Returns:
            `(image, target)`: uint8 (3,h,w) and int64 (h,w) with (h,w) = `crop_size`.

        Raises:
            UsageError: the sample has no target, or one of another size than the image.
        """
        height, width = _check_sample(sample)
        rng = np.random.default_rng(seed)
        # All draws are made every time and in this order, so that switching one option off
        # leaves the others' values as they were.
        scale = rng.uniform(*self.scale_range)
        vertical, horizontal, flip, light = rng.random(4)

        crop_height, crop_width = self.crop_size
        scale = max(scale, crop_height / height, crop_width / width)
        rows = min(height, max(1, round(crop_height / scale)))
        columns = min(width, max(1, round(crop_width / scale)))
        top = int(vertical * (height - rows + 1))
        left = int(horizontal * (width - columns + 1))

        image = tv_tensors.Image(_as_tensor(sample.image).permute(2, 0, 1))
        target = tv_tensors.Mask(_as_tensor(sample.target))
        image, target = (functional.crop(part, top, left, rows, columns) for part in (image, target))
        if (rows, columns) != (crop_height, crop_width):
            image = functional.resize(image, [crop_height, crop_width], antialias=True)
            # v2 resizes a Mask by "nearest", which samples at the pixels' corners and so drifts by
            # up to half a pixel against the bilinear image; "nearest-exact" samples at centres.
            target = functional.resize(
                target.as_subclass(Tensor)[None], [crop_height, crop_width], InterpolationMode.NEAREST_EXACT
            )[0]
            target = tv_tensors.Mask(target)
        if flip < self.flip:
            image, target = functional.horizontal_flip(image), functional.horizontal_flip(target)
        if self.brightness > 0:
            image = functional.adjust_brightness(image, 1 + self.brightness * (2 * light - 1))
        # clone(): neither result may share memory with the sample
        return (
            image.as_subclass(Tensor).clone(memory_format=torch.contiguous_format),
            target.as_subclass(Tensor).to(torch.int64),
        )


def _check_sample(sample: Sample) -> tuple[int, int]:
    height, width = sample.image.shape[:2]
    if sample.target is None:
        raise UsageError(f"sample {sample.sample_id} has no target; training needs labelled samples")
    if sample.target.shape != (height, width):
        raise UsageError(
            f"target of sample {sample.sample_id} must have shape (H,W)=({height},{width}) "
            f"to match its image; got {sample.target.shape}"
        )
    if min(height, width) < 1:
        raise UsageError(
            f"sample {sample.sample_id} holds no pixel; its image has shape {sample.image.shape}"
        )
    return height, width


def _as_tensor(array: np.ndarray | None) -> Tensor:
    # torch warns about read-only arrays (cached or memory-mapped samples) and refuses negative strides
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
