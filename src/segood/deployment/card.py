"""The model card of a bundle: what it is, what it was measured on, what it may be used for.

In: a run, its calibration, how the bundle compares with PyTorch. Out: plain data (`card.json`) and the same
for people (`card.md`). Every number is one that the run's files hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segood.deployment.calibration.results import Calibration
from segood.deployment.parity import Parity
from segood.evaluation.results import ModelInfo, RunResults
from segood.models.weights import PUBLIC_WEIGHTS

UNKNOWN_LICENCE = "not stated; ask whoever made them, and export again with --weights_licence, --data_licence"


def make_card(
    *,
    model: ModelInfo,
    config: Mapping[str, Any],
    results: RunResults | None,
    calibration: Calibration | None,
    parity: Parity,
    manifest: Mapping[str, Any],
    meta: Mapping[str, Any] | None,
    weights_licence: str | None,
    data_licence: str | None,
) -> dict[str, Any]:
    """Collect the card.

    Args:
        model: the network.
        config: the run's `config.yaml`.
        results: the run's metrics, if it was evaluated.
        calibration: if the thresholds come from one.
        parity: the bundle against PyTorch.
        manifest: thresholds, region, sizes.
        meta: what is known of the meta classifier's fit; None without one.
        weights_licence, data_licence: as the user states them.
    """
    training = {
        name: _data_set(part)
        for name, part in ((name, config.get(name)) for name in ("street", "unlabeled", "proxies"))
        if part
    }
    return {
        "network": {
            "name": model.network,
            "classes": list(model.class_names),
            "checkpoint_sha256": model.sha256,
            "weights_sha256": model.weights_sha256,
            "start": (config.get("model") or {}).get("checkpoint"),
        },
        "licences": {
            "weights": weights_licence or _licence_of(config) or UNKNOWN_LICENCE,
            "data": data_licence or UNKNOWN_LICENCE,
        },
        "training": {
            "data": training,
            "loss": config.get("loss"),
            "epochs": config.get("epochs"),
            "seed": config.get("seed"),
        },
        "settings": dict(manifest),
        "meta_classifier": None if meta is None else dict(meta),
        "evaluation": None if results is None else _numbers(results, model.key),
        "calibration": None if calibration is None else _promise(calibration),
        "parity": parity.to_dict(),
        "limits": [
            "Says which pixels look unlike what the network was trained on; not what they are, nor how far.",
            "An object that the network takes for a known class with little entropy is not found.",
            "Numbers hold for the data sets named here; other cameras, countries, seasons and lights differ.",
            "No verdict (dark, frozen, late or damaged frames) does not mean that the road is free.",
        ],
    }


def card_text(card: Mapping[str, Any]) -> str:
    """Return the card as Markdown."""
    network, settings = card["network"], card["settings"]
    lines = [
        f"# Monitor for unknown objects: {network['name']}",
        "",
        f"{len(network['classes'])} known classes: {', '.join(network['classes'])}.",
        "",
        f"- Licence of the weights: {card['licences']['weights']}",
        f"- Licence of the data: {card['licences']['data']}",
        f"- Entropy threshold {settings['threshold']:.4g}, probability threshold "
        f"{settings['probability_threshold']:.4g}",
        f"- Region: {settings['region_words']}",
        f"- Frames: {_size(settings['frame_size'])}; network: {_size(settings['working_size'])}; "
        f"{settings['precision']}",
        f"- Checkpoint SHA-256 {network['checkpoint_sha256'] or 'unknown'}",
        "",
        "## Training",
        "",
    ]
    data = card["training"]["data"]
    lines += [f"- {name}: {what['name']} ({what['split'] or 'all'})" for name, what in data.items()] or [
        "- unknown: the network was not trained in this run"
    ]
    lines += _teacher_lines(card["training"]["loss"])
    lines += ["", "## Numbers", ""]
    lines += _number_lines(card["evaluation"])
    lines += ["", "## Calibration", ""]
    lines += _promise_lines(card["calibration"])
    parity = card["parity"]
    lines += [
        "",
        "## This file against PyTorch",
        "",
        f"On {parity['num_frames']} frames the entropy differs by at most {parity['entropy_difference']:.2g} "
        f"(allowed {parity['tolerance']:g}); {parity['num_matched']} of {parity['num_objects']} objects "
        f"match one to one, {parity['num_borderline']} differences lie at a threshold.",
        "",
        "## Limits",
        "",
        *(f"- {limit}" for limit in card["limits"]),
    ]
    return "\n".join(lines) + "\n"


def _teacher_lines(loss: Mapping[str, Any] | None) -> list[str]:
    """Say where labels were not the only teacher."""
    distillation = (loss or {}).get("distillation") or 0.0
    if not distillation:
        return []
    if distillation == 1.0:
        return [
            "- labels of the known classes: not taught; the network was held to what it said before training"
        ]
    return [
        f"- labels of the known classes: weight {1 - distillation:g}; what the network said before "
        f"training: {distillation:g}"
    ]


def _numbers(results: RunResults, key: str) -> dict[str, Any]:
    datasets = {d.key: d for d in results.datasets}
    pixel = {p.dataset: p for p in results.pixel if p.model == key}
    segment = {s.dataset: s for s in results.segment if s.model == key}
    found = {}
    for name, p in pixel.items():
        d, s = datasets[name], segment.get(name)
        after = s.meta.after if s is not None and s.meta is not None else None
        found[name] = {
            "title": d.title,
            "protocol": d.protocol,
            "num_frames": d.num_images,
            "resolution": d.resolution,
            "content_hash": d.content_hash,
            "auroc": p.auroc,
            "average_precision": p.average_precision,
            "fpr95": p.fpr95,
            "intervals": dict(p.intervals),
            "segment_threshold": None if s is None else s.threshold,
            "errors_before_meta": None if s is None else s.before_meta.errors,
            "errors_after_meta": None if after is None else after.errors,
        }
    closed = {
        c.dataset: {"miou": c.miou, "flagged_share": c.flagged_share, "threshold": c.threshold}
        for c in results.closed_set
        if c.model == key
    }
    return {"ood": found, "closed_set": closed, "created": results.created}


def _number_lines(numbers: Mapping[str, Any] | None) -> list[str]:
    if numbers is None or not numbers["ood"]:
        return ["Not evaluated on data with unknown objects."]
    lines = [
        "Pixel level, with 95 % bootstrap intervals over frames, given this network:",
        "",
        "| data set (frames) | AUROC | AP | FPR95 | errors before, after meta |",
        "|---|---|---|---|---|",
    ]
    for values in numbers["ood"].values():
        cells = [
            _with_interval(values[name], values["intervals"].get(name))
            for name in ("auroc", "average_precision", "fpr95")
        ]
        errors = f"{_or_dash(values['errors_before_meta'])}, {_or_dash(values['errors_after_meta'])}"
        lines.append(f"| {values['title']} ({values['num_frames']}) | {' | '.join(cells)} | {errors} |")
    lines += [
        f"\nProtocol, {v['title']}: {v['protocol']}; {v['resolution']}." for v in numbers["ood"].values()
    ]
    lines += [
        f"\nOriginal task, {name}: mIoU {_or_dash(v['miou'], '.3f')}, flagged {v['flagged_share']:.2%} of "
        f"pixels at {v['threshold']:g}."
        for name, v in numbers["closed_set"].items()
    ]
    return lines


def _promise(calibration: Calibration) -> dict[str, Any]:
    names = ("target", "method", "alpha", "delta", "cap", "num_units", "num_frames", "unit", "risk", "bound")
    values = {name: getattr(calibration, name) for name in (*names, "assumptions", "caveats", "created")}
    return {**values, "data": calibration.dataset.title, "content_hash": calibration.dataset.content_hash}


def _promise_lines(promise: Mapping[str, Any] | None) -> list[str]:
    if promise is None:
        return ["Thresholds are not calibrated: no rate of false alarms or misses is promised."]
    with_delta = "" if promise["delta"] is None else f" with probability {1 - promise['delta']:g}"
    return [
        f"{promise['target']} at most {promise['alpha']:g}{with_delta} ({promise['method']}); measured "
        f"{promise['risk']:.4g}, bound {promise['bound']:.4g}, on {promise['num_units']} units "
        f"({promise['num_frames']} frames of {promise['data']}; a unit is {promise['unit']}).",
        "",
        *(f"- assumed: {text}" for text in promise["assumptions"]),
        *(f"- caveat: {text}" for text in promise["caveats"]),
    ]


def _data_set(part: Mapping[str, Any]) -> dict[str, Any]:
    inner = part.get("dataset", part) or {}
    return {"name": inner.get("name"), "split": inner.get("split"), "options": inner.get("options")}


def _licence_of(config: Mapping[str, Any]) -> str | None:
    """Return the licence of the public weights that training started from."""
    start = str((config.get("model") or {}).get("checkpoint") or "")
    for weights in PUBLIC_WEIGHTS.values():
        if start == weights.name or start.endswith(weights.file):
            return f"{weights.licence}; fine-tuned from {weights.name}, {weights.source}"
    return None


def _with_interval(value: float | None, interval: list[float] | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" ({interval[0]:.3f}–{interval[1]:.3f})" if interval else "")


def _or_dash(value: float | None, form: str = "") -> str:
    return "–" if value is None else format(value, form)


def _size(size: Any) -> str:
    return "any size" if size is None else f"{size[1]}×{size[0]}"
