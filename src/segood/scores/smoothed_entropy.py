"""Normalised entropy, averaged over a neighbourhood: objects are larger than borders between classes.

In: logits (N,C,H,W). Out: score map (N,H,W) in [0,1].
Source: the entropy of Chan, Rottmann, Gottschalk (ICCV 2021); smoothing against doubt along borders as in
Jung et al. (ICCV 2021), there of another score and with dilated kernels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from segood.errors import UsageError
from segood.scores.entropy import Entropy


class SmoothedEntropy(Entropy):
    """The normalised entropy under a Gaussian window.

    A network doubts along every border between two classes, in lines a few pixels wide; unknown objects are
    blobs. An object that is much smaller than the window is lost with the borders.

    Args:
        sigma: standard deviation of the window, in pixels of the score map; it ends at three of them. Beyond
            the image its border values go on.

    Raises:
        UsageError: `sigma` is not above 0, or not finite.

    Reference:
        Chan, Rottmann, Gottschalk, ICCV 2021; Jung et al.: Standardized Max Logits, ICCV 2021, section 3.3.

    Example:
        >>> logits = torch.zeros(1, 19, 1, 9)
        >>> logits[:, 0, :, :4] = logits[:, 0, :, 5:] = 100  # one pixel of doubt
        >>> [round(value, 2) for value in SmoothedEntropy(sigma=1)(logits=logits)[0, 0, 2:7].tolist()]
        [0.05, 0.24, 0.4, 0.24, 0.05]
    """

    name: ClassVar[str] = "smoothed_entropy"
    title: ClassVar[str] = "Smoothed entropy"
    reference: ClassVar[str] = "Chan et al., ICCV 2021, smoothed as in Jung et al., ICCV 2021"
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {"sigma": (2, 4, 8)}

    def __init__(self, *, sigma: float = 4.0) -> None:
        if not (math.isfinite(sigma) and sigma > 0):
            raise UsageError(f"`sigma` must be a finite number of pixels above 0; got {sigma}")
        self.sigma = float(sigma)

    def finish(self, scores: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
        """Average entropies under the window."""
        return gaussian_mean(scores, self.sigma)


def gaussian_mean(maps: Tensor, sigma: float) -> Tensor:
    """Average under a Gaussian window.

    Args:
        maps: float (N,H,W).
        sigma: standard deviation of the window in pixels.

    Returns:
        (N,H,W); no value leaves the range of its map.
    """
    radius = math.ceil(3 * sigma)
    if maps.device.type == "cpu" and not maps.requires_grad:
        size, border = (2 * radius + 1, 2 * radius + 1), cv2.BORDER_REPLICATE
        frames = [cv2.GaussianBlur(frame, size, sigma, borderType=border) for frame in maps.numpy()]
        smooth = torch.from_numpy(np.stack(frames))
    else:  # not as a convolution, which a GPU may round to ten bits
        window = [math.exp(-0.5 * (place / sigma) ** 2) for place in range(-radius, radius + 1)]
        smooth = maps
        for dim, sides in ((1, (0, 0, radius, radius)), (2, (radius, radius, 0, 0))):
            padded, smooth = F.pad(smooth, sides, mode="replicate"), torch.zeros_like(maps)
            for place, weight in enumerate(window):
                smooth = smooth + weight / sum(window) * padded.narrow(dim, place, maps.shape[dim])
    return smooth.clamp(maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True))
