"""The sums over a segment's pixels that its 37 + 2q features are made of, in plain PyTorch.

In: labels (H,W), predicted classes, the logits or probs of the pixels in segments. Out: (K, 16 + 2q)
sums, computed on whatever device the frame lies. The reference of the compiled kernels, which fill the same
table; `features` makes features of it.
Source: Chan, Rottmann, Gottschalk, ICCV 2021, section 4, and the implementation published with it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float64, Int32
from torch import Tensor

from segood.scores.entropy import normalized_entropy
from segood.segments.features import NUM_FIXED

# Pixels held at a time, so that memory stays bounded when all of a frame is OoD.
_CHUNK = {"cpu": 2**15}
_CHUNK_OF_DEVICES = 2**19


def sum_segments(
    labels: Int32[np.ndarray, "h w"],
    count: int,
    classes: Tensor,
    pixels: Callable[[Tensor, Tensor], Tensor],
    num_classes: int,
    *,
    is_logits: bool,
) -> Float64[np.ndarray, "k s"]:
    """Sum over the pixels of every segment, where the frame lies; only labels and sums travel.

    Args:
        labels: (H,W) int32, 0 none, 1..K; all segments together are the OoD mask.
        count: K.
        classes: (H,W) predicted class of every pixel, on the device of the frame.
        pixels: logits or probs (C,n) of pixels given by row and column (n,) int64.
        num_classes: C.
        is_logits: what `pixels` returns.

    Returns:
        (K, 16 + 2C), columns as `features` lists them.
    """
    device = classes.device
    height, width = labels.shape
    where = np.flatnonzero(labels > 0)
    index = torch.from_numpy(where).to(device)
    segment = torch.from_numpy(labels.ravel()[where].astype(np.int64) - 1).to(device)
    # Outside the image there is no pixel: -1 there, 0 beside the mask.
    padded = torch.full((height + 2, width + 2), -1, dtype=torch.int32, device=device)
    padded[1:-1, 1:-1] = torch.from_numpy(labels).to(device)
    sums = torch.zeros(count, NUM_FIXED + 2 * num_classes, dtype=torch.float64, device=device)
    chunk = _CHUNK.get(device.type, _CHUNK_OF_DEVICES)
    for part in torch.arange(len(where), device=device).split(chunk):
        flat, of = index[part], segment[part]
        row, col = torch.div(flat, width, rounding_mode="floor"), flat % width
        around = [(row + down, col + right) for down in (0, 1, 2) for right in (0, 1, 2)]
        outside = torch.stack([padded[r, c] == 0 for r, c in around])
        at_rim = outside.any(0).double()
        here = pixels(row, col)
        probs = here.softmax(0) if is_logits else here
        entropy = normalized_entropy(logits=here) if is_logits else normalized_entropy(probs=here)
        first, second = probs.topk(2, dim=0).values
        dispersion = torch.stack([entropy, 1.0 - first + second, 1.0 - first]).double()
        moments = torch.stack([dispersion, dispersion**2], dim=1).flatten(0, 1)
        fixed = [torch.ones_like(at_rim), at_rim, row.double(), col.double()]
        columns = torch.cat([torch.stack(fixed), moments, moments * at_rim, probs.double()])
        sums[:, : len(columns)].index_add_(0, of, columns.T)
        for (r, c), beside in zip(around, outside, strict=True):
            met = classes[r[beside] - 1, c[beside] - 1].long()
            cell = of[beside] * sums.shape[1] + NUM_FIXED + num_classes + met
            sums.view(-1).index_add_(0, cell, torch.ones_like(cell, dtype=torch.float64))
    return sums.cpu().numpy()
