"""Draw the README's picture from a finished demo: `python docs/overview.py runs/demo/finetuned`.

In: the gallery of a run. Out: `docs/images/overview.webp`: a frame of the synthetic world, the
entropy before and after fine-tuning, and the objects that remain after the meta classifier.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib.figure import Figure

from segood.evaluation.gallery import GalleryFrame, load_gallery_frame
from segood.evaluation.run import read_segments
from segood.reporting import colorize, draw_overlay

OUT = Path(__file__).parent / "images" / "overview.webp"


def most_telling(run: Path) -> GalleryFrame:
    """Return the frame whose objects gained most entropy by fine-tuning."""
    frames = [load_gallery_frame(p) for p in sorted((run / "gallery").rglob("*.npz"))]

    def gain(frame: GalleryFrame) -> float:
        ood, known = frame.target == 1, frame.target == 0
        if ood.sum() < 0.005 * ood.size:
            return -np.inf
        contrast = {k: float(s[ood].mean()) - float(s[known].mean()) for k, s in frame.scores.items()}
        return contrast["after"] - 0.5 * contrast["before"]

    return max(frames, key=gain)


def main(run: Path) -> None:
    """Write the picture."""
    frame = most_telling(run)
    rows = read_segments(run)
    mine = (rows["model"] == "after") & (rows["sample_id"] == frame.sample_id) & rows["removed"]
    found = draw_overlay(frame.image, frame.labels["after"], removed=rows.loc[mine, "segment"].tolist())
    panels = [
        ("what the camera sees", frame.image),
        ("entropy of the ordinary network", colorize(frame.scores["before"])),
        ("entropy after fine-tuning: “I don't know this”", colorize(frame.scores["after"])),
        ("found (orange) and removed as false alarm (hatched)", found),
    ]
    height, width = frame.image.shape[:2]
    figure = Figure(figsize=(12, 12 * height / width + 0.75), layout="constrained")
    for axes, (title, image) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        axes.imshow(image, interpolation="lanczos")
        axes.set_title(title, fontsize=12)
        axes.set_axis_off()
    OUT.parent.mkdir(exist_ok=True)
    figure.savefig(OUT, dpi=100, pil_kwargs={"quality": 82})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
