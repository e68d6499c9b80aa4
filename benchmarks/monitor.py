"""What the monitor does after the network, against the network's own time: espnetv2 2.0 at 1024×512.

The network is replaced by one that returns ready logits at once, so everything else is measured: preparing
the image, resizing, score, segments, features, meta classifier. Weights change neither time.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.inputs import logits_with_segments, street_logits
from benchmarks.measure import as_time, compare
from benchmarks.results import Requirement
from segood.deployment import Monitor
from segood.meta import MetaClassifier
from segood.models import SegmentationModel, load_model
from segood.segments import extract_segments

SIZE, QUICK_SIZE = (512, 1024), (64, 128)
LIMIT = 10


class Replay(nn.Module):
    """Return the same logits for whatever image."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> Tensor:
        """Return them."""
        return self.logits[None]


def measure(quick: bool = False) -> list[Requirement]:
    """Measure both in turns."""
    size = QUICK_SIZE if quick else SIZE
    model = load_model("espnetv2", scale=0.5 if quick else 2.0)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    with torch.no_grad():
        stride = size[0] // model.network_logits(torch.zeros(1, 3, *size)).shape[2]
    logits = street_logits(*size, stride=stride)
    monitor = Monitor(SegmentationModel(Replay(logits), num_classes=19), meta=some_classifier())
    found = monitor(image)
    times = compare(lambda: monitor(image), lambda: model.predict_logits(image), 3 if quick else 9)
    low, high = times.spread
    segments = len(found.objects) + len(found.removed)
    return [
        Requirement(
            f"monitor around the network, {size[1]}×{size[0]}, {segments} segments",
            as_time(times.our_median),
            f"forward of {model.name} {model.options['scale']}: {as_time(times.peer_median)}",
            100 * times.ratio,
            LIMIT,
            " %",
            spread=(100 * low, 100 * high),
            note=f"logits leave the network at stride {stride}",
        )
    ]


def some_classifier() -> MetaClassifier:
    """Fit a classifier that takes every other segment for a false alarm."""
    table = extract_segments(logits=logits_with_segments(128, 256, 50)).features
    return MetaClassifier().fit(table, np.arange(len(table)) % 2 == 0)
