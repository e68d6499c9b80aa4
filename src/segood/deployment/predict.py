"""A monitor over a list of images.

In: image files or folders. Out: a folder with `objects.json` and `overlays/{name}.png`. An image that
cannot be read stops no other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segood import runs
from segood.deployment.monitor import Detection, Monitor
from segood.errors import DataError
from segood.files import write_json
from segood.progress import Progress, no_progress
from segood.reporting import save_picture

OBJECTS = "objects.json"
OVERLAYS = "overlays"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def find_images(paths: Sequence[str | Path]) -> list[Path]:
    """Return the image files among `paths`, folders searched recursively, sorted by name.

    Raises:
        DataError: a path does not exist, or there is no image at all.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"{path} does not exist")
    if not found:
        raise DataError(f"no image ({', '.join(SUFFIXES)}) under {', '.join(map(str, paths))}")
    return found


def predict_images(
    monitor: Monitor,
    images: Sequence[Path],
    out: str | Path,
    *,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Run the monitor over images, write overlays and `objects.json`.

    Args:
        monitor: network, threshold, meta classifier.
        images: files; overlays of images of the same name get a number.
        out: folder: new, empty, or with what an unfinished call left, which is replaced. Unfinished
            means interrupted, or with images that failed.
        progress: see `segood.progress.Progress`.

    Returns:
        What `objects.json` holds: score, threshold, `complete`, per image its path, size, objects and
        removed false alarms, and under `failed` path and reason of images that cannot be read.

    Raises:
        UsageError: `out` holds something else, finished results included.
    """
    out = _claim(Path(out))
    found: dict[str, Any] = {
        "score": monitor.score.name,
        "threshold": monitor.threshold,
        "complete": False,
        "images": [],
        "failed": [],
    }
    write_json(out / OBJECTS, found)  # from here on the folder is known as ours
    tick = progress("images", len(images))
    names = _overlay_names(images)
    try:
        for path, name in zip(images, names, strict=True):
            try:
                result = monitor(path)
            except DataError as error:
                found["failed"].append({"image": str(path), "reason": str(error)})
            else:
                save_picture(out / OVERLAYS / f"{name}.png", result.overlay())
                found["images"].append(_record(path, f"{OVERLAYS}/{name}.png", result))
            tick()
        found["complete"] = not found["failed"]
    finally:  # finished images are kept, whatever stops the others
        write_json(out / OBJECTS, found)
    return found


def _claim(out: Path) -> Path:
    """Return `out`, empty or new; what an unfinished call left there is removed."""
    entries = {p.name for p in out.iterdir() if not p.name.startswith(".")} if out.is_dir() else set()
    if OBJECTS in entries and entries <= {OBJECTS, OVERLAYS} and _is_unfinished(out / OBJECTS):
        shutil.rmtree(out / OVERLAYS, ignore_errors=True)
        return out
    return runs.claim_run(out, remedy="choose another --out, or remove it")


def _is_unfinished(path: Path) -> bool:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["complete"] is False
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _overlay_names(images: Sequence[Path]) -> list[str]:
    """Return one name per image, all different, on file systems without upper case, too."""
    taken: set[str] = set()
    names = []
    for path in images:
        name, count = path.stem, 1
        while name.casefold() in taken:
            count += 1
            name = f"{path.stem}_{count}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _record(path: Path, overlay: str, result: Detection) -> dict[str, Any]:
    return {
        "image": str(path),
        "height": int(result.score.shape[0]),
        "width": int(result.score.shape[1]),
        "overlay": overlay,
        "objects": [o.to_dict() for o in result.objects],
        "removed": [o.to_dict() for o in result.removed],
    }
