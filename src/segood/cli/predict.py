"""`segood predict`: images, a video or a camera -> what is unknown in every frame."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from segood.cli.frame import add_config, make_parser, progress_bar, say, say_json, warn
from segood.cli.predict_fleet import add_fleet_options, check_engine, run_fleet
from segood.errors import DataError, UsageError
from segood.models.config import ModelConfig

CONFIGS = (ModelConfig,)


def build_parser() -> ArgumentParser:
    """Return the verb's parser."""
    parser = make_parser(
        "predict",
        "Find unknown objects in images, a video or a camera's frames: OUT/frames.jsonl, a line per frame,\n"
        "OUT/summary.json, and pictures. A frame that cannot be read, or that is black, frozen, stale or\n"
        "badly exposed, gets no verdict, with the reason; the others are done all the same.",
        "segood predict photos/ --monitor monitor.segood --out found\n"
        "  segood predict drive.mp4 --monitor monitor.segood --track 3/5 --video found.mp4 --out found\n"
        "  segood predict camera:0 --monitor monitor.segood --deadline_ms 200 --out found\n"
        "  segood predict day.parquet --monitor monitor.segood --engine ray --address auto --out found\n"
        "  segood predict photos/ --model.name runs/demo/finetuned/checkpoints/model.safetensors"
        " --meta runs/demo/finetuned/meta.json --out found",
        usage="predict IMAGE_OR_FOLDER ... | VIDEO | CAMERA",
    )
    add_config(parser)
    parser.add_argument(
        "inputs", nargs="+", help="images and folders of images; or one video; or camera:0, rtsp://..."
    )
    text, number, flag = str | None, float | None, bool | None
    parser.add_argument(
        "--monitor", type=text, default=None, help="bundle of `segood export`; needs no PyTorch"
    )
    parser.add_argument(
        "--sha256", type=text, default=None, help="digest that the bundle must have, as its maker told you"
    )
    parser.add_argument(
        "--public_key",
        type=text,
        default=None,
        help="PEM file of the key that must have signed the bundle",
    )
    parser.add_argument("--model", type=ModelConfig, help="trained network: --model.name FILE.safetensors")
    parser.add_argument("--score", type=text, default=None, help="OoD score (entropy); with --model only")
    parser.add_argument(
        "--threshold", type=number, default=None, help="a pixel is OoD where its score reaches this (0.7)"
    )
    parser.add_argument(
        "--meta", type=text, default=None, help="meta.json of a run; filters false alarms; with --model only"
    )
    parser.add_argument(
        "--region",
        type=dict | None,
        default=None,
        help="where to look: '{polygon: [[row, col], ...]}' in shares of the image, '{classes: [0, 1]}', or"
        " '{mask: FILE}'; with --model only, a bundle has its own",
    )
    parser.add_argument(
        "--min_area", type=int | None, default=None, help="smallest object to report, pixels of the image (1)"
    )
    parser.add_argument(
        "--checks",
        type=bool | dict[str, int | float | None],
        default=True,
        help="no verdict on black, frozen, stale, badly exposed frames; limits: --checks.frozen_after 30",
    )
    parser.add_argument(
        "--deadline_ms", type=number, default=None, help="no verdict where the answer takes longer"
    )
    parser.add_argument(
        "--track", type=text, default=None, help="k/n: report an object when seen in k of the last n frames"
    )
    parser.add_argument("--out", required=True, help="folder: new, empty, or with --resume an earlier one")
    parser.add_argument("--resume", action="store_true", help="go on with --out after its last frame")
    parser.add_argument(
        "--overlays", type=flag, default=None, help="a picture per frame; true for images if not given"
    )
    parser.add_argument("--video", type=text, default=None, help="write these pictures as .mp4 or .avi")
    parser.add_argument(
        "--video_rate", type=number, default=None, help="its frames per second; the input's, or 10"
    )
    parser.add_argument("--coco", type=bool, default=False, help="write OUT/coco_results.json")
    add_fleet_options(parser)
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    return parser


def run(arguments: Namespace) -> None:
    """Write what is found, and say how much."""
    if check_engine(arguments):
        run_fleet(arguments)
        return
    # what OpenCV's decoders have to say on damaged videos, line after line, is told by the frames
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    from segood.deployment.predict import PredictOptions, parse_checks, parse_track, predict_frames
    from segood.deployment.sources import ImageFiles, open_source

    report_after, window = parse_track(arguments.track)
    options = PredictOptions(
        checks=parse_checks(arguments.checks),
        report_after=report_after,
        window=window,
        deadline=None if arguments.deadline_ms is None else arguments.deadline_ms / 1000,
        video=arguments.video,
        rate=arguments.video_rate,
        coco=arguments.coco,
    )
    source = open_source(arguments.inputs)
    images = isinstance(source, ImageFiles)
    options = replace(options, overlays=images if arguments.overlays is None else arguments.overlays)
    monitor, about = _load_monitor(arguments)
    if arguments.min_area is not None:
        monitor.min_area = arguments.min_area
    found = predict_frames(
        monitor, source, arguments.out, options, resume=arguments.resume, about=about, progress=progress_bar
    )
    if arguments.json:
        say_json(found)
    else:
        say(_in_words(found, arguments.out))
    if (found["drift"] or {}).get("warning"):
        warn(found["drift"]["warning"])
    if found["first_unreadable"]:
        count, (_, problem) = found["no_verdicts"]["unreadable"], found["first_unreadable"]
        raise DataError(f"{count} of {found['frames']} frames cannot be read; the first: {problem}")


def _load_monitor(arguments: Namespace) -> tuple[Any, dict[str, str]]:
    """Return the monitor, and what tells its file from others."""
    from segood.deployment.monitor import Monitor

    if arguments.monitor is None:
        _refuse(arguments, ("sha256", "public_key"), "belong to a bundle; give --monitor FILE.segood")
        from segood.evaluation.region import read_region

        region = read_region(arguments.region)
        model = (arguments.model or ModelConfig()).load_trained()
        return Monitor(
            model,
            score=arguments.score or "entropy",
            threshold=0.7 if arguments.threshold is None else arguments.threshold,
            meta=arguments.meta,
            region=region,
        ), {}
    from segood.files import file_hash

    own = ("model", "score", "threshold", "meta", "region")
    _refuse(arguments, own, "cannot be given with --monitor, a bundle has its own; export it anew")
    monitor = Monitor.load(arguments.monitor, sha256=arguments.sha256, public_key=arguments.public_key)
    return monitor, {"bundle_sha256": file_hash(arguments.monitor)}


def _refuse(arguments: Namespace, options: tuple[str, ...], why: str) -> None:
    # the parser makes a default network where none is given
    given = [f"--{name}" for name in options if getattr(arguments, name) not in (None, ModelConfig())]
    if given:
        raise UsageError(f"{', '.join(given)} {why}")


def _in_words(found: dict[str, Any], out: str) -> str:
    """Return the line that says what was found."""
    silent = ", ".join(f"{count} {reason}" for reason, count in found["no_verdicts"].items())
    rate = found["this_call"]["frames_per_second"]
    late = found["latency_ms"]["p99"]
    return (
        f"{found['objects']} unknown objects in {found['verdicts']} frames"
        + (f"; no verdict on {silent}" if silent else "")
        + (f"; {rate:.1f} frames/s" if rate else "")
        + (f", p99 latency {late:.0f} ms" if late is not None else "")
        + f"; {out}"
    )
