"""Inputs of the benchmarks: drawn from fixed seeds, so that everybody measures the same.

Out: logits of frames, scores of pixels, tables of segment features.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

CLASSES = 19


def shared_path(name: str) -> Path | None:
    """Return what is called so under `SEGOOD_SHARED`; None where there is no such thing."""
    folder = os.environ.get("SEGOOD_SHARED")
    path = Path(folder or "") / name
    return path if folder and path.exists() else None


def street_logits(height: int, width: int, *, stride: int = 1, amplitude: float = 4.0) -> Tensor:
    """Draw smooth logits (19,H/stride,W/stride) float32: regions of a class with doubt at their borders.

    At 1024×2048 with amplitude 4, 2 % of the pixels have a normalised entropy ≥ 0.7, in 652 segments.
    """
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, CLASSES, -(-height // 32), -(-width // 32), generator=generator) * amplitude
    size = (-(-height // stride), -(-width // stride))
    return F.interpolate(coarse, size=size, mode="bicubic")[0].contiguous()


def logits_with_segments(height: int, width: int, count: int, *, share: float = 0.02) -> Tensor:
    """Draw sure logits with `count` squares of doubt, which together cover `share` of the frame.

    Returns:
        (19,H,W) float32 in which exactly `count` segments reach a normalised entropy of 0.7.
    """
    rng = np.random.default_rng(0)
    side = max(1, round((share * height * width / count) ** 0.5))
    rows = max(1, round((count * height / width) ** 0.5))
    columns = -(-count // rows)
    cell_height, cell_width = height // rows, width // columns
    if min(cell_height, cell_width) < side + 2:
        raise ValueError(f"{count} segments of {side}x{side} pixels do not fit into {height}x{width}")
    logits = rng.standard_normal((CLASSES, height, width), dtype=np.float32)
    logits[rng.integers(CLASSES)] += 12
    for cell in rng.permutation(rows * columns)[:count]:
        row, column = divmod(int(cell), columns)
        top = row * cell_height + int(rng.integers(cell_height - side))
        left = column * cell_width + int(rng.integers(cell_width - side))
        logits[:, top : top + side, left : left + side] *= 0.01
    return torch.from_numpy(logits)


def pixel_scores(count: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores float32 in [0,1] and targets uint8 (2 % OoD, which score higher), each (count,)."""
    rng = np.random.default_rng(seed)
    target = (rng.random(count, dtype=np.float32) < 0.02).astype(np.uint8)
    score = rng.beta(1, 8, count).astype(np.float32)
    score += np.float32(0.3) * target * rng.random(count, dtype=np.float32)
    return np.clip(score, 0, 1, out=score), target


def segment_table(rows: int, *, degenerate: bool = False) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw features (rows, 75) and which segments are false positives (rows,).

    Args:
        rows: segments.
        degenerate: make five columns sums of others and five non-zero in three rows only, as class
            probabilities and neighbour shares are.
    """
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, 75))
    if degenerate:
        values[:, 10:15] = values[:, :5] + values[:, 5:10]
        values[:, 15:20] = 0
        for column in range(15, 20):
            values[rng.choice(rows, 3, replace=False), column] = rng.random(3)
    labels = values[:, 0] + rng.normal(size=rows) > 0
    return pd.DataFrame(values, columns=[f"feature_{i}" for i in range(75)]), labels
