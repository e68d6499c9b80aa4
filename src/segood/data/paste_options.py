"""How proxy objects are placed in street scenes and blended with them: the options of `paste_objects`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from segood.checks import check_choice, check_unit_interval
from segood.data.label_spaces import LabelSpace
from segood.errors import UsageError


@dataclass(frozen=True)
class PasteOptions:
    """How objects are placed and blended.

    Attributes:
        max_objects: at most so many objects of one proxy; their number is uniform in 1..max_objects, and
            smaller where the proxy holds fewer.
        ground_ids: train ids on which objects stand; Cityscapes' road and sidewalk by default, see
            `for_label_space`. A frame without such pixels takes any place below `horizon`.
        horizon: share of the frame's height above which no object stands; also where the ground
            begins in a frame without ground pixels.
        height_range: object height as share of the frame's height, where the ground begins and at
            the frame's bottom; linear by row in between.
        height_jitter: in [0, 1); the height is multiplied by a factor uniform in 1 ± `height_jitter`.
        max_aspect: largest width in units of the height that the row allows; wider objects are
            scaled down to it.
        max_enlargement: largest scale factor, since enlarged objects are blurred.
        min_size: smallest height and width in pixels, in the proxy and as pasted; smaller ones are skipped.
        max_share: largest share of the proxy image that an object may cover; larger ones are
            rather backgrounds, and cut off on all sides.
        flip: probability in [0, 1] of mirroring an object.
        color_matching: in [0, 1]; how far mean and spread of the object's colours (CIELAB) are
            moved towards those of its surroundings.
        feather: standard deviation in pixels of the blur of the object's edge; 0 for a hard edge.

    Raises:
        UsageError: a value is outside its range.
    """

    max_objects: int = 3
    ground_ids: tuple[int, ...] = (0, 1)
    horizon: float = 0.4
    height_range: tuple[float, float] = (0.04, 0.4)
    height_jitter: float = 0.3
    max_aspect: float = 1.5
    max_enlargement: float = 1.5
    min_size: int = 8
    max_share: float = 0.9
    flip: float = 0.5
    color_matching: float = 0.4
    feather: float = 1.0

    def __post_init__(self) -> None:
        if self.max_objects < 1:
            raise UsageError(f"`max_objects` must be at least 1; got {self.max_objects}")
        for name in ("horizon", "height_jitter", "max_share", "flip", "color_matching"):
            check_unit_interval(name, getattr(self, name))
        low, high = self.height_range
        if not 0 < low <= high <= 1:
            raise UsageError(
                f"`height_range` must be (far, near) with 0 < far <= near <= 1; got {(low, high)}"
            )
        if min(self.max_aspect, self.max_enlargement, self.min_size) <= 0 or self.feather < 0:
            raise UsageError(
                "`max_aspect`, `max_enlargement` and `min_size` must be positive, `feather` at least 0; "
                f"got {self.max_aspect}, {self.max_enlargement}, {self.min_size}, {self.feather}"
            )

    @classmethod
    def for_label_space(cls, label_space: LabelSpace | None, **options: Any) -> PasteOptions:
        """Return options whose objects stand on the classes named road, sidewalk, pavement or ground.

        Args:
            label_space: of the street scenes; Cityscapes' where there is none.
            options: other attributes than their defaults; lists count as tuples, as in a configuration.

        Raises:
            UsageError: there is no such attribute, or its value is outside its range.

        Example:
            >>> from segood.data.label_spaces import CITYSCAPES
            >>> PasteOptions.for_label_space(CITYSCAPES).ground_ids
            (0, 1)
        """
        names = [field.name for field in fields(cls)]
        for name in options:
            check_choice("paste option", name, names)
        if label_space is not None and "ground_ids" not in options:
            ground = ("road", "sidewalk", "pavement", "ground")
            options["ground_ids"] = [i for i, n in enumerate(label_space.class_names) if n.lower() in ground]
        given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
        try:
            return cls(**given)
        except TypeError as error:
            raise UsageError(f"`paste` options must be numbers, or lists of them; got {options}") from error
