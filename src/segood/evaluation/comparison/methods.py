"""Methods made ready, and kept for the next run.

In: a network, scores by configuration, fitting and validation frames. Out: a `Method` per score; one that
cannot be used on this network carries the reason, and the others are made all the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segood.evaluation.comparison.config import ScoreConfig, ValidationConfig
from segood.evaluation.comparison.results import MethodInfo
from segood.evaluation.comparison.sources import Frames, Validation
from segood.evaluation.comparison.tuning import (
    Draft,
    choose_on_validation,
    draft_of,
    fit_statistics,
)
from segood.files import atomic_path, write_json
from segood.progress import Progress
from segood.scores import Score, get_score, score_class
from segood.scores.registry import score_identity

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
        origin = [score_identity(self.info.score), self.info.options]
        digest = hashlib.sha256(json.dumps(origin, sort_keys=True).encode())
        for name, array in sorted(_state(self.score).items()):
            digest.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()


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
        name = score_identity(config.name or key)
        maker = {**made_by, "name": name, "options": config.options, "search": config.search}
        maker |= {"threshold": config.threshold, "choice": choice}
        stem = folder / f"{network}__{key}"
        stored = _load(stem, network, key, config, maker)
        if stored is not None:
            ready[key] = stored
        else:
            drafts.append((draft_of(key, config, model, validation is not None), stem, maker))
    fit_statistics([d for d, _, _ in drafts], model, fitting, progress, network)
    if validation is not None and how is not None:
        choose_on_validation([d for d, _, _ in drafts], model, validation, how, progress, network)
    for draft, stem, maker in drafts:
        ready[draft.key] = _finish(draft, network, validation)
        if draft.undefined is None:
            _save(stem, ready[draft.key], maker)
    return [ready[key] for key in scores]


def _finish(draft: Draft, network: str, validation: Validation | None) -> Method:
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
        stem.with_name(f"{stem.name}.json").unlink(missing_ok=True)  # it vouches for the older statistics
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
