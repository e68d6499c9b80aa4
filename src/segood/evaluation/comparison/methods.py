"""Methods made ready: statistics fitted, options and thresholds chosen, all of it kept for the next run.

In: a network, scores by configuration, fitting and validation frames. Out: a `Method` per score; one that
cannot be used on this network carries the reason, and the others are made all the same.
Options (ODIN's temperature and perturbation, the energy's temperature) have the lowest FPR95 on the
validation split, as in Liang et al., ICLR 2018; thresholds have the fewest segment errors there.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.errors import SegoodError, UsageError
from segood.evaluation.comparison.config import ScoreConfig, ValidationConfig
from segood.evaluation.comparison.results import MethodInfo
from segood.evaluation.comparison.sources import Frames, Validation
from segood.evaluation.comparison.thresholds import ErrorCurve, candidate_thresholds
from segood.evaluation.curves import numbers
from segood.evaluation.score_counts import ScoreCounts
from segood.files import atomic_path, write_json
from segood.models.observation import observe
from segood.progress import Progress
from segood.scores import Score, get_score
from segood.scores.registry import score_class

if TYPE_CHECKING:
    from segood.models import SegmentationModel

NO_THRESHOLD = "no threshold: give the score a `threshold`, or a `validation` split that one can be chosen on"


@dataclass
class Method:
    """A score on a network, ready to be used.

    Attributes:
        info: what the results say about it.
        score: fitted, with its options; None where `info.undefined` says why.
        threshold: a pixel is OoD where the score reaches it; None where nothing tells one.
        threshold_source: in words.
    """

    info: MethodInfo
    score: Score | None = None
    threshold: float | None = None
    threshold_source: str = ""

    def fingerprint(self) -> str:
        """Return the SHA-256 of name, options and statistics of the score."""
        assert self.score is not None, "asked of usable methods only"
        digest = hashlib.sha256(json.dumps([self.info.score, self.info.options], sort_keys=True).encode())
        for name, array in sorted(_state(self.score).items()):
            digest.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()


@dataclass
class _Draft:
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


def prepare_methods(
    network: str,
    model: SegmentationModel,
    scores: Mapping[str, ScoreConfig],
    *,
    fitting: Frames | None,
    validation: Validation | None,
    validation_config: ValidationConfig | None,
    folder: Path,
    made_by: Mapping[str, Any],
    progress: Progress,
) -> list[Method]:
    """Make all scores ready for a network.

    Args:
        network: its key.
        model: the network.
        scores: by key.
        fitting: frames with train ids, for scores with statistics.
        validation: what options and thresholds are chosen on.
        validation_config: how they are chosen there; None without validation.
        folder: keeps what was found, one JSON (and statistics as `.npz`) per method.
        made_by: what identifies the network and the frames; results made by anything else are not reused.
        progress: see `segood.progress.Progress`.

    Returns:
        One method per score, in order.
    """
    how = validation_config
    choice = [how.num_search_frames, how.num_thresholds, how.max_fpr] if how is not None else None
    ready: dict[str, Method] = {}
    drafts = []
    for key, config in scores.items():
        maker = {**made_by, "name": config.name or key, "options": config.options, "search": config.search}
        maker |= {"threshold": config.threshold, "choice": choice}
        stem = folder / f"{network}__{key}"
        stored = _load(stem, network, key, config, maker)
        if stored is not None:
            ready[key] = stored
        else:
            drafts.append((_draft(key, config, model, validation is not None), stem, maker))
    _fit([d for d, _, _ in drafts], model, fitting, progress, network)
    if validation is not None and how is not None:
        _validate([d for d, _, _ in drafts], model, validation, how, progress, network)
    for draft, stem, maker in drafts:
        ready[draft.key] = _finish(draft, network, validation)
        if draft.undefined is None:
            _save(stem, ready[draft.key], maker)
    return [ready[key] for key in scores]


def _draft(key: str, config: ScoreConfig, model: SegmentationModel, may_search: bool) -> _Draft:
    draft = _Draft(key, config)
    draft.attempt(_make_candidates, model, may_search and config.search)
    return draft


def _make_candidates(draft: _Draft, model: SegmentationModel, is_searched: bool) -> None:
    plain = get_score(draft.name, **draft.config.options)
    observe(model, np.zeros((64, 64, 3), np.uint8), scores=[plain])  # raises what the network cannot give
    space = {k: v for k, v in plain.search_space.items() if is_searched and k not in draft.config.options}
    for values in itertools.product(*space.values()):
        options = {**draft.config.options, **dict(zip(space, values, strict=True))}
        draft.candidates.append((options, get_score(draft.name, **options)))
    draft.counts = [None] * len(draft.candidates)


def _fit(
    drafts: Sequence[_Draft],
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
        observation = _observe(live, model, sample.image, fitting, sample.image.shape[:2])
        for draft in live:
            draft.attempt(_update_statistics, observation, sample.target)
        tick()
    for draft in wanted:
        draft.attempt(_note_statistics, model, fitting)


def _update_statistics(draft: _Draft, observation: Any, target: np.ndarray) -> None:
    draft.score.update(observation, target)


def _note_statistics(draft: _Draft, model: SegmentationModel, fitting: Frames) -> None:
    if not draft.score.is_fitted:
        raise UsageError(f"score '{draft.name}' found no pixel to fit on in {fitting.dataset.title}")
    unseen = [model.class_names[c] for c in draft.score.unseen_classes]
    draft.notes.append(f"statistics from {fitting.dataset.title}, {len(fitting)} frames")
    if unseen:
        draft.notes.append(f"classes unseen in fitting, left out: {', '.join(unseen)}")


def _validate(
    drafts: Sequence[_Draft],
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
        observation = _observe(live, model, sample.image, frames, target.shape)
        for draft in live:
            draft.attempt(_count, observation, target)
        tick()
    for draft in wanted:
        draft.attempt(_choose, config)
    tick = progress(f"{network}: thresholds", len(validation))
    for sample, target, frames in validation:
        live = [d for d in wanted if d.undefined is None and d.curve is not None]
        observation = _observe(live, model, sample.image, frames, target.shape)
        for draft in live:
            draft.attempt(_update_errors, observation, target)
        tick()


def _observe(
    drafts: Iterable[_Draft],
    model: SegmentationModel,
    image: np.ndarray,
    frames: Frames,
    size: tuple[int, ...],
) -> Any:
    scores = [score for d in drafts for _, score in d.candidates]
    return observe(model, image, (size[0], size[1]), scores=scores, working_size=frames.working_size)


def _count(draft: _Draft, observation: Any, target: np.ndarray) -> None:
    for i, (_, score) in enumerate(draft.candidates):
        found = ScoreCounts.of(half(score.of(observation)), target)
        before = draft.counts[i]
        draft.counts[i] = found if before is None else before + found


def _choose(draft: _Draft, config: ValidationConfig) -> None:
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


def _update_errors(draft: _Draft, observation: Any, target: np.ndarray) -> None:
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


def _finish(draft: _Draft, network: str, validation: Validation | None) -> Method:
    options, score = (
        draft.candidates[draft.chosen] if draft.candidates else (dict(draft.config.options), None)
    )
    known = score or score_class(draft.name)
    info = MethodInfo(
        key=f"{network}/{draft.key}",
        title=draft.config.title or known.title,
        network=network,
        score=draft.name,
        options=options,
        reference=known.reference,
        notes=draft.notes,
        undefined=draft.undefined,
    )
    if draft.undefined is not None:
        return Method(info)
    if draft.config.threshold is not None:
        return Method(info, score, draft.config.threshold, "fixed by the configuration")
    if draft.curve is None or validation is None:
        return Method(info, score, None, NO_THRESHOLD)
    street, proxies = validation.street.dataset.title, validation.proxies.dataset.title
    source = f"fewest segment errors on the validation split ({street}, {proxies}; pixel FPR limited)"
    return Method(info, score, draft.curve.best(), source)


def _state(score: Score) -> dict[str, np.ndarray]:
    return score.state_dict() if "fit" in score.needs else {}


def _save(stem: Path, method: Method, maker: Mapping[str, Any]) -> None:
    assert method.score is not None
    state = _state(method.score)
    if state:
        with atomic_path(stem.with_name(f"{stem.name}.npz")) as temporary:
            np.savez(temporary, allow_pickle=False, **state)
    write_json(
        stem.with_name(f"{stem.name}.json"),
        {
            "made_by": maker,
            "options": method.info.options,
            "notes": method.info.notes,
            "threshold": method.threshold,
            "threshold_source": method.threshold_source,
        },
    )


def _load(stem: Path, network: str, key: str, config: ScoreConfig, maker: Mapping[str, Any]) -> Method | None:
    """Return what an earlier run found in the same way, or None."""
    try:
        stored = json.loads(stem.with_name(f"{stem.name}.json").read_text(encoding="utf-8"))
        if stored["made_by"] != json.loads(json.dumps(maker)):
            return None
        name = config.name or key
        score = get_score(name, **stored["options"])
        if "fit" in score.needs:
            with np.load(stem.with_name(f"{stem.name}.npz"), allow_pickle=False) as arrays:
                score.load_state_dict({n: arrays[n] for n in arrays.files})
        info = MethodInfo(
            f"{network}/{key}", config.title or score.title, network, name, stored["options"],
            score.reference, stored["notes"],
        )  # fmt: skip
        return Method(info, score, stored["threshold"], stored["threshold_source"])
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None  # missing or damaged: found anew
