"""The folder that a prediction goes to: whose it is, what its files are called, its summary.

In: a path, settings, counts. Out: the claimed folder, `summary.json`, names of pictures.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from segood import runs
from segood.deployment.drift import DriftWatch
from segood.errors import UsageError
from segood.files import write_json

if TYPE_CHECKING:
    from segood.deployment.streaming import FrameResult, StreamSummary
    from segood.deployment.tracking import Tracker
    from segood.segments.region import Region

FRAMES = "frames.jsonl"
SUMMARY = "summary.json"
OVERLAYS = "overlays"
COCO = "coco_results.json"
_FORMAT, _VERSION = "segood.predict", 1


def claim(out: Path, settings: Mapping[str, Any], resume: bool) -> bool:
    """Accept a new or empty folder, or one that an earlier call with the same settings left.

    Returns:
        Whether an earlier call left something.

    Raises:
        UsageError: the folder holds something else, or `resume` is off, or the settings are others.
    """
    before = earlier_prediction(out / SUMMARY)
    if before is None:
        runs.claim_run(out, remedy="choose another --out, or remove it")
        return False
    if not resume:
        state = "a finished" if before["complete"] else "an unfinished"
        raise UsageError(
            f"output folder {out} holds {state} prediction; choose another --out, remove it, or --resume it"
        )
    now = json.loads(json.dumps(settings))  # tuples read back as lists
    changed = sorted(key for key in now if now[key] != before["settings"].get(key))
    if changed:
        raise UsageError(
            f"output folder {out} was made with another {' and '.join(changed)}; "
            "give the same again, or choose another --out"
        )
    return True


def earlier_prediction(path: Path) -> dict[str, Any] | None:
    """Return the summary of an earlier call, `None` where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] == _FORMAT and isinstance(found["settings"], dict) and "complete" in found:
            return dict(found)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


@dataclass
class Watched:
    """Drift over the frames of this call, at most one a second where frames have times.

    Args:
        watch: fed with frames.
        region: of the monitor.
    """

    watch: DriftWatch
    region: Region | None
    last: float = -math.inf

    @classmethod
    def of(cls, monitor: Any) -> Watched | None:
        """Return a watch on what a monitor was calibrated for; None where it was not."""
        reference = getattr(monitor, "reference", None)
        return None if reference is None else cls(DriftWatch(reference), monitor.region)

    def add(self, result: FrameResult) -> None:
        """Take a frame into account; neighbouring frames of a video show nearly the same."""
        if result.timestamp is not None:
            if result.timestamp < self.last + 1:
                return
            self.last = result.timestamp
        self.watch.see(result.detection, self.region)


@dataclass
class Report:
    """Writes `summary.json`.

    Args:
        path: of the file.
        settings: all that the answers depend on.
        video: file that shows the answers, if there is one.
        summary: counts of all frames.
        tracker: counts the tracks.
        clock: seconds.
        watched: compares what is seen with the calibration set, if the monitor knows that.
    """

    path: Path
    settings: Mapping[str, Any]
    video: str | Path | None
    summary: StreamSummary
    tracker: Tracker | None
    clock: Callable[[], float]
    watched: Watched | None = None

    def __post_init__(self) -> None:
        self._frames, self._start = 0, self.clock()

    def count(self, result: FrameResult) -> None:
        """Count one frame that this call has answered."""
        self.summary.add(result)
        self._frames += 1
        if self.watched is not None:
            self.watched.add(result)

    def write(self, *, complete: bool) -> dict[str, Any]:
        """Write the file and return what it holds."""
        spent = self.clock() - self._start
        values = {
            "format": _FORMAT,
            "version": _VERSION,
            "complete": complete,
            "settings": dict(self.settings),
            "video": None if self.video is None else str(self.video),
            **self.summary.to_dict(),
            "tracks": None if self.tracker is None else self.tracker.num_reported,
            "drift": None if self.watched is None else self.watched.watch.report().to_dict(),
            "this_call": {
                "frames": self._frames,
                "seconds": round(spent, 3),
                "frames_per_second": round(self._frames / spent, 3) if spent > 0 else None,
            },
        }
        write_json(self.path, values)
        return values


class OverlayNames:
    """Names of pictures, all different, on file systems without upper case, too.

    Example:
        >>> names = OverlayNames()
        >>> [names(name) for name in ("a.png", "x/a.png", "x/A.png", "b.mp4#7", "camera:0#12")]
        ['a', 'a_2', 'A_3', 'b_000007', 'camera_0_000012']
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        """Return the next name for a frame of this name."""
        numbered = re.fullmatch(r"(.*)#(\d+)", name, re.S)
        if numbered:  # all different as they are
            return f"{_plain(PurePath(numbered[1]).stem)}_{int(numbered[2]):06d}"
        stem = _plain(PurePath(name).stem)
        count = self._next.get(stem.casefold(), 1)
        found = stem if count == 1 else f"{stem}_{count}"
        while found.casefold() in self._taken:
            count += 1
            found = f"{stem}_{count}"
        self._next[stem.casefold()] = count + 1
        self._taken.add(found.casefold())
        return found


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text).strip(".") or "frame"
