"""Records inside a page: as JSON where they are small, packed where they are not.

In: an `Exploration` and the frames that the page shows. Out: the text and type of a `<script>` element that
no name in it can leave; the page's script reads both kinds.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from segood.evaluation.exploration import Exploration

PLAIN_LIMIT = 1_000_000
"""Characters of JSON up to which it is embedded as it is."""


@dataclass(frozen=True)
class Embedded:
    """Content of a `<script>` of this type: JSON, or its gzip as base64."""

    type: str
    text: str


def embed(value: Any, *, limit: int = PLAIN_LIMIT) -> Embedded:
    """Write a value so that it can stand in a `<script>`.

    Args:
        value: what `json` can write, and dataclasses; NaN and infinity are refused.
        limit: most characters that are not packed.

    Example:
        >>> embed({"name": "</script>"}).text
        '{"name":"\\\\u003c/script\\\\u003e"}'
        >>> embed({"name": "</script>"}, limit=0).type
        'application/gzip;base64'
    """
    # `vars` as default is a tenth of the time of `dataclasses.asdict`, which copies every number.
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True, default=vars)
    if len(text) <= limit:
        for sign in "<>&'":
            text = text.replace(sign, f"\\u{ord(sign):04x}")
        return Embedded("application/json", text)
    packed = gzip.compress(text.encode("ascii"), compresslevel=6, mtime=0)
    return Embedded("application/gzip;base64", base64.b64encode(packed).decode("ascii"))


def with_frames(exploration: Exploration, shown: Collection[tuple[str, str]]) -> Exploration:
    """Return the record with the frames only that are shown (data set, sample id)."""
    frames = [frame for frame in exploration.frames if (frame.dataset, frame.sample_id) in shown]
    return dataclasses.replace(exploration, frames=frames)
