"""Write street, obstacle and overlay frames in the layouts of their real counterparts.

In: a root folder, the world's seed and size, an index. Out: image and label files. Every file
depends on seed, size, kind and index only, so the number of frames can change without changing any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from segood.data.synthetic import labels as ids
from segood.data.synthetic.obstacles import obstacle_items, overlay_items
from segood.data.synthetic.scene import compose_scene
from segood.files import write_image
from segood.types import IGNORE, IN_DISTRIBUTION, OUT_OF_DISTRIBUTION

TRAIN_CITIES = ("ahornstadt", "birkenau", "eichenfeld", "fichtenberg", "lindenhof", "ulmental")
VAL_CITIES = ("tannwald", "weidenbach")
TRAIN_SCENES = ("01_Werkstrasse", "02_Talweg")
TEST_SCENES = ("03_Marktgasse", "04_Uferallee", "05_Ringstrasse")

KIND_CODES = {"train": 0, "val": 1, "laf_train": 2, "laf_test": 3, "fishyscapes": 4, "proxies": 5}
"""Part of every frame's seed; never renumber, or worlds change."""

OVERLAY_FREE_EVERY = 5
"""Every fifth overlay frame shows no unknown object."""


@dataclass(frozen=True)
class FrameKey:
    """What one frame depends on: the world's seed, the kind of frame and its index."""

    seed: int
    kind: str
    index: int

    def rng(self) -> np.random.Generator:
        """Return the frame's own generator."""
        return np.random.default_rng([self.seed, KIND_CODES[self.kind], self.index])


Writer = Callable[[Path, FrameKey, tuple[int, int]], list[str]]
"""Writes one frame below a root; returns the relative names of its files."""


def write_cityscapes_frame(root: Path, key: FrameKey, size: tuple[int, int]) -> list[str]:
    """Write a street frame: image, label ids, train ids. Cities take turns; some cars show their bonnet."""
    cities = TRAIN_CITIES if key.kind == "train" else VAL_CITIES
    city = cities[key.index % len(cities)]
    stem = f"{key.kind}/{city}/{city}_{key.index // len(cities):06d}_000019"
    names = [
        f"leftImg8bit/{stem}_leftImg8bit.png",
        f"gtFine/{stem}_gtFine_labelIds.png",
        f"gtFine/{stem}_gtFine_labelTrainIds.png",
    ]
    if not _all_exist(root, names):
        scene = compose_scene(key.rng(), size, bonnet=city in TRAIN_CITIES[::3] + VAL_CITIES[:1])
        save_png(root / names[0], scene.image)
        save_png(root / names[1], scene.label_ids)
        save_png(root / names[2], ids.to_train_ids(scene.label_ids))
    return names


def write_lost_and_found_frame(root: Path, key: FrameKey, size: tuple[int, int]) -> list[str]:
    """Write an obstacle frame: image and label ids, 0 ignored, 1 free road, 2..43 objects."""
    split = key.kind.removeprefix("laf_")
    scenes = TRAIN_SCENES if split == "train" else TEST_SCENES
    scene_name = scenes[key.index % len(scenes)]
    stem = f"{split}/{scene_name}/{scene_name}_{key.index // len(scenes):06d}_000010"
    names = [f"leftImg8bit/{stem}_leftImg8bit.png", f"gtCoarse/{stem}_gtCoarse_labelIds.png"]
    if not _all_exist(root, names):
        scene = compose_scene(key.rng(), size, objects=obstacle_items, bonnet=True)
        is_object = scene.label_ids >= ids.OBJECT_BASE
        labels = np.where(scene.label_ids == ids.ROAD, 1, 0).astype(np.uint8)
        labels[is_object] = scene.label_ids[is_object] - ids.OBJECT_BASE
        save_png(root / names[0], scene.image)
        save_png(root / names[1], labels)
    return names


def write_fishyscapes_frame(root: Path, key: FrameKey, size: tuple[int, int]) -> list[str]:
    """Write an overlay frame: image and mask, 0 in-distribution, 1 OoD, 255 what no train id covers."""
    names = [f"images/{key.index:04d}.png", f"labels_masks/{key.index:04d}.png"]
    if not _all_exist(root, names):
        free = key.index % OVERLAY_FREE_EVERY == OVERLAY_FREE_EVERY - 1
        scene = compose_scene(
            key.rng(), size, overlay=None if free else overlay_items, bonnet=key.index % 3 == 0
        )
        known = ids.to_train_ids(scene.label_ids) != IGNORE
        labels = np.where(known, IN_DISTRIBUTION, IGNORE).astype(np.uint8)
        labels[scene.label_ids >= ids.OBJECT_BASE] = OUT_OF_DISTRIBUTION
        save_png(root / names[0], scene.image)
        save_png(root / names[1], labels)
    return names


def _all_exist(root: Path, names: list[str]) -> bool:
    return all((root / name).is_file() for name in names)


def save_png(path: Path, array: np.ndarray) -> None:
    """Write uint8 (H,W) or (H,W,3) as PNG, atomically."""
    write_image(path, Image.fromarray(array), compress_level=1)
