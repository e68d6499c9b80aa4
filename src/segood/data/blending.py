"""Make a pasted object fit its place: soft edge, colours of its surroundings.

In: the object's pixels and mask, the image it goes to. Out: its opacity, its colours.

Source: E. Reinhard et al., "Color Transfer between Images", IEEE CG&A 2001.
"""

from __future__ import annotations

import cv2
import numpy as np


def feathered(mask: np.ndarray, feather: float) -> np.ndarray:
    """Return opacity in [0, 1] that falls off inside the outline, where no foreign background shows."""
    if feather == 0:
        return (mask > 0.5).astype(np.float32)
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8)) if min(mask.shape) > 24 else mask
    return cv2.GaussianBlur(inner, (0, 0), feather)


def surroundings(image: np.ndarray, place: tuple[slice, slice]) -> np.ndarray:
    """Return the pixels (N,3) around a place, half its size further on every side."""
    rows, columns = place
    dy, dx = (rows.stop - rows.start) // 2, (columns.stop - columns.start) // 2
    region = image[max(0, rows.start - dy) : rows.stop + dy, max(0, columns.start - dx) : columns.stop + dx]
    step = 1 + min(region.shape[:2]) // 64  # mean and spread need no more than some thousand pixels
    return region[::step, ::step].reshape(-1, 3)


def match_colors(source: np.ndarray, mask: np.ndarray, around: np.ndarray, strength: float) -> np.ndarray:
    """Move mean and spread of the masked CIELAB colours towards those around; float32 (h,w,3) RGB 0..255."""
    if strength == 0:
        return source.astype(np.float32)
    lab, lab_around = _to_lab(source), _to_lab(around[None])[0]
    mean, spread = lab[mask].mean(axis=0), lab[mask].std(axis=0)
    # a plain road must not flatten an object's texture, nor a busy street make noise of it
    gain = np.clip(lab_around.std(axis=0) / np.maximum(spread, 1e-3), 0.5, 1.5)
    matched = (lab - mean) * (1 + strength * (gain - 1)) + mean + strength * (lab_around.mean(axis=0) - mean)
    rgb = cv2.cvtColor(matched.astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.clip(rgb, 0, 1) * 255


def _to_lab(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(rgb, np.float32) / 255, cv2.COLOR_RGB2LAB)
