"""Can a published comparison be believed? Recompute a sample of its frames and compare.

In: `results.json`, the data and the weights it names. Out: one line per check, and whether it holds.
Frames are computed anew, nothing is read from the stored score maps; options, thresholds and statistics are
those stored beside the results, or found anew where they are not there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from segood import runs
from segood.errors import DataError, SegoodError
from segood.evaluation.comparison.config import stored_comparison
from segood.evaluation.comparison.methods import Method
from segood.evaluation.comparison.results import ComparisonResults, ImageRecord, Row
from segood.evaluation.comparison.session import Session
from segood.evaluation.comparison.sources import Frames
from segood.evaluation.comparison.tuning import half
from segood.evaluation.curves import METRICS
from segood.evaluation.report import pixel_report
from segood.evaluation.segment import match_segments
from segood.progress import Progress, no_progress
from segood.segments.components import label_components
from segood.types import IGNORE

TOLERANCE = 2e-3
"""Largest difference of a frame's metric: float16 scores of other processors or libraries differ in the last
place, and every pixel at a threshold may change sides."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was compared: whether it `holds`, and what was found, in one line."""

    what: str
    holds: bool
    found: str


def verify(
    path: str | Path,
    *,
    data_root: str | Path | None = None,
    num_frames: int = 3,
    seed: int = 0,
    progress: Progress = no_progress,
) -> list[Check]:
    """Check weights, data and a sample of frames of every method against a comparison's results.

    Args:
        path: `results.json`, in the folder of the comparison.
        data_root: folder of relative data set roots; the one of the comparison if not given.
        num_frames: frames per test set, drawn with `seed`.
        seed: of the draw.
        progress: see `segood.progress.Progress`.

    Raises:
        DataError: the results cannot be read, or a data set is missing.
    """
    path = Path(path)
    results = ComparisonResults.load(path)
    config = stored_comparison(results.config)
    root = Path(data_root if data_root is not None else results.config.get("data_root", "."))
    session = Session.open(config, path.parent, root)
    checks = list(_identity(results, session))
    methods = {m.info.key: m for key in session.models for m in session.methods(key, progress)}
    for info in results.methods:
        if info.undefined is None:
            same = methods[info.key].info.options == info.options
            checks.append(Check(f"options of {info.key}", same, str(methods[info.key].info.options)))
    for name, frames in session.test_sets.items():
        positions = np.random.default_rng(seed).permutation(len(frames))[:num_frames]
        rows = [r for r in results.rows if r.dataset == name and r.undefined is None]
        tick = progress(f"verify {frames.dataset.title}", len(positions))
        for position in sorted(positions.tolist()):
            checks += _frame(session, frames, position, rows, methods)
            tick()
    return checks


def _identity(results: ComparisonResults, session: Session) -> Iterator[Check]:
    for network in results.networks:
        found = session.made_by[network.key]["weights_sha256"]
        yield Check(f"weights of {network.key}", found == network.weights_sha256, found[:16])
    for dataset in results.datasets:
        found = session.test_sets[dataset.info.key].content_hash()
        yield Check(f"content of {dataset.info.title}", found == dataset.info.content_hash, found[:16])
    here = runs.describe_environment()["packages"]
    there = results.environment.get("packages", {})
    other = [
        f"{name} {there.get(name)} -> {here.get(name)}" for name in there if there[name] != here.get(name)
    ]
    yield Check("versions (may differ)", True, ", ".join(other) or "the same")


def _frame(
    session: Session, frames: Frames, position: int, rows: list[Row], methods: dict[str, Method]
) -> Iterator[Check]:
    sample, target = frames[position], frames.target(position)
    for network, model in session.models.items():
        own = [r for r in rows if methods[r.method].info.network == network]
        scores = [m.score for r in own if (m := methods[r.method]).score is not None]
        observation = frames.observe(model, sample.image, target.shape, scores)
        for row in own:
            what = f"{row.method} on {frames.dataset.title}, frame {sample.sample_id}"
            try:
                expected = next(i for i in row.images if i.sample_id == sample.sample_id)
                yield _compare(what, expected, _record(methods[row.method], row, observation, target))
            except (SegoodError, StopIteration) as error:
                yield Check(what, False, str(error) or "the frame is not among the results")


def _record(method: Method, row: Row, observation: object, target: np.ndarray) -> ImageRecord:
    if method.score is None:
        raise DataError(f"{row.method} cannot be used here: {method.info.undefined}")
    score = half(method.score.of(observation))  # type: ignore[arg-type]
    report = pixel_report(score, target)
    false = missed = None
    if row.threshold is not None:
        predicted = (score.astype(np.float32) >= np.float32(row.threshold)) & (target != IGNORE)
        match = match_segments(label_components(predicted)[0], target)
        false, missed = match.num_false_positives, match.num_false_negatives
    return ImageRecord(
        "", report.num_in, report.num_ood, report.auroc, report.average_precision, report.fpr95, false, missed
    )


def _compare(what: str, expected: ImageRecord, found: ImageRecord) -> Check:
    differences = [
        0.0 if a == b else abs((np.inf if a is None else a) - (np.inf if b is None else b))
        for a, b in ((getattr(expected, m), getattr(found, m)) for m in METRICS)
    ]
    largest = max(differences)
    pixels = (expected.num_in, expected.num_ood) == (found.num_in, found.num_ood)
    errors = [(e.false_positives or 0, e.false_negatives or 0) for e in (expected, found)]
    slack = 2 + 0.02 * sum(errors[0])  # segments that hang on one pixel
    close = abs(errors[0][0] - errors[1][0]) <= slack and abs(errors[0][1] - errors[1][1]) <= slack
    words = f"largest difference {largest:.1e}; FP, FN {errors[1]} (was {errors[0]})"
    return Check(what, bool(pixels and largest <= TOLERANCE and close), words)
