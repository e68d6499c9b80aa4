"""Which COCO categories may not occur in a proxy image: three presets, or a list of names.

In: a preset's name or category names. Out: the names, checked against COCO's 80 categories.

Source: `paper` is the list published with the paper; the other two extend it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from segood.checks import check_choice
from segood.errors import UsageError

# COCO's names of the classes that Cityscapes has too; the published list leaves out "train".
_PAPER = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "traffic light", "stop sign")
_CITYSCAPES = (*_PAPER, "train")
# Categories that occur as OoD objects in the evaluation sets, as far as COCO names them:
_EVALUATED = (
    # animals: RoadAnomaly, RoadAnomaly21, Fishyscapes Static, and the dogs of LostAndFound. All ten
    # animals of COCO, since the sets also hold relatives (deer, sloth, turkeys) that no category names.
    *("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
    # the other Pascal VOC categories, from which Fishyscapes Static takes its overlays
    *("airplane", "boat", "bottle", "chair", "couch", "potted plant", "dining table", "tv"),
    # balls and soft toys on the road: LostAndFound, Fishyscapes L&F, RoadObstacle21
    *("sports ball", "teddy bear"),
)

PRESETS: dict[str, tuple[str, ...]] = {
    "cityscapes": _CITYSCAPES,
    "paper": _PAPER,
    "disjoint": (*_CITYSCAPES, *_EVALUATED),
}
"""Excluded categories by preset: `cityscapes` (default) all classes that Cityscapes has, `paper` the
published list, `disjoint` also what occurs as OoD object in the evaluation sets, so that a result
shows what was learnt about objects never seen."""

# fmt: off
COCO_CATEGORIES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase",
    "scissors", "teddy bear", "hair drier", "toothbrush",
)
# fmt: on
"""The 80 categories of COCO 2017."""


def resolve_excluded(
    excluded: str | Sequence[str], known: Iterable[str] = (), *, option: str = "excluded"
) -> tuple[str, tuple[str, ...]]:
    """Return preset name and excluded categories.

    Args:
        excluded: a preset (see `PRESETS`), or category names; an empty list excludes nothing.
        known: categories of the annotation file, valid besides those of COCO.
        option: what errors call it.

    Returns:
        `(preset, names)`; preset is `custom` for a list.

    Raises:
        UsageError: unknown preset or category; names the nearest valid one.

    Example:
        >>> resolve_excluded(["persn"])
        Traceback (most recent call last):
        segood.errors.UsageError: `excluded` names 'persn', which is no category here (did you mean 'person'?)
    """
    if isinstance(excluded, str):
        check_choice(option, excluded, PRESETS)
        return excluded, PRESETS[excluded]
    valid = {*COCO_CATEGORIES, *known}
    for name in excluded:
        if name not in valid:
            near = get_close_matches(str(name), sorted(valid), n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else f"; valid are {', '.join(sorted(valid))}"
            raise UsageError(f"`{option}` names {name!r}, which is no category here{hint}")
    return "custom", tuple(dict.fromkeys(excluded))
