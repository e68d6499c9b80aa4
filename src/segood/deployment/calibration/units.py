"""What counts as one unit of a calibration set: a scene or recording, not a frame of a video.

In: the layout of a data set, sample ids. Out: the unit of each frame. Frames of one recording show the same
road, light and objects: a hundred of them tell about as much as a few, and a promise counted in frames would
be empty.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from segood.errors import UsageError

FRAME = "frame"

_LAYOUTS = {
    "lost_and_found": (r"(?:.*/)?([^/]+)/[^/]+", "scene folder"),
    "cityscapes": (r"(?:.*/)?([^/]+_\d+)_\d+", "recording: city and sequence number"),
    "camvid": (r"(?:.*/)?([^/_]+)_[^/]+", "recording: the name before the frame's number"),
    "fishyscapes_lost_and_found": (r"(?:.*/)?\d+_(.+)_\d{6}_\d{6}", "scene in the official file name"),
    "fishyscapes_static": (r"(?:.*/)?\d+_(.+_\d{6})_\d{6}", "recording in the official file name"),
}
"""Layout -> pattern of its sample ids, whose group is the unit, and what that is in words."""


def units_of(layout: str, sample_ids: Sequence[str], unit: str | None = None) -> tuple[list[str], str]:
    """Return the unit of each frame, and what a unit is in words.

    Args:
        layout: name of the data set in the registry.
        sample_ids: of all its frames.
        unit: `frame`, or a regular expression with one group, searched for in every sample id; the layout's
            own rule if not given. Where that does not fit all ids, for example of renamed files, every frame
            is a unit, and the words say so.

    Raises:
        UsageError: no regular expression of one group, or an id that it does not fit.

    Example:
        >>> units_of("lost_and_found", ["test/04_Weg/04_Weg_000000_000030", "test/05_Str/a"])
        (['04_Weg', '05_Str'], 'scene folder')
        >>> units_of("camvid", ["test/0001TP_008550", "test/Seq05VD_f00000"])[0]
        ['0001TP', 'Seq05VD']
        >>> units_of("road_anomaly_21", ["a", "b"])
        (['a', 'b'], 'frame')
        >>> units_of("road_anomaly_21", ["dusk_1", "dusk_2"], r"^(\\w+)_\\d+$")[0]
        ['dusk', 'dusk']
    """
    if unit == FRAME:
        return list(sample_ids), "frame, as asked for"
    if unit is not None:
        found = [_searched(unit, sample_id) for sample_id in sample_ids]
        return found, f"what {unit!r} finds in the sample id"
    if layout not in _LAYOUTS:
        return list(sample_ids), "frame"
    pattern, words = _LAYOUTS[layout]
    matches = [re.fullmatch(pattern, sample_id) for sample_id in sample_ids]
    names = [match[1] for match in matches if match is not None]
    if len(names) < len(matches):
        return list(sample_ids), f"frame, since the file names do not tell the {words.split(':')[0]}"
    return names, words


def _searched(unit: str, sample_id: str) -> str:
    try:
        pattern = re.compile(unit)
    except re.error as error:
        raise UsageError(f"`unit` must be 'frame' or a regular expression; {unit!r}: {error}") from None
    if pattern.groups != 1:
        raise UsageError(
            f"`unit` must have one group, which is the unit's name; {unit!r} has {pattern.groups}"
        )
    match = pattern.search(sample_id)
    if match is None or match[1] is None:
        raise UsageError(f"`unit` {unit!r} does not fit the sample id {sample_id!r}")
    return match[1]
