"""The synthetic world: four data sets on disk, from one seed.

In: a root folder, a seed, a size, counts. Out: `WorldPaths`. `world.json`, written last, tells a
complete world from an unfinished one; an unfinished one is continued.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segood.data.synthetic.proxy_layout import write_annotations, write_proxy
from segood.data.synthetic.scene import check_size
from segood.data.synthetic.street_layouts import (
    FrameKey,
    Writer,
    write_cityscapes_frame,
    write_fishyscapes_frame,
    write_lost_and_found_frame,
)
from segood.errors import UsageError
from segood.files import write_json
from segood.progress import Progress

GENERATOR_VERSION = 1
"""Raised whenever the same seed draws something else."""

MANIFEST = "world.json"
UNFINISHED = "world.unfinished.json"


@dataclass(frozen=True)
class WorldPaths:
    """Where the four data sets of a world lie.

    Attributes:
        cityscapes, coco, lost_and_found, fishyscapes: roots for `segood.data.open_dataset`.
    """

    cityscapes: Path
    coco: Path
    lost_and_found: Path
    fishyscapes: Path


def write_world(
    root: str | Path,
    *,
    seed: int = 0,
    size: tuple[int, int] = (256, 512),
    num_train: int = 200,
    num_val: int = 40,
    num_proxies: int = 100,
    num_lost_and_found: int = 60,
    num_fishyscapes: int = 60,
    progress: Progress | None = None,
) -> WorldPaths:
    """Write a synthetic world, or return the one that is there already.

    Every file depends on `seed`, `size` and its own place only: changing a count changes no other
    file. The bytes are the same wherever the same versions of NumPy, OpenCV and Pillow run.

    Args:
        root: folder for `cityscapes/`, `coco/`, `lost_and_found/`, `fishyscapes/`; new, empty, or
            holding this very world, complete or unfinished.
        seed: not negative.
        size: (H, W) of street frames in pixels, at least 128 each; proxies have their own sizes.
        num_train, num_val: street frames per split.
        num_proxies: proxy images, before the proxy filter (about a quarter is dropped by it).
        num_lost_and_found: obstacle frames of split `test`; split `train` gets a third as many
            besides, for choosing thresholds.
        num_fishyscapes: overlay frames; every fifth shows nothing unknown.
        progress: shows how far the work is.

    Returns:
        The four folders.

    Raises:
        UsageError: an argument is out of range, or `root` holds something else.
        OutputError: a file cannot be written; what is there stays usable, a new call goes on.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     world = write_world(folder, size=(128, 256), num_train=1, num_val=1, num_proxies=1,
        ...                         num_lost_and_found=1, num_fishyscapes=1)
        ...     sorted(path.name for path in world.cityscapes.iterdir())
        ['gtFine', 'leftImg8bit']
    """
    root = Path(root)
    counts = {
        "num_train": num_train,
        "num_val": num_val,
        "num_proxies": num_proxies,
        "num_lost_and_found": num_lost_and_found,
        "num_fishyscapes": num_fishyscapes,
    }
    _check_arguments(seed, size, counts)
    settings = {"generator_version": GENERATOR_VERSION, "seed": seed, "size": list(size), **counts}
    paths = WorldPaths(root / "cityscapes", root / "coco", root / "lost_and_found", root / "fishyscapes")
    if _is_complete(root, settings):
        return paths
    write_json(root / UNFINISHED, settings)
    tick = progress("synthetic world", _number_of_steps(counts)) if progress else _no_tick
    names: list[str] = []

    def write_frames(folder: Path, write: Writer, kind: str, count: int) -> None:
        for index in range(count):
            written = write(folder, FrameKey(seed, kind, index), size)
            names.extend(f"{folder.name}/{name}" for name in written)
            tick()

    write_frames(paths.cityscapes, write_cityscapes_frame, "train", num_train)
    write_frames(paths.cityscapes, write_cityscapes_frame, "val", num_val)
    names += _write_coco(paths.coco, seed, num_proxies, tick)
    write_frames(
        paths.lost_and_found, write_lost_and_found_frame, "laf_train", _num_laf_train(num_lost_and_found)
    )
    write_frames(paths.lost_and_found, write_lost_and_found_frame, "laf_test", num_lost_and_found)
    write_frames(paths.fishyscapes, write_fishyscapes_frame, "fishyscapes", num_fishyscapes)
    manifest = {**settings, "num_files": len(names), "file_list_sha256": _list_hash(root, names)}
    write_json(root / MANIFEST, {**manifest, "files": sorted(names)})
    (root / UNFINISHED).unlink(missing_ok=True)
    return paths


def _write_coco(root: Path, seed: int, count: int, tick: Callable[[], None]) -> list[str]:
    names: list[str] = []
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(count):
        name, image, found = write_proxy(root, FrameKey(seed, "proxies", index))
        names.append(f"{root.name}/{name}")
        images.append(image)
        annotations += found
        tick()
    return [*names, f"{root.name}/{write_annotations(root, images, annotations)}"]


def _check_arguments(seed: int, size: tuple[int, int], counts: dict[str, int]) -> None:
    check_size(size)
    if seed < 0:
        raise UsageError(f"`seed` must not be negative; got {seed}")
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"`{name}` must be at least 1; got {count}")


def _num_laf_train(num_lost_and_found: int) -> int:
    return -(-num_lost_and_found // 3)


def _number_of_steps(counts: dict[str, int]) -> int:
    return sum(counts.values()) + _num_laf_train(counts["num_lost_and_found"])


def _no_tick() -> None:
    """Show nothing."""


def _is_complete(root: Path, settings: dict[str, Any]) -> bool:
    """Whether `root` holds this world; raises if it holds another one or anything else."""
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is a file; a synthetic world needs a folder: choose another path")
    for name in (MANIFEST, UNFINISHED):
        path = root / name
        if not path.is_file():
            continue
        found = _read_manifest(path)
        different = [key for key, value in settings.items() if found.get(key) != value]
        if different:
            key = different[0]
            raise UsageError(
                f"{root} holds a synthetic world with {key}={found.get(key)}, not {settings[key]}; "
                "choose another folder, or delete this one"
            )
        if name == UNFINISHED:
            return False
        if _list_hash(root, found.get("files", [])) != found.get("file_list_sha256"):
            raise UsageError(
                f"{root} holds a synthetic world with missing or changed files; delete it to draw it anew"
            )
        return True
    if root.is_dir() and any(root.iterdir()):
        raise UsageError(
            f"{root} is not empty and holds no synthetic world ({MANIFEST}); choose another folder"
        )
    return False


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read ({error}); delete the folder to draw the world anew"
        ) from error
    return found if isinstance(found, dict) else {}


def _list_hash(root: Path, names: list[str]) -> str:
    """SHA-256 over sorted names and sizes in bytes; a missing file has size -1."""
    digest = hashlib.sha256()
    for name in sorted(names):
        path = root / name
        digest.update(f"{name} {path.stat().st_size if path.is_file() else -1}\n".encode())
    return digest.hexdigest()
