"""A monitor over a list of images.

In: image files or folders. Out: a folder with `objects.json` and `overlays/{name}.png`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from segood import runs
from segood.deployment.monitor import Monitor
from segood.errors import DataError
from segood.files import write_json
from segood.reporting import save_picture

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
    progress: Callable[[str, int], Callable[[], None]],
) -> dict[str, Any]:
    """Run the monitor over images, write overlays and `objects.json`.

    Args:
        monitor: network, threshold, meta classifier.
        images: files; images of the same name get a number.
        out: folder, new or empty.
        progress: called with (what, total), returns a function called once per image.

    Returns:
        What `objects.json` holds: threshold, score, and per image its path, size, objects and
        removed false alarms.

    Raises:
        DataError: an image cannot be read.
        UsageError: `out` is not empty.
    """
    out = runs.claim_run(out)
    tick = progress("images", len(images))
    names: Counter[str] = Counter()
    records = []
    for path in images:
        result = monitor(path)
        names[path.stem] += 1
        count = names[path.stem]
        overlay = out / "overlays" / f"{path.stem}{f'_{count}' if count > 1 else ''}.png"
        save_picture(overlay, result.overlay())
        records.append(
            {
                "image": str(path),
                "height": int(result.score.shape[0]),
                "width": int(result.score.shape[1]),
                "overlay": str(overlay.relative_to(out)),
                "objects": [o.to_dict() for o in result.objects],
                "removed": [o.to_dict() for o in result.removed],
            }
        )
        tick()
    found = {"score": monitor.score.name, "threshold": monitor.threshold, "images": records}
    write_json(out / "objects.json", found)
    return found
