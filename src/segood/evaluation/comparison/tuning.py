"""Statistics fitted, options and thresholds chosen: what a score needs before it meets a test set.

In: a network, scores by configuration, fitting and validation frames. Out: `Draft`s; one that cannot be used
on this network carries the reason, and the others go on.
Options (ODIN's temperature and perturbation, the energy's temperature, a window's width) have the lowest
FPR95 on the validation split, as in Liang et al., ICLR 2018; thresholds have the fewest segment errors there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.errors import SegoodError, UsageError
from segood.evaluation.comparison.config import ScoreConfig, ValidationConfig
from segood.evaluation.comparison.sources import Frames, Validation
from segood.evaluation.comparison.thresholds import ErrorCurve, candidate_thresholds
from segood.evaluation.curves import numbers
from segood.evaluation.score_counts import ScoreCounts
from segood.models.observation import observe
from segood.progress import Progress
from segood.scores import Score, get_score

if TYPE_CHECKING:
    from segood.models import SegmentationModel


@dataclass
class Draft:
    """A method in the making: candidates with different options, and what the validation split says."""

    key: str
    config: ScoreConfig
    candidates: list[tuple[dict[str, Any], Score]] = field(default_factory=list)
    counts: list[ScoreCounts | None] = field(default_factory=list)
    undefined: str | None = None
    notes: list[str] = field(default_factory=list)
    chosen: int = 0
    curve: ErrorCurve | None = None

    @property
    def name(self) -> str:
        return self.config.name or self.key

    @property
    def score(self) -> Score:
        return self.candidates[self.chosen][1]

    def attempt(self, work: Callable[..., None], *args: Any) -> None:
        """Do `work(self, *args)`; what the user can cause becomes the method's reason."""
        if self.undefined is None:
            try:
                work(self, *args)
            except SegoodError as error:
                self.undefined = str(error)


def draft_of(key: str, config: ScoreConfig, model: SegmentationModel, may_search: bool) -> Draft:
    draft = Draft(key, config)
    draft.attempt(_make_candidates, model, may_search and config.search)
    return draft


def _make_candidates(draft: Draft, model: SegmentationModel, is_searched: bool) -> None:
    plain = get_score(draft.name, **draft.config.options)
    observe(model, np.zeros((64, 64, 3), np.uint8), scores=[plain])  # raises what the network cannot give
    space = {k: v for k, v in plain.search_space.items() if is_searched and k not in draft.config.options}
    for values in itertools.product(*space.values()):
        options = {**draft.config.options, **dict(zip(space, values, strict=True))}
        draft.candidates.append((options, get_score(draft.name, **options)))
    draft.counts = [None] * len(draft.candidates)


def fit_statistics(
    drafts: Sequence[Draft],
    model: SegmentationModel,
    fitting: Frames | None,
    progress: Progress,
    network: str,
) -> None:
    wanted = [d for d in drafts if d.undefined is None and not d.score.is_fitted]
    if not wanted:
        return
    if fitting is None:
        for draft in wanted:
            draft.undefined = f"score '{draft.name}' has statistics: give `fitting`, frames with train ids"
        return
    tick = progress(f"{network}: statistics", len(fitting))
    for sample in fitting:
        live = [d for d in wanted if d.undefined is None]
        observation = fitting.observe(model, sample.image, sample.image.shape, _scores(live))
        for draft in live:
            draft.attempt(_update_statistics, observation, sample.target)
        tick()
    for draft in wanted:
        draft.attempt(_note_statistics, model, fitting)


def _update_statistics(draft: Draft, observation: Any, target: np.ndarray) -> None:
    draft.score.update(observation, target)


def _note_statistics(draft: Draft, model: SegmentationModel, fitting: Frames) -> None:
    if not draft.score.is_fitted:
        raise UsageError(f"score '{draft.name}' found no pixel to fit on in {fitting.dataset.title}")
    unseen = [model.class_names[c] for c in draft.score.unseen_classes]
    draft.notes.append(f"statistics from {fitting.dataset.title}, {len(fitting)} frames")
    if unseen:
        draft.notes.append(f"classes unseen in fitting, left out: {', '.join(unseen)}")


def choose_on_validation(
    drafts: Sequence[Draft],
    model: SegmentationModel,
    validation: Validation,
    config: ValidationConfig,
    progress: Progress,
    network: str,
) -> None:
    """Choose options in a first pass, thresholds in a second; nothing grows with the frames."""
    wanted = [
        d for d in drafts if d.undefined is None and (len(d.candidates) > 1 or d.config.threshold is None)
    ]
    if not wanted:
        return
    searched = validation.thinned(config.num_search_frames)
    tick = progress(f"{network}: options", len(searched))
    for sample, target, frames in searched:
        live = [d for d in wanted if d.undefined is None]
        observation = frames.observe(model, sample.image, target.shape, _scores(live))
        for draft in live:
            draft.attempt(_count, observation, target)
        tick()
    for draft in wanted:
        draft.attempt(_choose, config)
    tick = progress(f"{network}: thresholds", len(validation))
    for sample, target, frames in validation:
        live = [d for d in wanted if d.undefined is None and d.curve is not None]
        observation = frames.observe(model, sample.image, target.shape, _scores(live))
        for draft in live:
            draft.attempt(_update_errors, observation, target)
        tick()


def _scores(drafts: Iterable[Draft]) -> list[Score]:
    return [score for d in drafts for _, score in d.candidates]


def _count(draft: Draft, observation: Any, target: np.ndarray) -> None:
    for i, (_, score) in enumerate(draft.candidates):
        found = ScoreCounts.of(half(score.of(observation)), target)
        before = draft.counts[i]
        draft.counts[i] = found if before is None else before + found


def _choose(draft: Draft, config: ValidationConfig) -> None:
    found = [numbers(counts.points(), binned=False) for counts in draft.counts if counts is not None]
    if any(n.auroc is None for n in found):
        raise UsageError("the `validation` split has no in-distribution or no OoD pixel; choose other frames")
    draft.chosen = min(range(len(found)), key=lambda i: (found[i].fpr95, -(found[i].auroc or 0.0), i))
    if len(found) > 1:
        options = draft.candidates[draft.chosen][0]
        searched = ", ".join(f"{k} {v:g}" for k, v in options.items() if k not in draft.config.options)
        draft.notes.append(f"{searched}: lowest FPR95 of {len(found)} options on the validation split")
    if draft.config.threshold is None:
        counts = draft.counts[draft.chosen]
        assert counts is not None
        draft.curve = ErrorCurve(candidate_thresholds(counts.points(), config.num_thresholds, config.max_fpr))


def _update_errors(draft: Draft, observation: Any, target: np.ndarray) -> None:
    assert draft.curve is not None, "only methods with candidates come here"
    draft.curve.update(half(draft.score.of(observation)), target)


def half(score: Any) -> np.ndarray:
    """Return a score map as it is stored and evaluated: float16, on the CPU.

    Raises:
        UsageError: a value that float16 cannot hold.
    """
    values = score.detach().float().cpu().numpy() if hasattr(score, "detach") else np.asarray(score)
    with np.errstate(over="ignore"):
        stored = values.astype(np.float16)
    if not np.isfinite(stored).all():
        raise UsageError("a score map must be finite in float16 (±65504), as the public benchmark stores it")
    return stored
