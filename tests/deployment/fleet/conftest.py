"""Images to score in bulk: different streets, and some that no verdict can be given on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segood.data.synthetic import WorldPaths


@pytest.fixture(scope="session")
def photos(world: WorldPaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 30 images: frames of the synthetic world, moved; a black one; one cut off."""
    folder = tmp_path_factory.mktemp("photos")
    frames = [
        np.asarray(Image.open(p).convert("RGB")) for p in sorted((world.fishyscapes / "images").iterdir())
    ]
    for number in range(28):
        moved = np.roll(frames[number % len(frames)], 9 * number, axis=1)
        place = folder / f"day{number // 14}" / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(moved).save(place)
    Image.new("RGB", (256, 128)).save(folder / "day0" / "night.png")
    whole = (folder / "day0" / "0.png").read_bytes()
    (folder / "day1" / "cut off.png").write_bytes(whole[: len(whole) // 2])
    return folder
