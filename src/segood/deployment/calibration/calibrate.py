"""Calibrate the thresholds of a run on a data set: network, labels and a target -> `Calibration`.

In: a run directory, a data set, a `CalibrationRequest`. Out: thresholds with a distribution-free promise,
what it rests on, and what the data set looks like (for the drift watch).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from segood import runs
from segood.data.config import DatasetConfig
from segood.data.dataset import SegmentationDataset
from segood.deployment.calibration import words
from segood.deployment.calibration.choosing import (
    check_enough,
    choose,
    problem_of,
    refuse,
    segment_thresholds,
)
from segood.deployment.calibration.disjoint import check_disjoint, check_same_region, region_of
from segood.deployment.calibration.grid import STEPS
from segood.deployment.calibration.losses import Measured
from segood.deployment.calibration.measure import FrameMeasurement, check_calibration_set, measure_frames
from segood.deployment.calibration.problem import Choice
from segood.deployment.calibration.request import CalibrationRequest
from segood.deployment.calibration.results import Calibration, CalibrationSet, RiskPoint
from segood.deployment.calibration.splits import check_splits
from segood.deployment.calibration.units import units_of
from segood.deployment.drift import EntropyReference, make_reference
from segood.errors import UsageError
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.run import load_final
from segood.files import file_hash
from segood.meta import MetaClassifier
from segood.progress import Progress, no_progress
from segood.segments.region import Region

_CURVE = 101
"""Points of the risk curve that are kept, evenly spread, and the choice."""


def calibrate_run(
    run: str | Path,
    dataset: DatasetConfig,
    request: CalibrationRequest,
    *,
    region: Region | None = None,
    progress: Progress = no_progress,
) -> Calibration:
    """Choose thresholds for a run's network on a calibration set.

    Args:
        run: run directory; its fine-tuned network and `meta.json` are used.
        dataset: the calibration set, new to both.
        request: target and method.
        region: where is looked at; that of `meta.json` if not given.
        progress: see `segood.progress.Progress`.

    Raises:
        UsageError: too few units, no setting fulfils the target, a set that was used before, another region,
            or a value breaks its rule.
        DataError: no run directory, or a data set that is not what it has to be.
    """
    run = Path(run)
    stored = runs.read_config(run)
    meta = MetaClassifier.load(run / runs.META) if (run / runs.META).exists() else None
    request = request.resolved(has_meta=meta is not None)
    fixed, probability = _fixed_thresholds(run, request, meta)
    region = region if region is not None or meta is None else region_of(meta)
    check_same_region(region, meta)
    opened = dataset.open()
    check_calibration_set(opened)
    if request.target == "missed_objects" and opened.role != "ood":
        raise UsageError(f"{opened.title} labels no unknown objects, so none can be missed in it")
    units, unit = units_of(opened.name, [record.sample_id for record in opened.records], request.unit)
    check_enough(request, len(set(units)))
    caveats = check_disjoint(opened, run, stored, meta)
    model, info = load_final(run)
    frames = measure_frames(
        opened,
        model,
        units,
        region=region,
        thresholds=segment_thresholds(request, fixed),
        meta=meta,
        progress=progress,
    )
    measured = problem_of(frames, request, fixed, probability)
    check_enough(request, measured.problem.num_units)
    choice = choose(measured.problem, request)
    if choice.index is None:
        raise refuse(measured.problem, request)
    splits = None
    if request.check_splits:
        splits = check_splits(
            measured.problem,
            lambda part: choose(part, request),
            request.alpha,
            request.check_splits,
            np.random.default_rng(request.seed),
        )
    threshold = float(measured.problem.thresholds[choice.index])
    if measured.problem.probability_thresholds is not None:
        probability = float(measured.problem.probability_thresholds[choice.index])
    also = _measured_at(frames, request, threshold, fixed, probability)
    environment = runs.describe_environment()
    assert choice.risk is not None, "a setting was chosen"
    assert choice.bound is not None
    return Calibration(
        target=request.target,
        method=request.method,
        search=str(request.search),
        alpha=request.alpha,
        delta=request.delta if request.method == "ltt" else None,
        cap=request.cap if request.target == "false_alarms" else None,
        threshold=threshold,
        probability_threshold=probability,
        num_units=measured.problem.num_units,
        num_frames=measured.num_frames,
        unit=unit,
        risk=choice.risk,
        bound=choice.bound,
        p_value=choice.p_value,
        num_tested=request.num_tested,
        curve=_curve(measured, choice),
        assumptions=words.assumptions(request, unit, opened.resolution, region),
        caveats=words.caveats(opened, unit, measured.left_out, also["num_unjudged"], also["missed_share"])
        + caveats,
        region=None if region is None else region.to_dict(),
        dataset=_described(opened),
        checkpoint=info.checkpoint,
        model_sha256=info.sha256,
        meta_sha256=None if meta is None else file_hash(run / runs.META),
        drift=_reference(frames, threshold),
        splits=splits,
        created=environment["created"],
        segood_version=environment["packages"].get("segood", "unknown"),
        command=environment["command"],
        **also,
    )


def _fixed_thresholds(
    run: Path, request: CalibrationRequest, meta: MetaClassifier | None
) -> tuple[float, float | None]:
    """Return entropy and meta threshold as asked for, or as the run's evaluation had them."""
    what = runs.read_config(run, runs.EVALUATION) if (run / runs.EVALUATION).exists() else {}
    score = what.get("score", "entropy")
    if meta is not None and score != "entropy":
        raise UsageError(
            f"the run was evaluated with the score {score}, so its meta.json knows no segments of the "
            "entropy, which is what is calibrated; evaluate it with entropy"
        )
    fixed = what.get("threshold", EvaluationConfig().threshold)
    fixed = round(float(fixed if request.threshold is None else request.threshold), 3)
    probability = request.probability_threshold
    if meta is None and probability is not None:
        raise UsageError("`probability_threshold` needs a meta classifier, and the run has no meta.json")
    if meta is not None and probability is None:
        probability = meta.threshold
    return fixed, probability


def _measured_at(
    frames: list[FrameMeasurement],
    request: CalibrationRequest,
    threshold: float,
    fixed: float,
    probability: float | None,
) -> dict[str, Any]:
    """Return what else was measured at the choice, over all frames: no promise."""
    shares = [
        f.pixels_in[round(threshold * STEPS) :].sum() / f.pixels_in.sum() for f in frames if f.pixels_in.any()
    ]
    num_objects = sum(len(f.objects) for f in frames)
    if request.target != "false_alarms":
        missed = sum(int((f.objects < round(threshold * STEPS)).sum()) for f in frames)
        alarms, num_unjudged = None, 0
    else:
        at = segment_thresholds(request, fixed).index(threshold)
        limit = 1.5 if probability is None else probability
        here = [frame.segments[at] for frame in frames]
        missed = sum(int(((s.reached >= limit) | (s.reached > 1)).sum()) for s in here)
        judged = [s for s, frame in zip(here, frames, strict=True) if frame.is_judged]
        alarms = float(np.mean([(s.alarms < limit).sum() for s in judged]))
        num_unjudged = sum(s.num_unjudged for s in here)
    return {
        "pixel_fpr": float(np.mean(shares)) if shares else None,
        "missed_share": missed / num_objects if num_objects else None,
        "alarms_per_frame": alarms,
        "num_unjudged": num_unjudged,
    }


def _curve(measured: Measured, choice: Choice) -> list[RiskPoint]:
    problem = measured.problem
    count = len(problem.thresholds)
    shown = set(range(count))
    if count > _CURVE and len(problem.sequences) == 1:
        shown = set(np.linspace(0, count - 1, _CURVE).round().astype(int).tolist())
    if choice.index is not None:
        shown.add(choice.index)
    kept = problem.probability_thresholds
    risks = problem.losses.mean(axis=0)
    return [
        RiskPoint(
            threshold=float(problem.thresholds[i]),
            probability_threshold=None if kept is None else float(kept[i]),
            risk=float(risks[i]),
            bound=float(choice.bounds[i]),
            certified=bool(choice.certified[i]),
        )
        for i in sorted(shown)
    ]


def _reference(frames: list[FrameMeasurement], threshold: float) -> EntropyReference:
    seen = [frame for frame in frames if frame.fine.any()]
    return make_reference(
        np.stack([frame.fine for frame in seen]),
        np.array([frame.flagged_share(threshold) for frame in seen]),
        np.array([frame.brightness for frame in seen]),
        threshold,
        np.stack([frame.fine_in for frame in seen]),
    )


def _described(dataset: SegmentationDataset) -> CalibrationSet:
    return CalibrationSet(
        name=dataset.name,
        title=dataset.title,
        protocol=dataset.protocol,
        resolution=dataset.resolution,
        content_hash=dataset.content_hash(),
        num_frames=len(dataset),
    )
