"""Paste proxy objects into street scenes: training data that shows the unknown where it will occur.

In: a street sample with train ids, a proxy sample whose target marks objects as `OOD`, a generator.
Out: a new street sample in which some of the objects stand on the ground, their pixels `OOD`.

An object is one connected part of the proxy's `OOD` pixels. It is scaled by the row it stands on
(lower in the image = nearer = larger), matched in colour to its surroundings and blended at its
edge, so that a network cannot find it by its seams alone.

Source: anomaly segmentation by pasted outliers, e.g. Y. Tian et al., "Pixel-wise Energy-biased
Abstention Learning", ECCV 2022.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from segood.data.blending import feathered, match_colors, surroundings
from segood.data.paste_options import PasteOptions
from segood.data.sample import Sample
from segood.errors import UsageError
from segood.types import OOD

__all__ = ["PasteOptions", "paste_objects"]


class _Cutout(NamedTuple):
    """An object cut out of its proxy: image uint8 (h,w,3) and mask bool (h,w) of its bounding box."""

    image: np.ndarray
    mask: np.ndarray


class _Ground(NamedTuple):
    """Where objects may stand: bool (H,W), its pixels down to each row, and the row at which it begins."""

    mask: np.ndarray
    cumulative: np.ndarray
    first_row: int


def paste_objects(
    street: Sample,
    proxy: Sample,
    rng: np.random.Generator,
    *,
    options: PasteOptions | None = None,
) -> Sample:
    """Paste objects of a proxy into a street scene.

    Args:
        street: image uint8 (H,W,3), target uint8 (H,W) with train ids; not changed.
        proxy: image and target whose `OOD` pixels are the objects, of any size; not changed. With
            the proxy background `ood` the whole image counts as one object and is left out.
        rng: the only source of randomness.
        options: number, placing and blending, see `PasteOptions`.

    Returns:
        A sample with the street's id. Target: `OOD` where the object's opacity is above one half,
        else the street's. Where nothing can be pasted: `street` itself.

    Raises:
        UsageError: a sample has no target or one of another size.

    Example:
        >>> street = Sample(np.full((90, 90, 3), 99, np.uint8), np.zeros((90, 90), np.uint8), "street")
        >>> target = np.zeros((60, 60), np.uint8)
        >>> target[10:50, 20:50] = OOD
        >>> proxy = Sample(np.full((60, 60, 3), 200, np.uint8), target, "proxy")
        >>> pasted = paste_objects(street, proxy, np.random.default_rng(0))
        >>> bool((pasted.target == OOD).any()), bool((street.target == OOD).any())
        (True, False)
    """
    options = PasteOptions() if options is None else options
    street_target, proxy_target = _target_of(street, "street"), _target_of(proxy, "proxy")
    number = int(rng.integers(1, options.max_objects + 1))
    cutouts = _cut_out(proxy.image, proxy_target, number, rng, options)
    if not cutouts:
        return street
    ground = _find_ground(street_target, options)
    spots = [_choose_spot(ground, rng) for _ in cutouts]
    image, target = street.image.copy(), street_target.copy()
    # from far to near, so that nearer objects hide farther ones
    for (row, column), cutout in sorted(zip(spots, cutouts, strict=True), key=lambda pair: pair[0]):
        _composite(image, target, cutout, row, column, ground.first_row, rng, options)
    if np.array_equal(target, street_target):
        return street
    return Sample(image, target, street.sample_id)


def _target_of(sample: Sample, name: str) -> np.ndarray:
    if sample.target is None or sample.target.shape != sample.image.shape[:2]:
        shape = None if sample.target is None else sample.target.shape
        raise UsageError(
            f"`{name}` ({sample.sample_id}) must have a target of shape (H,W)={sample.image.shape[:2]}; "
            f"got {shape}"
        )
    return sample.target


def _cut_out(
    image: np.ndarray, target: np.ndarray, number: int, rng: np.random.Generator, options: PasteOptions
) -> list[_Cutout]:
    """Draw up to `number` objects, whole ones before those that the proxy's frame cuts off."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (target == OOD).astype(np.uint8), connectivity=8
    )
    height, width = target.shape
    whole: list[tuple[int, slice, slice]] = []
    cut: list[tuple[int, slice, slice]] = []
    for label in range(1, count):
        left, top, columns, rows, area = stats[label].tolist()
        if min(rows, columns) < options.min_size or area > options.max_share * height * width:
            continue
        inside = left > 0 and top > 0 and left + columns < width and top + rows < height
        (whole if inside else cut).append((label, slice(top, top + rows), slice(left, left + columns)))
    order = [*rng.permutation(len(whole)), *(len(whole) + rng.permutation(len(cut)))]
    chosen = [(whole + cut)[int(n)] for n in order[:number]]
    return [_Cutout(image[rows, columns], labels[rows, columns] == label) for label, rows, columns in chosen]


def _find_ground(target: np.ndarray, options: PasteOptions) -> _Ground:
    height = len(target)
    top = min(int(options.horizon * height), height - 1)
    is_ground = np.zeros(256, bool)
    is_ground[list(options.ground_ids)] = True
    mask = is_ground[target]
    mask[:top] = False
    if not mask.any():
        mask[top:] = True
    cumulative = np.cumsum(mask.sum(axis=1))
    # not the very first row: a stray pixel above the road would make all objects small
    return _Ground(mask, cumulative, int(np.searchsorted(cumulative, 0.02 * cumulative[-1], side="right")))


def _choose_spot(ground: _Ground, rng: np.random.Generator) -> tuple[int, int]:
    """Return the (row, column) on which an object stands, uniform over the ground's pixels."""
    number = int(rng.integers(ground.cumulative[-1]))
    row = int(np.searchsorted(ground.cumulative, number, side="right"))
    before = int(ground.cumulative[row - 1]) if row else 0
    return row, int(np.flatnonzero(ground.mask[row])[number - before])


def _composite(
    image: np.ndarray,
    target: np.ndarray,
    cutout: _Cutout,
    row: int,
    column: int,
    first_row: int,
    rng: np.random.Generator,
    options: PasteOptions,
) -> None:
    """Paste one object into `image` and `target`, its lowest pixels on (row, column)."""
    height, width = target.shape
    nearness = np.clip((row - first_row) / max(1.0, height - 1 - first_row), 0.0, 1.0)
    far, near = options.height_range
    jitter = rng.uniform(1 - options.height_jitter, 1 + options.height_jitter)
    size = height * np.clip((far + (near - far) * nearness) * jitter, far, near)
    mirrored = rng.random() < options.flip

    rows, columns = cutout.mask.shape
    scale = min(size / rows, options.max_aspect * size / columns, options.max_enlargement)
    new = max(1, round(columns * scale)), max(1, round(rows * scale))  # cv2: (width, height)
    if min(new) < options.min_size:
        return
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    margin = 1 + int(np.ceil(3 * options.feather))
    source = cv2.copyMakeBorder(
        cv2.resize(cutout.image, new, interpolation=method),
        margin,
        margin,
        margin,
        margin,
        cv2.BORDER_REPLICATE,
    )
    solid = cv2.resize(cutout.mask.astype(np.float32), new, interpolation=method)
    alpha = feathered(np.pad(solid, margin), options.feather)
    if mirrored:
        source, alpha = source[:, ::-1], alpha[:, ::-1]

    # place, then cut off what leaves the frame
    standing = np.flatnonzero(alpha[max(0, alpha.shape[0] - margin - 3) :].max(axis=0) > 0.3)
    foot = int(standing.mean()) if len(standing) else alpha.shape[1] // 2
    top, left = row + 1 + margin - alpha.shape[0], column - foot
    y, x = (
        slice(max(0, -top), min(alpha.shape[0], height - top)),
        slice(max(0, -left), min(alpha.shape[1], width - left)),
    )
    alpha, source = alpha[y, x], source[y, x]
    place = slice(top + y.start, top + y.stop), slice(left + x.start, left + x.stop)
    solid_pixels = alpha > 0.5
    if solid_pixels.sum() < options.min_size**2 // 2:
        return
    source = match_colors(source, solid_pixels, surroundings(image, place), options.color_matching)
    blended = alpha[..., None] * source + (1 - alpha[..., None]) * image[place]
    image[place] = np.rint(blended).astype(np.uint8)
    target[place] = np.where(solid_pixels, np.uint8(OOD), target[place])
