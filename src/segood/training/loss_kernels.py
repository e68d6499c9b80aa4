"""Both sums of the objective, and their gradient, in one pass over the logits each; compiled.

In: logits (N,C,P) float32, C-contiguous, targets (N,P) of any integer type. Out: sums and counts of some
pixels; the gradient of a weighted sum of both sums. The reference is `loss_sums.PlainSums`.

A block of pixels is copied to where it stays in the cache (at a stride of a power of two the lines of the
logits would push each other out), with each pixel's maximum m. With s = Σ exp(z - m) the terms are
log s - (z_y - m) and log s - mean(z - m): differences to the maximum, so that large logits cost no digits.
Backward the exponentials are computed again, which is faster than reading stored ones. Blocks without a
labelled pixel are not looked at.
"""

from __future__ import annotations

import numpy as np

from segood.compiled import kernel
from segood.scores.entropy_kernels import LINE_PADDING, exp_below_zero

F32 = np.float32

_PIXELS = 512  # per block: with 19 classes 40 kB


@kernel
def _load(planes, start, n, block, largest):  # type: ignore[no-untyped-def]
    """Copy n pixels of all classes into `block`, and find each one's maximum."""
    for c in range(planes.shape[0]):
        line, out = planes[c][start : start + n], block[c]  # a slice: `line[start + i]` might be < 0
        if c == 0:
            for i in range(n):
                out[i] = line[i]
                largest[i] = line[i]
        else:
            for i in range(n):
                v = line[i]
                out[i] = v
                largest[i] = v if v > largest[i] else largest[i]


@kernel
def _count_labels(labels, classes, ood, ignore, counts):  # type: ignore[no-untyped-def]
    """Add to `counts` (in, OoD, other values than allowed); return how many pixels have a label."""
    known, unknown, wrong = 0, 0, 0
    for i in range(labels.size):
        t = np.int64(labels[i])
        inside = 0 <= t < classes
        known += 1 if inside else 0
        unknown += 1 if t == ood else 0
        wrong += 0 if (inside or t in (ood, ignore)) else 1
    counts[0] += known
    counts[1] += unknown
    counts[2] += wrong
    return known + unknown


@kernel
def add_terms(planes, labels, first, last, ood, ignore, sums, counts):  # type: ignore[no-untyped-def]
    """Sum the terms of pixels `first` to `last` of a sample.

    Args:
        planes: (C,P) float32.
        labels: (P,) integer.
        first, last: range of pixels.
        ood, ignore: the labels that are no class.
        sums: (2,) float64, written: Σ -log f_y over known pixels, Σ -1/q Σ_j log f_j over OoD pixels.
        counts: (3,) int64, written: known, OoD, pixels with any other label.
    """
    classes = planes.shape[0]
    block = np.empty((classes, _PIXELS + LINE_PADDING), F32)
    largest, total, spread = np.empty(_PIXELS, F32), np.empty(_PIXELS, F32), np.empty(_PIXELS, F32)
    known, unknown = 0.0, 0.0
    counts[:] = 0
    for start in range(first, last, _PIXELS):
        n = min(_PIXELS, last - start)
        own = labels[start : start + n]
        if _count_labels(own, classes, ood, ignore, counts) == 0:
            continue
        _load(planes, start, n, block, largest)
        for i in range(n):
            total[i] = F32(0.0)
            spread[i] = F32(0.0)
        for c in range(classes):
            line = block[c]
            for i in range(n):
                d = line[i] - largest[i]
                spread[i] += d
                total[i] += exp_below_zero(d)
        for i in range(n):
            t = np.int64(own[i])
            if 0 <= t < classes:
                known += np.log(np.float64(total[i])) - (block[t, i] - largest[i])
            elif t == ood:
                unknown += np.log(np.float64(total[i])) - np.float64(spread[i]) / classes
    sums[0] = known
    sums[1] = unknown


@kernel
def write_gradient(planes, labels, first, last, ood, known, unknown, gradient):  # type: ignore[no-untyped-def]
    """Write the gradient of `known` · (first sum) + `unknown` · (second sum).

    Args:
        planes: (C,P) float32.
        labels: (P,) integer, valid.
        first, last: range of pixels.
        ood: the label of OoD pixels.
        known, unknown: float32, the gradients of the two sums.
        gradient: (C,P) float32, written.
    """
    classes = planes.shape[0]
    block = np.empty((classes, _PIXELS + LINE_PADDING), F32)
    largest, total = np.empty(_PIXELS, F32), np.empty(_PIXELS, F32)
    uniform = np.empty(_PIXELS, F32)
    for start in range(first, last, _PIXELS):
        n = min(_PIXELS, last - start)
        own = labels[start : start + n]
        labelled = 0
        for i in range(n):
            t = np.int64(own[i])
            labelled += 1 if (0 <= t < classes or t == ood) else 0
        if labelled == 0:
            for c in range(classes):
                gradient[c, start : start + n] = F32(0.0)
            continue
        _load(planes, start, n, block, largest)
        for i in range(n):
            total[i] = F32(0.0)
        for c in range(classes):
            line = block[c]
            for i in range(n):
                e = exp_below_zero(line[i] - largest[i])
                line[i] = e
                total[i] += e
        for i in range(n):
            t = np.int64(own[i])
            inside = 0 <= t < classes
            weight = known if inside else (unknown if t == ood else F32(0.0))
            total[i] = weight / total[i]
            uniform[i] = unknown / F32(classes) if t == ood else F32(0.0)
        for c in range(classes):
            line, out = block[c], gradient[c][start : start + n]
            for i in range(n):
                out[i] = line[i] * total[i] - uniform[i]
        for i in range(n):
            t = np.int64(own[i])
            if 0 <= t < classes:
                gradient[t, start + i] -= known
