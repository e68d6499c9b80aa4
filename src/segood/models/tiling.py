"""From views and tiles of one image to one map of logits, at the size that is wanted.

A view is the image at one scale, mirrored or not. Each of its tiles goes through the network, and its
logits are resized (bilinear) from the network's resolution straight to where they belong in the result, and
added there with weights that sum to one at every pixel. So nothing but the result grows with the image:
4·q·H·W bytes for the result, at most 3·h·w for the resized image (h, w its rows and columns), and the
network's own memory, with about four copies of the logits, for `tile_batch` tiles.

Source of the Gaussian weights: F. Isensee et al., nnU-Net, Nature Methods 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from segood.models.inference import Inference
from segood.models.preprocessing import Preprocessing, to_unit_range

NetworkLogits = Callable[[Float[Tensor, "n 3 i j"]], Float[Tensor, "n q k l"]]
"""Maps images in [0,1] to logits, at any resolution."""

DEVIATIONS_PER_TILE = 8
"""Standard deviations of the Gaussian weights that fit into a tile."""


@dataclass(frozen=True)
class Span:
    """The rows (or columns) of the result that a tile covers.

    Attributes:
        start, stop: half-open, in pixels of the result; empty where the result is much coarser.
        weight: (stop - start,) float32 in (0,1], the tile's share of each.
    """

    start: int
    stop: int
    weight: np.ndarray


@dataclass(frozen=True)
class Axis:
    """The rows (or columns) of a view, its tiles and the result.

    Attributes:
        length: pixels of the view.
        tile: pixels of a tile, at most `length`.
        starts: first pixel of each tile.
        wanted: pixels of the result.
        gaussian: weights fall towards the tile's border; else they are equal.
    """

    length: int
    tile: int
    starts: tuple[int, ...]
    wanted: int
    gaussian: bool = False

    @classmethod
    def of(cls, length: int, wanted: int, tile: int | None, overlap: float, gaussian: bool) -> Axis:
        """Lay tiles from the first pixel on; the last one ends at the last pixel.

        Example:
            >>> Axis.of(10, 10, 4, 0.25, False).starts
            (0, 3, 6)
            >>> Axis.of(9, 9, 4, 0.25, False).starts
            (0, 3, 5)
        """
        tile = length if tile is None else min(tile, length)
        step = max(1, round(tile * (1 - overlap)))
        starts = (*range(0, length - tile, step), length - tile)
        return cls(length, tile, starts, wanted, gaussian)

    def mirrored(self) -> Axis:
        """Return where the tiles lie when the view is mirrored back."""
        starts = tuple(self.length - self.tile - start for start in self.starts)
        return Axis(self.length, self.tile, starts, self.wanted, self.gaussian)

    def spans(self) -> list[Span]:
        """Return what each tile covers: pixels whose centre lies in it, its border included."""
        bounds, weights, total = [], [], np.zeros(self.wanted)
        for first in self.starts:
            # whole numbers: a centre on the border of two tiles belongs to both, whatever the rounding
            low = -((self.length - 2 * self.wanted * first) // (2 * self.length))
            high = (2 * self.wanted * (first + self.tile) - self.length) // (2 * self.length) + 1
            start, stop = max(low, 0), min(high, self.wanted)
            weight = np.ones(max(stop - start, 0))
            if self.gaussian:
                away = (self._centers(start, stop) - first) / self.tile - 0.5
                weight = np.exp(-0.5 * (DEVIATIONS_PER_TILE * away) ** 2)
            total[start:stop] += weight
            bounds.append((start, stop))
            weights.append(weight)
        return [
            Span(start, stop, (weight / total[start:stop]).astype(np.float32))
            for (start, stop), weight in zip(bounds, weights, strict=True)
        ]

    def sample(self, logits: Tensor, index: int, span: Span, dim: int) -> Tensor:
        """Interpolate a tile's logits along `dim` at the pixels of its span, as PyTorch's bilinear does."""
        cells = logits.shape[dim]
        if self.wanted == self.length and cells == self.tile:
            return logits
        position = (self._centers(span.start, span.stop) - self.starts[index]) * cells / self.tile - 0.5
        position = position.clip(0, cells - 1)
        low = np.minimum(position.astype(np.int64), max(cells - 2, 0))
        shape = (-1, 1) if dim == -2 else (-1,)
        share = torch.from_numpy((position - low).astype(np.float32)).to(logits).view(shape)
        below = torch.from_numpy(low).to(logits.device)
        above = (below + 1).clamp_(max=cells - 1)
        return logits.index_select(dim, below).lerp_(logits.index_select(dim, above), share)

    def _centers(self, start: int, stop: int) -> np.ndarray:
        """Centres of pixels of the result, in pixels of the view from its edge."""
        return (np.arange(start, stop) + 0.5) * (self.length / self.wanted)


def predict(
    network_logits: NetworkLogits,
    image: UInt8[np.ndarray, "h w 3"],
    size: tuple[int, int] | None = None,
    *,
    preprocessing: Preprocessing,
    inference: Inference,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "q h w"]:
    """Compute the logits of one image as `inference` says; call it without gradient.

    Args:
        network_logits: maps images in [0,1] on `device` to logits, at any resolution.
        image: uint8 (H,W,3), RGB.
        size: (rows, columns) of the result; those of `image` where not given.
        preprocessing: its working size is that of scale 1.
        inference: views, tiles, and how they are averaged.
        device: where the network is.

    Returns:
        Logits (q,rows,columns), on `device`; logarithms of mean probabilities where `average` is `probs`.

    Example:
        >>> two_classes = lambda images: images[:, :2]
        >>> options = Inference(tile_size=(4, 4), overlap=0.5, flip=True)
        >>> image = np.full((6, 9, 3), 51, np.uint8)
        >>> predict(two_classes, image, preprocessing=Preprocessing(), inference=options).shape
        torch.Size([2, 6, 9])
    """
    as_probs = inference.average == "probs"
    share = 1 / inference.num_views
    total: Tensor | None = None
    for scale, mirrored in inference.views:
        pixels = preprocessing.resize(image, scale)
        height, width = wanted = size or (image.shape[0], image.shape[1])
        tile = inference.tile_size or (None, None)
        rows, cols = (
            Axis.of(pixels.shape[i], wanted[i], tile[i], inference.overlap, inference.blend == "gaussian")
            for i in (0, 1)
        )
        if mirrored:
            pixels, cols = pixels[:, ::-1], cols.mirrored()
        row_spans, col_spans = rows.spans(), cols.spans()
        for index, logits in _tiles(network_logits, pixels, rows, cols, mirrored, inference, device):
            logits = logits.flip(-1) if mirrored else logits
            i, j = divmod(index, len(cols.starts))
            if len(rows.starts) == len(cols.starts) == 1:
                part = resize_logits(logits[None], wanted)[0]
                if share == 1:
                    return part.log_softmax(0) if as_probs else part
            else:
                part = rows.sample(logits, i, row_spans[i], -2)
                part = cols.sample(part, j, col_spans[j], -1)
            if total is None:
                total = part.new_zeros((part.shape[0], height, width))
            weight = np.outer(row_spans[i].weight, share * col_spans[j].weight)
            covered = total[:, row_spans[i].start : row_spans[i].stop, col_spans[j].start : col_spans[j].stop]
            covered.addcmul_(part.softmax(0) if as_probs else part, torch.from_numpy(weight).to(part))
    assert total is not None, "every view has a tile"
    return total.clamp_(min=torch.finfo(total.dtype).tiny).log_() if as_probs else total


def _tiles(
    network_logits: NetworkLogits,
    pixels: UInt8[np.ndarray, "h w 3"],
    rows: Axis,
    cols: Axis,
    mirrored: bool,
    inference: Inference,
    device: torch.device | str,
) -> Iterator[tuple[int, Tensor]]:
    """Yield index (row by row) and logits (q,k,l) of every tile, `tile_batch` per forward."""
    back = cols.mirrored() if mirrored else cols
    places = [(r, c) for r in rows.starts for c in back.starts]
    for first in range(0, len(places), inference.tile_batch):
        batch = places[first : first + inference.tile_batch]
        tiles = [to_unit_range(pixels[r : r + rows.tile, c : c + cols.tile]) for r, c in batch]
        logits = network_logits(torch.stack(tiles).to(device))
        yield from enumerate(logits, first)


def resize_logits(logits: Float[Tensor, "n q i j"], size: tuple[int, int]) -> Float[Tensor, "n q h w"]:
    """Resize logits (bilinear, align_corners=False) to (rows, columns); themselves where they have it."""
    if tuple(logits.shape[-2:]) == tuple(size):
        return logits
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
