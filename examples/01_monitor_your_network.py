"""A monitor around a network of yours, and what it says about one frame. 1 second, after imports.

`build` is the network that examples 02 to 06 train. Here its weights are random: it doubts everything.

    python examples/01_monitor_your_network.py runs/examples      writes runs/examples/first_frame.png
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

import segood
from segood.data.synthetic import draw_street_scene
from segood.reporting import draw_overlay, save_picture


def build(num_classes: int = 19, width: int = 24) -> nn.Module:
    """Normalised images (N,3,H,W) to logits (N,C,H/8,W/8); segood resizes them to the image."""

    def block(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Module:
        conv = nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())

    wide = 2 * width
    encoder = [block(3, width, stride=2), block(width, wide, stride=2), block(wide, wide, stride=2)]
    context = [block(wide, wide, dilation=2), block(wide, wide, dilation=4)]
    return nn.Sequential(*encoder, *context, nn.Conv2d(wide, num_classes, 1))


def main(out: Path) -> None:
    torch.manual_seed(0)
    monitor = segood.Monitor(build(), threshold=0.98)  # any module that maps images to logits
    frame = draw_street_scene(np.random.default_rng(0), size=(128, 256))
    found = monitor(frame.image)  # a uint8 array (H,W,3), a PIL image, or a path

    print(f"score map {found.score.shape}, mean {found.score.mean():.2f}; classes {found.classes.shape}")
    print(f"{len(found.objects)} objects in {found.flagged_share:.0%} of the pixels, first of them:")
    for thing in found.objects[:3]:
        print(f"  box {thing.box}, {thing.area} pixels, mean score {thing.score:.3f}")
    picture = draw_overlay(frame.image, found.labels, score=found.score)
    print(f"picture: {save_picture(out / 'first_frame.png', picture)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
