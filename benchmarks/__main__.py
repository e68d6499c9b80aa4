"""`python -m benchmarks`: measure, print a table of ratios.

Every row compares medians of several runs of ours and of a named peer on the same input, in the
same process, since machines are noisy and absolute times do not travel.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from segood.evaluation import PixelMetrics
from segood.meta import cross_validate
from segood.segments import extract_segments
from segood.training import EntropyMaximizationLoss


class Row(NamedTuple):
    """One comparison; times in seconds."""

    what: str
    peer: str
    ours: float
    theirs: float


def median_seconds(work: Callable[[], object], runs: int) -> float:
    """Return the median time of `runs` calls, after one to warm up."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def segments() -> Row:
    """Logits -> segments and 75 features, against NumPy's entropy of the ready softmax."""
    coarse = torch.randn(1, 19, 32, 64, generator=torch.Generator().manual_seed(0)) * 4
    logits = F.interpolate(coarse, size=(1024, 2048), mode="bicubic")[0].contiguous()
    p = logits.softmax(0).numpy()
    ours = median_seconds(lambda: extract_segments(logits=logits, threshold=0.5), 5)
    return Row("logits -> segments, 19x1024x2048", "numpy -(p*log(p)).sum(0)", ours,
               median_seconds(lambda: -(p * np.log(p)).sum(0), 5))  # fmt: skip


def pixel_metrics() -> Row:
    """AUROC, AP and FPR95 of 20 million pixels, against scikit-learn (2 M of them, times 10)."""
    rng = np.random.default_rng(0)
    target = (rng.random(20_000_000) < 0.02).astype(np.uint8)
    score = np.clip(rng.beta(1, 8, target.size) + 0.3 * target * rng.random(target.size), 0, 1).astype(
        np.float32
    )

    def ours() -> None:
        metrics = PixelMetrics()
        metrics.update(score, target)
        metrics.compute()

    few_score, few_target = score[:2_000_000], target[:2_000_000]

    def theirs() -> None:
        roc_auc_score(few_target, few_score)
        average_precision_score(few_target, few_score)
        roc_curve(few_target, few_score)

    return Row(
        "AUROC + AP + FPR95, 20 M pixels",
        "scikit-learn",
        median_seconds(ours, 3),
        10 * median_seconds(theirs, 1),
    )


def leave_one_out() -> Row:
    """Leave-one-out of 5,000 segments x 75 features, against refits (20 of them, extrapolated)."""
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.normal(size=(5000, 75)), columns=[f"f{i}" for i in range(75)])
    labels = (features["f0"] + rng.normal(size=5000) > 0).to_numpy()

    def refit() -> None:
        train = features.iloc[1:]
        scaler = StandardScaler().fit(train)
        LogisticRegression(tol=1e-10, max_iter=10_000).fit(scaler.transform(train), labels[1:])

    ours = median_seconds(lambda: cross_validate(features, labels, protocol="leave-one-out"), 1)
    return Row("leave-one-out, 5000x75", "scikit-learn refits", ours, 5000 * median_seconds(refit, 20))


def loss() -> Row:
    """Loss, forward and backward, against cross-entropy."""
    logits = torch.randn(8, 19, 480, 480, requires_grad=True)
    target = torch.randint(0, 19, (8, 480, 480))
    objective = EntropyMaximizationLoss()
    ours = median_seconds(lambda: objective(logits, target).backward(), 5)
    return Row("loss forward + backward, 8x19x480x480", "torch cross_entropy", ours,
               median_seconds(lambda: F.cross_entropy(logits, target).backward(), 5))  # fmt: skip


def main() -> None:
    """Measure all rows and print them."""
    out = sys.stdout.write
    out(f"torch {torch.__version__}, numpy {np.__version__}, {os.cpu_count()} cores\n\n")
    out(f"{'what':<40}{'peer':<28}{'ours':>10}{'peer':>10}{'ours/peer':>12}\n")
    for measure in (segments, pixel_metrics, leave_one_out, loss):
        row = measure()
        times = f"{row.ours:>9.3f}s{row.theirs:>9.3f}s{row.ours / row.theirs:>12.4f}"
        out(f"{row.what:<40}{row.peer:<28}{times}\n")


if __name__ == "__main__":
    main()
