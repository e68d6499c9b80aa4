"""Where prepared COCO proxies lie in a cache folder, and when they may be used.

In: the cache folder, split, annotation file and filter. Out: paths, and the prepared index if it
belongs to exactly this annotation file and filter.

    {cache}/{split}2017_masks_{annotations}/{image}.png        object masks: 0, or 254 on objects
    {cache}/{split}2017_{preset}_{min_side}_{filter}/index.json    images that pass, and the report

Masks depend on the annotation file only, so that several filters share them. The index is written
last: where it stands, all its masks stand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from segood.data.coco_annotations import CocoImage
from segood.data.proxy_filter import ProxyFilterReport, filter_key
from segood.files import write_text

_FORMAT = 1


@dataclass(frozen=True)
class ProxyCache:
    """Paths of one prepared filter.

    Attributes:
        masks: folder of the object masks.
        index: file with the images that pass and the filter's report.
        annotations_hash: SHA-256 of the annotation file.
    """

    masks: Path
    index: Path
    annotations_hash: str

    @classmethod
    def locate(
        cls,
        cache: str | Path,
        split: str,
        annotations_hash: str,
        preset: str,
        excluded: Sequence[str],
        min_side: int,
    ) -> ProxyCache:
        """Return the paths for an annotation file and filter; nothing needs to exist."""
        folder = Path(cache).expanduser()
        return cls(
            masks=folder / f"{split}2017_masks_{annotations_hash[:12]}",
            index=folder / f"{split}2017_{preset}_{min_side}_{filter_key(excluded, min_side)}" / "index.json",
            annotations_hash=annotations_hash,
        )

    def mask_path(self, file_name: str) -> Path:
        """Return where the mask of an image lies."""
        return self.masks / PurePosixPath(file_name).with_suffix(".png")

    def write_index(self, images: tuple[CocoImage, ...], report: ProxyFilterReport) -> None:
        """Write images and report; call it when all masks stand."""
        content = {
            "format": _FORMAT,
            "annotations_sha256": self.annotations_hash,
            "report": report.to_dict(),
            "images": [list(image) for image in images],
        }
        write_text(self.index, json.dumps(content, allow_nan=False) + "\n")

    def read_index(self) -> tuple[tuple[CocoImage, ...], ProxyFilterReport] | None:
        """Return what `write_index` wrote; `None` where it is missing, damaged or of other annotations."""
        try:
            content = json.loads(self.index.read_text(encoding="utf-8"))
            if (content["format"], content["annotations_sha256"]) != (_FORMAT, self.annotations_hash):
                return None
            images = tuple(CocoImage(*entry) for entry in content["images"])
            return images, ProxyFilterReport.from_dict(content["report"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
