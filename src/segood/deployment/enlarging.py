"""What was found at one size, told at another: from the monitor's frame back to the camera's image.

In: a `Detection` and the image it was asked about. Out: the same objects in pixels of that image, without
small ones where that is asked for. Features keep the pixels they were computed in, since the meta classifier
knows those.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segood.deployment.detection import Detection, UnknownObject
from segood.deployment.frame_segments import boxes_of


def enlarged(found: Detection, image: np.ndarray) -> Detection:
    """Return a detection at the size of `image`; itself where it has it.

    Maps are resized by their nearest pixel, so that a pixel belongs to the object it belonged to; boxes and
    areas are those of the resized labels. An object that would vanish, because the image is smaller than the
    frame, keeps the pixel of its centre, in the labels too unless another one lies there.
    """
    size = (image.shape[0], image.shape[1])
    given = found.labels.shape
    if given == size:
        return replace(found, image=image) if found.image is not image else found
    rows, cols = (
        np.minimum(((np.arange(n) + 0.5) * m / n).astype(np.intp), m - 1)
        for n, m in zip(size, given, strict=True)
    )
    cells = np.ix_(rows, cols)
    labels = found.labels[cells]
    count = len(found.feature_table)
    boxes = boxes_of(labels, count).tolist()
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:].tolist()
    down, right = size[0] / given[0], size[1] / given[1]

    def scaled(thing: UnknownObject) -> UnknownObject:
        row, col = (thing.center[0] + 0.5) * down - 0.5, (thing.center[1] + 0.5) * right - 0.5
        box, area = boxes[thing.id - 1], areas[thing.id - 1]
        if not area:
            r, c = min(max(round(row), 0), size[0] - 1), min(max(round(col), 0), size[1] - 1)
            box, area = [r, c, r + 1, c + 1], 1
            labels[r, c] = labels[r, c] or thing.id
        return replace(thing, box=(box[0], box[1], box[2], box[3]), center=(row, col), area=area)

    return replace(
        found,
        objects=tuple(map(scaled, found.objects)),
        removed=tuple(map(scaled, found.removed)),
        score=found.score[cells],
        classes=found.classes[cells],
        labels=labels,
        image=image,
    )


def without_small(found: Detection, min_area: int) -> Detection:
    """Return a detection whose objects of fewer pixels are among the removed segments."""
    small = {thing.id for thing in found.objects if thing.area < min_area}
    if not small:
        return found
    return replace(
        found,
        objects=tuple(thing for thing in found.objects if thing.id not in small),
        removed=tuple(
            sorted(
                (*found.removed, *(thing for thing in found.objects if thing.id in small)),
                key=lambda thing: thing.id,
            )
        ),
    )
