"""Write proxy images with their annotations in the layout of COCO.

In: a root folder, the world's seed, an index. Out: `train2017/*.jpg` and, for all of them,
`annotations/instances_train2017.json` with polygons, and run lengths for crowds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from segood.data.synthetic.families import PROXY_FAMILIES
from segood.data.synthetic.proxies import STREET_CATEGORIES, Instance, ProxyScene, compose_proxy
from segood.data.synthetic.street_layouts import FrameKey
from segood.files import write_image, write_json

MAX_INSTANCES = 100
ANNOTATIONS = "annotations/instances_train2017.json"


def compose_indexed_proxy(key: FrameKey) -> ProxyScene:
    """Draw the proxy image of a key; the index decides what the filter finds, so small worlds have all of it.

    Every ninth is too small, every sixth holds an excluded class, every tenth a crowd; the first none.
    """
    index = key.index
    return compose_proxy(key.rng(), small=index % 9 == 4, street=index % 6 == 1, crowd=index % 10 == 2)


def write_proxy(root: Path, key: FrameKey) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """Write one proxy image.

    Returns:
        relative name, entry for `images`, entries for `annotations`.
    """
    scene = compose_indexed_proxy(key)
    image_id = key.index + 1
    name = f"train2017/{image_id:012d}.jpg"
    if not (root / name).is_file():
        write_image(root / name, Image.fromarray(scene.image), quality=92)
    height, width = scene.image.shape[:2]
    image = {"id": image_id, "file_name": Path(name).name, "height": height, "width": width, "license": 1}
    annotations = [
        annotation
        for number, instance in enumerate(scene.instances)
        if (annotation := annotate(instance, image_id, image_id * MAX_INSTANCES + number))
    ]
    return name, image, annotations


def write_annotations(root: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> str:
    """Write the annotation file; returns its relative name."""
    names = [(family.category_id, family.name, family.supercategory) for family in PROXY_FAMILIES]
    names += [(number, name, group) for name, (number, group) in STREET_CATEGORIES.items()]
    names += [(10, "traffic light", "outdoor"), (13, "stop sign", "outdoor")]  # filters may ask for them
    content = {
        "info": {"description": "synthetic proxies drawn by segood", "version": "1.0"},
        "licenses": [
            {"id": 1, "name": "Apache License 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}
        ],
        "categories": [{"id": n, "name": name, "supercategory": group} for n, name, group in sorted(names)],
        "images": images,
        "annotations": annotations,
    }
    write_json(root / ANNOTATIONS, content)
    return ANNOTATIONS


def annotate(instance: Instance, image_id: int, annotation_id: int) -> dict[str, Any] | None:
    """Make an entry of `annotations`: run lengths for crowds, else polygons; None if nothing is left.

    Example:
        >>> mask = np.zeros((6, 8), dtype=bool)
        >>> mask[2:4, 3:6] = True
        >>> entry = annotate(Instance(62, mask, False), 1, 100)
        >>> entry["bbox"], entry["area"], entry["segmentation"]
        ([3, 2, 3, 2], 6, [[3.25, 2.25, 3.25, 3.75, 5.75, 3.75, 5.75, 2.25]])
    """
    mask = instance.mask
    segmentation: Any
    if instance.is_crowd:
        segmentation = {"counts": run_lengths(mask), "size": list(mask.shape)}
    else:
        segmentation = polygons(mask)
        if not segmentation:
            return None
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = [cols[0], rows[0], cols[-1] - cols[0] + 1, rows[-1] - rows[0] + 1]
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": instance.category_id,
        "iscrowd": int(instance.is_crowd),
        "area": int(mask.sum()),
        "bbox": [int(value) for value in box],
        "segmentation": segmentation,
    }


def run_lengths(mask: np.ndarray) -> list[int]:
    """Return COCO's uncompressed run lengths of a bool mask (H,W): column by column, zeros first.

    Example:
        >>> run_lengths(np.array([[False, True], [True, True]]))
        [1, 3]
    """
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(edges).tolist()
    return [0, *counts] if flat[0] else counts


def polygons(mask: np.ndarray) -> list[list[float]]:
    """Return the outer outlines of a bool mask (H,W) as COCO polygons, x and y in turn.

    Outlines run a quarter pixel inside the pixels' outer edges: around every pixel centre, so
    that they rasterise to the mask again. Holes are filled, as in COCO.
    """
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    y0, x0 = int(rows[0]), int(cols[0])
    part = mask[y0 : rows[-1] + 1, x0 : cols[-1] + 1].astype(np.uint8)
    double = cv2.resize(part, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    found = cv2.findContours(double, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    result = []
    for contour in found:
        points = contour[:, 0].astype(np.float64) / 2 + (0.25 + x0, 0.25 + y0)
        if len(points) >= 3:
            result.append(points.ravel().tolist())
    return result
