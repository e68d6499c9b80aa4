"""What `PixelMetrics.state_dict` holds besides the counts: checked and read back.

In: plain data, perhaps from a file. Out: the frozen records it stands for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segood.errors import UsageError
from segood.evaluation.curves import PixelNumbers
from segood.evaluation.exact import Resolved
from segood.evaluation.per_image import ImageNumbers

_ENTRIES = ("range", "spacing", "num_bins", "num_in", "num_ood")


def check_state(state: Mapping[str, Any], version: int) -> None:
    """Raise `UsageError` for another format or a missing entry."""
    if state.get("format") != version:
        raise UsageError(
            f"`state` must be a pixel metric state of format {version}; got {state.get('format')!r}"
        )
    missing = [key for key in _ENTRIES if key not in state]
    if missing:
        raise UsageError(f"`state` lacks {', '.join(missing)}; pass what `state_dict()` returned")


def images_of(state: Mapping[str, Any], wanted: bool) -> list[ImageNumbers]:
    """Return the frames of a state; none if they are not wanted.

    Raises:
        UsageError: they are wanted, but were not kept or are of another kind.
    """
    if not wanted:
        return []
    if state.get("images") is None:
        raise UsageError("`state` holds no frames; it was saved without `per_image=True`")
    try:
        return [ImageNumbers(**image) for image in state["images"]]
    except TypeError as error:
        raise UsageError(f"`state` holds frames of another version: {error}") from None


def resolved_of(state: Mapping[str, Any]) -> Resolved | None:
    """Return what the second pass had found, or None.

    Raises:
        UsageError: it is of another kind.
    """
    raw = state.get("resolved")
    if raw is None:
        return None
    try:
        points = {name: _point(raw[name]) for name in ("fpr95", "best_f1")}
        return Resolved(PixelNumbers(**raw["numbers"]), num_passes=int(raw["num_passes"]), **points)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"`state` holds a second pass of another version: {error}") from None


def _point(raw: Any) -> tuple[float, int, int]:
    threshold, tp, fp = raw
    return float(threshold), int(tp), int(fp)
