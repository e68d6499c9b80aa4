"""The project's own JSON from anybody: every record that a verb reads back."""

from __future__ import annotations

import dataclasses
import json
import random
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.hostile.fuzzing import FORMS, Attack, Case, survive
from tests.hostile.mutations import altered, damaged, hostile_json

from segood.deployment.calibration.results import Calibration
from segood.deployment.drift import DriftWatch, EntropyReference, fine_histogram, make_reference
from segood.deployment.frame_record import labels_of, objects_of
from segood.deployment.predict_folder import claim
from segood.deployment.rle import decode_mask
from segood.deployment.sinks import FrameLog, read_records, write_coco
from segood.deployment.streaming import StreamSummary
from segood.deployment.tracking import Tracker
from segood.errors import DataError, UsageError
from segood.evaluation.comparison.results import ComparisonResults
from segood.evaluation.exploration import Exploration
from segood.evaluation.results import PixelResult, RunResults
from segood.meta import MetaClassifier, NeuralMetaClassifier
from segood.meta.decision import LinearDecision


def sample(hint: Any) -> Any:
    """Return plain values that a field of this annotation can hold."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return {
            f.name: f.default if f.name == "format" else sample(hints[f.name])
            for f in dataclasses.fields(hint)
        }
    if origin in (typing.Union, types.UnionType):
        return sample(arguments[0])
    if origin is list:
        return [sample(arguments[0])] * 2
    if origin is tuple:
        return [sample(a) for a in arguments if a is not ...]
    if origin is dict:
        return {"a": sample(arguments[1]), "b": sample(arguments[1])}
    return {float: 0.5, int: 3, str: "text", bool: True}.get(hint, {"x": 1})


def attack(good: Any, read: Callable[[Path], object], name: str = "a.json") -> Attack:
    """Return an attack on what reads one JSON file."""

    def start(folder: Path) -> Case:
        path = folder / name
        path.write_text(json.dumps(good))
        read(path)

        def case(draw: random.Random) -> None:
            path.write_bytes(hostile_json(draw, good))
            read(path)

        return case

    return start


def linear() -> dict[str, Any]:
    return {
        "format": "segood-meta-classifier",
        "version": 1,
        "feature_names": ["size", "entropy_mean"],
        "mean": [10.0, 0.5],
        "scale": [3.0, 0.1],
        "coefficients": [-1.0, 2.0],
        "intercept": 0.25,
        "threshold": 0.5,
        "num_segments": 20,
        "num_false_positives": 9,
        "provenance": {"region": None},
    }


def neural() -> dict[str, Any]:
    units = [0.5] * 32
    values = {key: value for key, value in linear().items() if key not in ("coefficients", "intercept")}
    layers = {"hidden_weights": [units] * 2, "hidden_offsets": units, "output_weights": units}
    return {**values, "format": "segood-neural-meta-classifier", **layers, "output_offset": 0.1, "seed": 0}


def use_classifier(path: Path, kind: Any) -> None:
    features = np.array([[5.0, 0.2], [20.0, 0.9]])
    if kind is MetaClassifier:
        LinearDecision.load(path).probabilities(features)
    kind.load(path).predict_proba(pd.DataFrame(features, columns=["size", "entropy_mean"]))


def reference() -> EntropyReference:
    counts = np.stack([fine_histogram(np.linspace(0, 0.2, 500, dtype=np.float32))] * 40)
    return make_reference(counts, np.linspace(0, 0.01, 40), np.full(40, 0.4), 0.7)


def use_reference(path: Path) -> None:
    try:
        raw = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise DataError("a bundle or a calibration refuses this before") from None
    watch = DriftWatch(EntropyReference.from_dict(raw))
    for _ in range(3):
        watch.update(np.linspace(0, 1, 100, dtype=np.float32), 0.1, 0.4)
    watch.report()


def calibration() -> dict[str, Any]:
    chosen = {
        "target": "pixel_fpr",
        "method": "crc",
        "search": "meta",
        "region": {"polygon": [[0, 0], [0, 1], [1, 1]]},
    }
    fixed = {"format": "segood-calibration", "version": 1, "drift": reference().to_dict()}
    return {**sample(Calibration), **chosen, **fixed}


def summary() -> dict[str, Any]:
    settings = {"monitor": {"label": "unet"}, "checks": None, "tracking": "3/5", "deadline_ms": None}
    return {"format": "segood.predict", "version": 1, "complete": True, "settings": settings, "video": None}


def frame(index: int) -> dict[str, Any]:
    thing = {"id": 1, "box": [1, 1, 3, 3], "center": [1.5, 1.5], "area": 4, "score": 0.9, "probability": 0.75}
    reason = {"feature": "size", "words": "its size", "value": 4.0, "weight": 1.5}
    mask = {"size": [4, 6], "counts": [5, 2, 2, 2, 13]}
    known = {"height": 4, "width": 6, "digest": "0" * 16, "no_verdict": None, "timestamp": index / 10}
    return {
        **{"version": 1, "index": index, "name": f"{index}.png", **known},
        "objects": [{**thing, "reasons": [reason], "mask": mask, "track": 1}],
        **{"pending": [], "removed": [{**thing, "id": 2, "reasons": [], "mask": mask, "track": None}]},
        **{
            "flagged_share": 0.2,
            "latency": 0.01,
            "seconds": {"network": 0.01},
            "skipped": 0,
            "overlay": None,
        },
    }


def frames(folder: Path) -> Case:
    """Attack what `predict --resume` reads line by line."""
    good = [frame(index) for index in range(3)]
    path = folder / "frames.jsonl"

    def case(draw: random.Random) -> None:
        lines = [json.dumps(record).encode() for record in good]
        place = draw.randrange(3)
        lines[place] = hostile_json(draw, good[place]).replace(b"\n", b"")
        content = b"\n".join(lines) + draw.choice((b"\n", b""))
        path.write_bytes(damaged(draw, content) if draw.random() < 0.1 else content)
        state, tracker = StreamSummary(), Tracker(2, 3)
        for record in read_records(path):
            state.add_record(record)
            tracker.update(objects_of(record))
            labels_of(record)
        state.to_dict()
        if draw.random() < 0.05:
            write_coco(path, folder / "coco.json")
            with FrameLog(path):
                pass

    return case


def masks(folder: Path) -> Case:
    """Attack run lengths, in memory."""
    del folder
    good = {"size": [4, 6], "counts": [5, 2, 2, 2, 13]}

    def case(draw: random.Random) -> None:
        if draw.random() < 0.3:
            counts = [
                draw.choice((0, 1, 24, 12, 2**62, 2**63 - 1, -1, 2**31)) for _ in range(draw.randrange(6))
            ]
            decode_mask({**good, "counts": counts})
        else:
            decode_mask(altered(draw, good))

    return case


ATTACKS: dict[str, Attack] = {
    "meta.json": attack(linear(), lambda path: use_classifier(path, MetaClassifier)),
    "neural meta.json": attack(neural(), lambda path: use_classifier(path, NeuralMetaClassifier)),
    "metrics.json": attack(sample(RunResults), RunResults.load),
    "exploration.json": attack(sample(Exploration), Exploration.load),
    "results.json of a comparison": attack(sample(ComparisonResults), ComparisonResults.load),
    "calibration.json": attack(calibration(), Calibration.load),
    "drift reference": attack(reference().to_dict(), use_reference),
    "summary.json": attack(
        summary(), lambda path: claim(path.parent, summary()["settings"], True), "summary.json"
    ),
    "frames.jsonl": frames,
    "run lengths": masks,
}


DEEP = b"[" * 100_000


def with_part(good: dict[str, Any], **parts: Any) -> bytes:
    return json.dumps({**good, **parts}).encode()


def altered_reference(**parts: Any) -> dict[str, Any]:
    good = reference().to_dict()
    entropy = {**good["entropy"], "shares": [0.5, 0.5], **parts}
    return {**good, "entropy": entropy}


ONCE_FAILED: dict[str, tuple[Callable[[Path], object], bytes, str]] = {
    # RuntimeWarning: overflow encountered in divide, in matmul
    "scale": (LinearDecision.load, with_part(linear(), scale=[1e-320, 1.0]), "`scale` must be a list of 2"),
    "coefficients": (LinearDecision.load, with_part(linear(), coefficients=[1e308, 1.0]), "up to 1e\\+30"),
    "weights": (NeuralMetaClassifier.load, with_part(neural(), output_weights=[1e308] * 32), "up to 1e\\+30"),
    # RuntimeWarning: overflow encountered in cast
    "edges": (
        Calibration.load,
        with_part(calibration(), drift=altered_reference(edges=[1e300])),
        "`entropy` holds no distribution",
    ),
    # RecursionError
    "deep metrics": (RunResults.load, DEEP, "not a segood metrics file of format"),
    "deep calibration": (Calibration.load, DEEP, "is not JSON"),
    # a report that broke off where it was drawn, since no field's type was looked at
    "name": (RunResults.load, with_part(sample(RunResults), name=7), "`name` must be text; got 7"),
    "models": (
        RunResults.load,
        with_part(sample(RunResults), models=[7]),
        "`models` must be an object; got int",
    ),
    "auroc": (
        RunResults.load,
        with_part(sample(RunResults), pixel=[{**sample(PixelResult), "auroc": "0.5"}]),
        "`pixel` `auroc` must be a number; got '0.5'",
    ),
    "infinity": (
        RunResults.load,
        with_part(sample(RunResults), pixel=[{**sample(PixelResult), "auroc": float("inf")}]),
        "`auroc` must be a number; got inf",
    ),
    # OverflowError: int too large to convert to float
    "region": (
        Calibration.load,
        with_part(calibration(), region={"polygon": [[0, 0], [0, 10**400], [1, 1]]}),
        "a region is",
    ),
}


@pytest.mark.parametrize("name", list(ONCE_FAILED))
def test_cases_that_once_failed(name: str, tmp_path: Path) -> None:
    read, content, message = ONCE_FAILED[name]
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.json: .*{message}"):
        read(path)


FRAMES_ONCE_FAILED: dict[str, tuple[dict[str, Any], str]] = {
    # KeyError, TypeError and OverflowError in whatever used the record
    "no name": ({"version": 1, "index": 0}, "line 1 is damaged"),
    "latency": ({**frame(0), "latency": "fast"}, "line 1 is damaged \\(`latency` must be a number"),
    "ages": ({**frame(0), "latency": 1e308}, "`latency` or `seconds` are out of range"),
    "box": (
        {**frame(0), "pending": [{**frame(0)["objects"][0], "box": [1, 2]}]},
        "`pending` `box` must be a list of 4",
    ),
    "id": (
        {**frame(0), "objects": [{**frame(0)["objects"][0], "id": 2**40}]},
        "`id` or `area` is out of range",
    ),
    "size": ({**frame(0), "height": 2**20, "width": 2**20}, "`height` and `width` are out of range"),
}


@pytest.mark.parametrize("name", list(FRAMES_ONCE_FAILED))
def test_frames_that_once_failed(name: str, tmp_path: Path) -> None:
    record, message = FRAMES_ONCE_FAILED[name]
    path = tmp_path / "frames.jsonl"
    path.write_text(json.dumps(record) + "\n")
    with pytest.raises(DataError, match=rf"frames\.jsonl: .*{message}"):
        FrameLog(path).__enter__()


def test_deep_frames_and_summaries(tmp_path: Path) -> None:
    """Both ended in a RecursionError."""
    path = tmp_path / "frames.jsonl"
    path.write_bytes(DEEP + b"\n")
    with pytest.raises(DataError, match="line 1 is not the record of frame 0"):
        FrameLog(path).__enter__()
    path.rename(tmp_path / "summary.json")
    with pytest.raises(UsageError, match=r"is not empty \(it holds summary.json\)"):
        claim(tmp_path, {}, True)


MASKS_ONCE_FAILED: dict[str, tuple[dict[str, Any], str]] = {
    # MemoryError: the sum overflows to 6
    "overflow": ({"size": [2, 3], "counts": [2**63 - 1, 2**63 - 1, 8]}, "run lengths add up to"),
    "bomb": ({"size": [2**20, 2**20], "counts": [2**40]}, "a mask must hold `size`"),
    # KeyError, ValueError, TypeError
    "nothing": ({}, "a mask must hold `size`"),
    "three sides": ({"size": [1, 2, 3], "counts": [6]}, "a mask must hold `size`"),
    "halves": ({"size": [2, 3], "counts": [2.5, 3.5]}, "a mask must hold `size`"),
    "text": ({"size": [2, 3], "counts": "6"}, "a mask must hold `size`"),
    "empty": ({"size": [2, 3], "counts": []}, "a mask must hold `size`"),
}


@pytest.mark.parametrize("name", list(MASKS_ONCE_FAILED))
def test_masks_that_once_failed(name: str) -> None:
    mask, message = MASKS_ONCE_FAILED[name]
    with pytest.raises(DataError, match=message):
        decode_mask(mask)


@pytest.mark.parametrize("cases", FORMS)
def test_whatever_a_record_holds(cases: int, tmp_path: Path) -> None:
    survive("test_records", cases, tmp_path)
