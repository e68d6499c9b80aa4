"""A monitor over a stream, into a folder: what `segood predict` does.

In: a monitor and a source. Out: a folder with `frames.jsonl` (a line per frame, appended at once),
`summary.json`, on demand `overlays/{name}.jpg`, a video, `coco_results.json`. A call that was cut off, even
by kill -9, can be gone on with: frames that have their line are not done again, and in the end the files are
those of a call that was not cut off.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from segood import runs
from segood.checks import check_choice
from segood.deployment.annotate import annotate
from segood.deployment.frame_checks import FrameChecks, StreamGuard
from segood.deployment.frame_record import frame_record, objects_of
from segood.deployment.predict_folder import (
    COCO,
    FRAMES,
    OVERLAYS,
    SUMMARY,
    OverlayNames,
    Report,
    Watched,
    claim,
    earlier_prediction,
)
from segood.deployment.sinks import CODECS, FrameLog, VideoSink, read_records, write_coco
from segood.deployment.sources import Rest, Source, as_source, import_opencv
from segood.deployment.streaming import FrameResult, StreamSummary, check_deadline, stream
from segood.deployment.tracking import Tracker
from segood.errors import UsageError
from segood.files import remove_unfinished, write_image
from segood.progress import Progress, no_progress

if TYPE_CHECKING:
    from segood.deployment.monitor import Monitor


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

    Raises:
        UsageError: a value breaks its rule.
    """

    checks: FrameChecks | None = FrameChecks()  # noqa: RUF009 - frozen
    report_after: int | None = None
    window: int = 5
    deadline: float | None = None
    overlays: bool = False
    video: str | Path | None = None
    rate: float | None = None
    coco: bool = False

    def __post_init__(self) -> None:
        self.tracker()
        check_deadline(self.deadline)
        if self.video is not None:
            check_choice("video suffix", Path(self.video).suffix.lower(), CODECS)
        if self.rate is not None and not 0 < self.rate < 1000:
            raise UsageError(f"`rate` must be a number of frames per second in (0, 1000); got {self.rate}")

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
    options: PredictOptions = PredictOptions(),
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
            option breaks its rule, or needs OpenCV where there is none; another process writes to `out`.
        DataError: `frames.jsonl` is damaged, or the camera delivers no more.
        OutputError: a file cannot be written.
        KeyboardInterrupt: of the user, after everything was closed well; a camera then ends normally.
    """
    source, out = as_source(frames), Path(out)
    if options.video is not None:
        import_opencv("video")
    settings = {"monitor": {**describe_monitor(monitor), **(about or {})}, **options.that_decide()}
    state = _State(
        None if options.checks is None else StreamGuard(options.checks),
        options.tracker(),
        StreamSummary(),
        OverlayNames(),
    )
    with runs.locked(out):
        _check_video(options, source, out, resume)
        known = claim(out, settings, resume)
        report = Report(
            out / SUMMARY, settings, options.video, state.summary, state.tracker, clock, Watched.of(monitor)
        )
        if not known:
            report.write(complete=False)  # from here on the folder is known as ours
        elif options.video is not None:
            remove_unfinished(Path(options.video))
        with _video(options, source) as video, FrameLog(out / FRAMES) as log:
            state.replay(log, source, video)
            rest, complete = Rest(source, log.count), False
            tick = progress("predict", rest.length or 0)
            try:
                report.write(complete=False)
                for result in stream(
                    monitor,
                    rest,
                    checks=state.guard,
                    tracker=state.tracker,
                    deadline=options.deadline,
                    clock=clock,
                ):
                    _write(result, out, options.overlays, state.names, log, video)
                    report.count(result)
                    tick()
                complete = True
            except KeyboardInterrupt:
                if not source.live:
                    raise
                complete = True  # a camera has no other end
            finally:
                report.write(complete=False)
        if options.coco:
            write_coco(out / FRAMES, out / COCO)
        return report.write(complete=complete)  # everything else is there


def parse_track(text: str | None) -> tuple[int | None, int]:
    """Return k and n of `k/n`; no k without text.

    Raises:
        UsageError: something else.

    Example:
        >>> parse_track("3/5"), parse_track(None)
        ((3, 5), (None, 5))
    """
    if text is None:
        return None, 5
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) <= 64:
        raise UsageError(f"`track` must be k/n with 1 <= k <= n <= 64, such as 3/5; got {text!r}")
    return int(match[1]), int(match[2])


def parse_checks(given: bool | Mapping[str, Any]) -> FrameChecks | None:
    """Return the checks that true, false or some of their values mean.

    Raises:
        UsageError: an unknown name, or a value that breaks its rule.

    Example:
        >>> parse_checks({"frozen_after": 30}).frozen_after, parse_checks(False)
        (30, None)
    """
    if isinstance(given, bool):
        return FrameChecks() if given else None
    known = {field.name for field in dataclasses.fields(FrameChecks)}
    for name, value in given.items():
        check_choice("checks", name, sorted(known))
        if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
            raise UsageError(f"`checks.{name}` must be a number; got {value!r}")
    try:
        return FrameChecks(**given)
    except TypeError:  # none where a number is needed
        raise UsageError("only `frozen_after` and `stale_after` of `checks` may be none") from None


def describe_monitor(monitor: Monitor) -> dict[str, Any]:
    """Return what tells a monitor from others, as plain data."""
    return {
        "label": monitor.label,
        "score": monitor.score_name,
        "threshold": monitor.threshold,
        "probability_threshold": monitor.probability_threshold,
        "region": None if monitor.region is None else monitor.region.to_dict(),
        "min_area": monitor.min_area,
    }


@dataclass
class _State:
    """All that goes on from frame to frame."""

    guard: StreamGuard | None
    tracker: Tracker | None
    summary: StreamSummary
    names: OverlayNames

    def replay(self, log: FrameLog, source: Source, video: VideoSink | None) -> None:
        """Bring everything to where it was after the frames that have their line."""
        if source.length is not None and log.count > source.length:
            raise UsageError(
                f"{log.path} holds {log.count} frames, but only {source.length} are given; "
                "give the same frames, or choose another --out"
            )
        pictures = source.frames() if video is not None and log.count and not source.live else None
        for record in read_records(log.path):
            frame = None if pictures is None else next(pictures, None)
            if video is not None and not source.live:
                video.write(annotate(None if frame is None else frame.image, record))
            self.summary.add_record(record)
            self.names(record["name"])
            if source.live:
                continue  # what the camera saw before says nothing on what it sees now
            name = source.name_of(record["index"])
            if name != record["name"]:
                raise UsageError(
                    f"{log.path}: frame {record['index']} is {record['name']}, now it is {name}; "
                    "give the same frames, or choose another --out"
                )
            if self.guard is not None:
                self.guard.saw(record["digest"], record["timestamp"])
            if self.tracker is not None and record["no_verdict"] is None:
                self.tracker.update(objects_of(record))
            elif self.tracker is not None:
                self.tracker.skip()


def _check_video(options: PredictOptions, source: Source, out: Path, resume: bool) -> None:
    """Raise unless the video is new, or the one that the same prediction drew before."""
    if options.video is None or not Path(options.video).exists():
        return
    before = earlier_prediction(out / SUMMARY) if resume and not source.live else None
    if before is None or before.get("video") != str(options.video):
        raise UsageError(f"video {options.video} exists already; choose another name, or remove it")


def _video(options: PredictOptions, source: Source) -> contextlib.AbstractContextManager[VideoSink | None]:
    if options.video is None:
        return contextlib.nullcontext()
    return VideoSink(options.video, options.rate or getattr(source, "rate", None) or 10.0)


def _write(
    result: FrameResult,
    out: Path,
    overlays: bool,
    names: OverlayNames,
    log: FrameLog,
    video: VideoSink | None,
) -> None:
    """Write a frame's pictures, then its line: where there is a line, there is everything."""
    image = result.detection.image
    name = names(result.name)
    overlay = f"{OVERLAYS}/{name}.jpg" if overlays and image.size else None
    record = frame_record(result, overlay=overlay)
    if overlay is not None or video is not None:
        picture = annotate(image, record, result.detection.labels)
        if overlay is not None:
            write_image(out / overlay, Image.fromarray(picture), quality=92, subsampling=0)
        if video is not None:
            video.write(picture)
    log.write(record)
