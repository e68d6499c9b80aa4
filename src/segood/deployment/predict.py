"""A monitor over a stream, into a folder: what `segood predict` does.

In: a monitor and a source. Out: a folder with `frames.jsonl` (a line per frame, appended at once), `summary.json`,
on demand `overlays/{name}.png`, a video, `coco_results.json`. A call that was cut off, even by kill -9, is gone on
with: frames that have their line are not done again, and the result is that of a call that was not cut off.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from segood import runs
from segood.deployment.annotate import annotate
from segood.deployment.frame_checks import FrameChecks, StreamGuard
from segood.deployment.frame_record import frame_record, objects_of
from segood.deployment.sinks import FrameLog, VideoSink, read_records, write_coco
from segood.deployment.sources import Frame, Rest, Source, as_source, import_opencv
from segood.deployment.stream import FrameResult, StreamSummary, stream
from segood.deployment.tracking import Tracker
from segood.errors import UsageError
from segood.files import write_json
from segood.progress import Progress, no_progress

if TYPE_CHECKING:
    from segood.deployment.monitor import Monitor

FRAMES = "frames.jsonl"
SUMMARY = "summary.json"
OVERLAYS = "overlays"
COCO = "coco_results.json"
_FORMAT = "segood.predict"


@dataclass(frozen=True)
class PredictOptions:
    """How a stream is run, and what is written.

    Args:
        checks: what a frame has to be; `None` asks the network whatever comes.
        report_after: k of `window`: report an object when it was seen in k of the last n frames; `None`
            reports all at once, without track numbers.
        window: n.
        deadline: seconds that an answer may take; `None` for any time.
        overlays: write a picture per frame.
        video: file for a video of these pictures, .mp4 or .avi.
        rate: its pictures per second; those of the source, or 10, where `None`.
        coco: write `coco_results.json`.
    """

    checks: FrameChecks | None = FrameChecks()  # noqa: RUF009 - frozen
    report_after: int | None = None
    window: int = 5
    deadline: float | None = None
    overlays: bool = False
    video: str | Path | None = None
    rate: float | None = None
    coco: bool = False

    def tracker(self) -> Tracker | None:
        """Return a new tracker, where one is wanted."""
        return None if self.report_after is None else Tracker(self.report_after, self.window)

    def that_decide(self) -> dict[str, Any]:
        """Return what the answers depend on, as plain data."""
        return {
            "checks": None if self.checks is None else dataclasses.asdict(self.checks),
            "tracking": None if self.report_after is None else f"{self.report_after}/{self.window}",
            "deadline_ms": None if self.deadline is None else round(self.deadline * 1000, 3),
        }


def predict_frames(
    monitor: Monitor,
    frames: Source | Iterable[Any],
    out: str | Path,
    options: PredictOptions = PredictOptions(),  # noqa: B008 - frozen
    *,
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
    progress: Progress = no_progress,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Run a monitor over frames and write what it says.

    Args:
        monitor: network, threshold, meta classifier.
        frames: a source, see `segood.deployment.open_source`, or an iterable of arrays.
        out: folder: new or empty, or with `resume` what an earlier call left.
        options: how, and what is written.
        resume: go on with `out` after its last frame. The frames, the monitor and all that answers depend on
            have to be the same; a camera just goes on.
        about: more on the monitor, to be stored and compared with it, such as the digest of its bundle.
        progress: told the number of frames, 0 where it is not known; see `segood.progress.Progress`.
        clock: see `stream`.

    Returns:
        What `summary.json` holds, see docs/monitor.md.

    Raises:
        UsageError: `out` holds something else; it was made from other frames or by another monitor; an
            option breaks its rule, or needs OpenCV where there is none.
        DataError: `frames.jsonl` is damaged, or the camera delivers no more.
        OutputError: a file cannot be written.
        KeyboardInterrupt: of the user, after everything was closed well; a camera then ends normally.
    """
    source, out = as_source(frames), Path(out)
    if options.overlays or options.video is not None:
        import_opencv("a picture of the objects")
    tracker = options.tracker()
    settings = {"monitor": {**describe_monitor(monitor), **(about or {})}, **options.that_decide()}
    _claim(out, settings, resume)
    summary = StreamSummary()
    report = _Report(out / SUMMARY, settings, source, summary, tracker, clock)
    report.write(complete=False)  # from here on the folder is known as ours
    with FrameLog(out / FRAMES) as log, _video(options, source) as video:
        guard = None if options.checks is None else StreamGuard(options.checks)
        names = _OverlayNames()
        for _ in _replay(log, source, guard, tracker, summary, names, video):
            pass
        rest = Rest(source, log.count)
        tick = progress("frames", rest.length or 0)
        complete = False
        try:
            answers = stream(
                monitor, rest, checks=guard, tracker=tracker, deadline=options.deadline, clock=clock
            )
            for result in answers:
                _write(result, out, options.overlays, names, log, video)
                summary.add(result)
                report.done += 1
                tick()
            complete = True
        except KeyboardInterrupt:
            if not source.live:
                raise
            complete = True  # a camera has no other end
        finally:
            values = report.write(complete=complete)
    if options.coco:
        write_coco(out / FRAMES, out / COCO)
    return values


def describe_monitor(monitor: Monitor) -> dict[str, Any]:
    """Return what tells a monitor from others, as plain data."""
    return {
        "label": monitor.label,
        "score": monitor.score_name,
        "threshold": monitor.threshold,
        "probability_threshold": monitor.probability_threshold,
        "region": None if monitor.region is None else monitor.region.to_dict(),
    }


def _claim(out: Path, settings: Mapping[str, Any], resume: bool) -> None:
    """Accept a new or empty folder, or one that an earlier call with the same settings left."""
    before = _earlier(out / SUMMARY)
    if before is None:
        runs.claim_run(out, remedy="choose another --out, or remove it")
        return
    state = "a finished" if before["complete"] else "an unfinished"
    if not resume:
        raise UsageError(
            f"output folder {out} holds {state} prediction; choose another --out, remove it, or --resume it"
        )
    if before["settings"] != settings:
        changed = [k for k in settings if settings[k] != before["settings"].get(k)]
        raise UsageError(
            f"output folder {out} was made with other settings ({', '.join(changed)}); "
            "give the same again, or choose another --out"
        )


def _earlier(path: Path) -> dict[str, Any] | None:
    """Return the summary of an earlier call, `None` where it is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        ours = found["format"] == _FORMAT and {"complete", "settings"} <= set(found)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if ours else None


@dataclass
class _Report:
    """Writes `summary.json`."""

    path: Path
    settings: Mapping[str, Any]
    source: Source
    summary: StreamSummary
    tracker: Tracker | None
    clock: Callable[[], float]
    done: int = 0

    def __post_init__(self) -> None:
        self._start = self.clock()

    def write(self, *, complete: bool) -> dict[str, Any]:
        spent = self.clock() - self._start
        values = {
            "format": _FORMAT,
            "version": 1,
            "complete": complete,
            "settings": dict(self.settings),
            **self.summary.to_dict(),
            "tracks": None if self.tracker is None else self.tracker.num_reported,
            "this_call": {
                "frames": self.done,
                "seconds": round(spent, 3),
                "frames_per_second": round(self.done / spent, 3) if spent > 0 else None,
            },
        }
        write_json(self.path, values)
        return values


def _replay(
    log: FrameLog,
    source: Source,
    guard: StreamGuard | None,
    tracker: Tracker | None,
    summary: StreamSummary,
    names: _OverlayNames,
    video: VideoSink | None,
) -> Iterator[None]:
    """Bring everything to where it was after the frames that have their line."""
    pictures = source.frames() if video is not None and not source.live else None
    if not source.live and source.length is not None and log.count > source.length + 1:
        raise UsageError(f"{log.path} holds {log.count} frames, but only {source.length} are given")
    for record in read_records(log.path):
        index = record["index"]
        summary.add_record(record)
        names.take(record["name"])
        frame = None if pictures is None else next(pictures, None)
        if video is not None:
            video.write(annotate(None if frame is None else frame.image, record))
        if not source.live:
            _check_same_frame(log.path, record, source, frame)
            if guard is not None:
                guard.saw(record["digest"], record["timestamp"])
            if tracker is not None and record["no_verdict"] is None:
                tracker.update(objects_of(record))
            elif tracker is not None:
                tracker.skip()
        yield
        del index


def _check_same_frame(path: Path, record: Mapping[str, Any], source: Source, frame: Frame | None) -> None:
    raise NotImplementedError
