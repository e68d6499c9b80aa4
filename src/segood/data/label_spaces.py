"""Which train id means which class: names, colours, and the tables that lead from one space to another.

In: nothing. Out: `LabelSpace` constants and plain dictionaries `{label value on disk: train id}`.

Sources: the Cityscapes label definitions (34 label ids, 19 train ids) and the 11-class version of
CamVid (Brostow et al. 2009, in the reduction of Badrinarayanan et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass

from segood.checks import check_choice
from segood.errors import UsageError
from segood.types import IGNORE

Color = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSpace:
    """The classes a target speaks of; the index into `class_names` is the train id.

    Attributes:
        name: short name of the space.
        class_names: one name per train id.
        colors: one RGB colour, 0..255, per train id.

    Raises:
        ValueError: not as many colours as class names.

    Example:
        >>> CITYSCAPES.class_names[10], len(CITYSCAPES)
        ('sky', 19)
    """

    name: str
    class_names: tuple[str, ...]
    colors: tuple[Color, ...]

    def __post_init__(self) -> None:
        if len(self.class_names) != len(self.colors):
            raise ValueError(f"{len(self.class_names)} class names but {len(self.colors)} colours")

    def __len__(self) -> int:
        return len(self.class_names)


CITYSCAPES = LabelSpace(
    "cityscapes",
    (
        *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign"),
        *("vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train"),
        *("motorcycle", "bicycle"),
    ),
    (
        *((128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153)),
        *((153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152)),
        *((70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70)),
        *((0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32)),
    ),
)
"""The 19 train ids of Cityscapes with their official colours."""

CAMVID11 = LabelSpace(
    "camvid",
    (
        *("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car"),
        *("pedestrian", "bicyclist"),
    ),
    (
        *((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0)),
        *((192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)),
    ),
)
"""The 11 train ids of CamVid; label value 11 is void."""

_CITYSCAPES_LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)

CITYSCAPES_LABEL_IDS_TO_TRAIN_IDS: dict[int, int] = {
    # 255 is the licence plate's label id -1 as an unsigned byte
    **dict.fromkeys((*range(34), 255), IGNORE),
    **{label_id: train_id for train_id, label_id in enumerate(_CITYSCAPES_LABEL_IDS)},
}
"""The 34 label ids of `*_labelIds.png` to 19 train ids, all others to `IGNORE`."""

CITYSCAPES_TRAIN_IDS: dict[int, int] = {**{i: i for i in range(len(CITYSCAPES))}, IGNORE: IGNORE}
"""The values of `*_labelTrainIds.png`, which are train ids already."""

CAMVID_TO_CAMVID: dict[int, int] = {**{i: i for i in range(len(CAMVID11))}, 11: IGNORE}
"""CamVid's label values to its own train ids."""

CAMVID_TO_CITYSCAPES: dict[int, int] = {
    **{0: 10, 1: 2, 2: 5, 3: 0, 4: 1, 5: 8, 6: 7, 7: 4, 8: 13, 9: 11},
    # Cityscapes splits a bicyclist into rider and bicycle, so this class has no counterpart
    **{10: IGNORE, 11: IGNORE},
}
"""CamVid's label values to Cityscapes train ids."""


def get_label_space(name: str) -> LabelSpace:
    """Return the label space called `name`.

    Args:
        name: `cityscapes` or `camvid`.

    Returns:
        `CITYSCAPES` (19 classes) or `CAMVID11`.

    Raises:
        UsageError: there is no such space.

    Example:
        >>> get_label_space("camvid").class_names[0]
        'sky'
    """
    spaces = {space.name: space for space in (CITYSCAPES, CAMVID11)}
    check_choice("label_space", name, spaces)
    return spaces[name]


def own_label_space(class_names: Sequence[str]) -> LabelSpace:
    """Return a label space of classes of one's own, with colours that differ.

    Args:
        class_names: one per train id, at least 2, all different.

    Raises:
        UsageError: fewer, one that is no text, or the same twice.

    Example:
        >>> own_label_space(["free", "shelf", "person"]).colors
        ((214, 63, 63), (63, 107, 214), (151, 214, 63))
    """
    names = tuple(class_names)
    if len(names) < 2 or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise UsageError(f"`label_space` must list at least 2 different names of classes; got {list(names)}")
    golden = 0.61803398875  # of a turn: neighbours in the list are far apart on the wheel
    wheel = [hsv_to_rgb(index * golden % 1, 0.705, 0.84) for index in range(len(names))]
    colors = [(round(red * 255), round(green * 255), round(blue * 255)) for red, green, blue in wheel]
    return LabelSpace("own", names, tuple(colors))
