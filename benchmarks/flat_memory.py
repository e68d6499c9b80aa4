"""Resident memory while a whole test set is evaluated: it grows to its working size, then no more.

`python -m benchmarks.flat_memory FRAMES WEIGHTS --count 1203` repeats the frames of a folder (images/ and
labels_masks/) as links until there are `count`, evaluates espnetv2 0.5, which sees them at 512×256, as
`segood evaluate` does at three thresholds, and prints the memory after every frame as JSON; with --picture it
draws the curve.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from segood.data.config import DatasetConfig
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.run import evaluate_run
from segood.models.config import ModelConfig, PreprocessingConfig

WARM_UP = 0.1
"""Share of the frames after which memory has to stay."""


def repeat_frames(source: Path, target: Path, count: int) -> None:
    """Link the frames of a folder under new names, again and again."""
    labels = {path.stem.split("_")[0]: path for path in (source / "labels_masks").iterdir()}
    images = sorted((source / "images").iterdir())
    for folder in ("images", "labels_masks"):
        (target / folder).mkdir(parents=True)
    for number in range(count):
        image = images[number % len(images)]
        label = labels[image.stem]
        (target / "images" / f"{number:05d}{image.suffix}").symlink_to(image.resolve())
        name = label.name.replace(image.stem, f"{number:05d}", 1)
        (target / "labels_masks" / name).symlink_to(label.resolve())


def resident_bytes() -> int:
    """Return this process' resident memory (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def measure(frames: Path, network: ModelConfig, count: int) -> dict[str, Any]:
    """Evaluate and return megabytes and seconds after every frame, and by how much memory grew at the end."""
    megabytes: list[float] = []
    seconds: list[float] = []
    start = time.monotonic()

    def progress(what: str, total: int) -> Callable[[], None]:
        del what, total

        def tick() -> None:
            megabytes.append(round(resident_bytes() / 1e6, 1))
            seconds.append(round(time.monotonic() - start, 2))

        return tick

    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "frames"
        repeat_frames(frames, root, count)
        config = EvaluationConfig(
            datasets={"set": DatasetConfig("fishyscapes_lost_and_found", str(root))},
            gallery_frames=10,
            explore=[0.5, 0.9],  # of the usual fourteen, so that it takes a third of the time
        )
        evaluate_run(Path(scratch) / "run", config, models={"net": network}, progress=progress)
    return {"count": count, "megabytes": megabytes, "seconds": seconds, **growth(megabytes)}


def growth(megabytes: list[float]) -> dict[str, float]:
    """Return the medians of the second and the last tenth of the frames, and the slope after warm-up.

    Example:
        >>> growth([100.0] * 10 + [200.0] * 90)["mb_per_1000_frames"]
        0.0
    """
    values = np.array(megabytes)
    tenth = max(1, int(WARM_UP * len(values)))
    after = values[tenth:]
    slope = np.polyfit(np.arange(len(after)), after, 1)[0] if len(after) > 1 else 0.0
    return {
        "early_mb": float(np.median(values[tenth : 2 * tenth])),
        "late_mb": float(np.median(values[-tenth:])),
        "mb_per_1000_frames": round(float(1000 * slope), 1),
    }


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw memory over frames."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    axes.plot(np.arange(1, result["count"] + 1), result["megabytes"], color="#2a78d6", linewidth=1)
    axes.set(
        xlabel="frames evaluated", ylabel="resident memory, MB", xlim=(0, result["count"]), ylim=(0, None)
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Measure, print, and draw on request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--count", type=int, default=1203)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    small = PreprocessingConfig(working_size=(256, 512))  # logits and all else have the frames' size
    network = ModelConfig("espnetv2", str(arguments.weights), options={"scale": 0.5}, preprocessing=small)
    result = measure(arguments.frames, network, arguments.count)
    if arguments.picture:
        draw(result, arguments.picture)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
