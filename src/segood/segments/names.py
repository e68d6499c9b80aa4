"""What the features are called: our words, the published short names, and groups for people.

One table, three views. For q classes there are 37 + 2q features in this order:

| our name                       | published  | meaning                                           |
| ------------------------------ | ---------- | ------------------------------------------------- |
| `{map}_mean`                   | `E`        | mean of a dispersion map over the segment         |
| `{map}_mean_interior`          | `E_in`     | … over its interior (0 if none)                   |
| `{map}_mean_boundary`          | `E_bd`     | … over its boundary (0 if none)                   |
| `{map}_mean_relative`          | `E_rel`    | mean · size / boundary size                       |
| `{map}_mean_relative_interior` | `E_rel_in` | interior mean · interior size / boundary size     |
| `{map}_variance`, …            | `E_var`, … | the same five from the variances                  |
| `size`                         | `S`        | number of pixels                                  |
| `size_interior`                | `S_in`     | … of the interior                                 |
| `size_boundary`                | `S_bd`     | … of the boundary                                 |
| `size_relative`                | `S_rel`    | size / boundary size                              |
| `size_relative_interior`       | `S_rel_in` | interior size / boundary size                     |
| `center_row`                   | `mean_x`   | mean row (the published x is the row)             |
| `center_col`                   | `mean_y`   | mean column                                       |
| `class_probability_{c}`        | `cprob{c}` | mean softmax probability of class c               |
| `neighbor_share_{c}`           | `ndist{c}` | share of neighbouring pixels predicted as class c |

`{map}` is `entropy` (E), `margin` (D = 1 - p₁ + p₂) or `variation_ratio` (V = 1 - p₁).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from segood.errors import UsageError

MAPS = {"entropy": "E", "margin": "D", "variation_ratio": "V"}
"""Dispersion maps: our name -> published letter."""

STATISTICS = {
    "mean": "",
    "mean_interior": "_in",
    "mean_boundary": "_bd",
    "mean_relative": "_rel",
    "mean_relative_interior": "_rel_in",
    "variance": "_var",
    "variance_interior": "_var_in",
    "variance_boundary": "_var_bd",
    "variance_relative": "_var_rel",
    "variance_relative_interior": "_var_rel_in",
}
"""Statistics of a dispersion map: our suffix -> published suffix."""

_SIZES = {
    "size": "S",
    "size_interior": "S_in",
    "size_boundary": "S_bd",
    "size_relative": "S_rel",
    "size_relative_interior": "S_rel_in",
}
_CENTER = {"center_row": "mean_x", "center_col": "mean_y"}


@dataclass(frozen=True)
class FeatureGroup:
    """Features that answer one question.

    Attributes:
        name: start of the features' names.
        title: a word or two for people.
        question: the words a report shows.

    Example:
        >>> FEATURE_GROUPS[0].question
        'How unsure is the network about the class, over all classes?'
    """

    name: str
    title: str
    question: str


FEATURE_GROUPS = (
    FeatureGroup("entropy", "Entropy", "How unsure is the network about the class, over all classes?"),
    FeatureGroup("margin", "Probability margin", "How close is the second most likely class to the first?"),
    FeatureGroup("variation_ratio", "Variation ratio", "How much probability does the predicted class lack?"),
    FeatureGroup("size", "Size and shape", "How large is the segment, and how ragged is its outline?"),
    FeatureGroup("center", "Position", "Where in the image does the segment lie?"),
    FeatureGroup(
        "class_probability", "Class probabilities", "Which known classes does the segment resemble?"
    ),
    FeatureGroup("neighbor_share", "Neighbourhood", "Which known classes surround the segment?"),
)
"""The seven groups in the order of the features; a feature's name starts with its group's name."""


def published_names(classes: int | Sequence[str]) -> dict[str, str]:
    """Map our feature names to the published ones, in feature order.

    Args:
        classes: number of classes q ≥ 2, or their names (only counted).

    Returns:
        37 + 2q entries, our name -> published name.

    Raises:
        UsageError: fewer than two classes.

    Example:
        >>> names = published_names(19)
        >>> len(names), names["entropy_mean_boundary"], names["center_row"]
        (75, 'E_bd', 'mean_x')
    """
    count = classes if isinstance(classes, int) else len(classes)
    if count < 2:
        raise UsageError(f"`classes` must be at least 2 classes; got {count}")
    table = {
        f"{ours}_{statistic}": letter + suffix
        for ours, letter in MAPS.items()
        for statistic, suffix in STATISTICS.items()
    }
    table |= _SIZES | _CENTER
    table |= {f"class_probability_{c}": f"cprob{c}" for c in range(count)}
    table |= {f"neighbor_share_{c}": f"ndist{c}" for c in range(count)}
    return table


def feature_names(classes: int | Sequence[str]) -> list[str]:
    """List the feature names in order; the columns of `Segments.features`.

    Args:
        classes: number of classes q ≥ 2, or their names (only counted).

    Returns:
        37 + 2q names, in the order of the table in this module.

    Raises:
        UsageError: fewer than two classes.

    Example:
        >>> feature_names(2)[-4:]
        ['class_probability_0', 'class_probability_1', 'neighbor_share_0', 'neighbor_share_1']
    """
    return list(published_names(classes))


def feature_group(name: str) -> FeatureGroup:
    """Find the group a feature belongs to.

    Args:
        name: one of `feature_names`.

    Returns:
        One of `FEATURE_GROUPS`.

    Raises:
        UsageError: no group has such a feature.

    Example:
        >>> feature_group("neighbor_share_3").title
        'Neighbourhood'
    """
    for group in FEATURE_GROUPS:
        if name == group.name or name.startswith(group.name + "_"):
            return group
    raise UsageError(f"`name` must be a segment feature such as entropy_mean or size; got {name!r}")


def describe_feature(name: str, class_names: Sequence[str] | None = None) -> str:
    """Say in words what a feature measures.

    Args:
        name: one of `feature_names`.
        class_names: names for the class numbers, if known.

    Returns:
        A phrase without full stop, starting in lower case.

    Raises:
        UsageError: no feature is called so.

    Example:
        >>> describe_feature("entropy_mean_boundary")
        'mean entropy along the boundary'
        >>> describe_feature("neighbor_share_0", ["road", "sky"])
        'share of road among the neighbouring pixels'
    """
    group = feature_group(name)
    if group.name in ("class_probability", "neighbor_share"):
        match = re.fullmatch(r"\d+", name[len(group.name) + 1 :])
        if match is None:
            raise UsageError(f"`name` must end in a class number; got {name!r}")
        number = int(match[0])
        known = class_names is not None and number < len(class_names)
        label = class_names[number] if known and class_names is not None else f"class {number}"
        if group.name == "class_probability":
            return f"mean probability of {label}"
        return f"share of {label} among the neighbouring pixels"
    if name in _WORDS:
        return _WORDS[name]
    statistic = name[len(group.name) + 1 :]
    if group.name not in MAPS or statistic not in STATISTICS:
        raise UsageError(f"`name` must be a segment feature such as entropy_mean or size; got {name!r}")
    kind, _, where = statistic.partition("_")
    return f"{kind}{' of' if kind == 'variance' else ''} {group.title.lower()}{_PLACES[where]}"


_WORDS = {
    "size": "number of pixels",
    "size_interior": "number of interior pixels",
    "size_boundary": "number of boundary pixels",
    "size_relative": "pixels per boundary pixel (compactness)",
    "size_relative_interior": "interior pixels per boundary pixel",
    "center_row": "height in the image (row of the centre, downwards)",
    "center_col": "horizontal position (column of the centre)",
}
_PLACES = {
    "": " over the segment",
    "interior": " in the interior",
    "boundary": " along the boundary",
    "relative": ", times pixels per boundary pixel",
    "relative_interior": " in the interior, times interior pixels per boundary pixel",
}
