"""From a run to a bundle: the network as ONNX, compared with PyTorch before anything is written.

In: a run directory, images to compare on. Out: `….segood`, with its model card.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np

from segood import runs
from segood.checks import check_choice
from segood.data.config import DatasetConfig
from segood.data.dataset import describe_resolution
from segood.data.images import read_image, resize_image
from segood.deployment import bundle as parts_of
from segood.deployment.bundle import Bundle, Manifest, described
from segood.deployment.calibration.results import FILE as CALIBRATION
from segood.deployment.calibration.results import Calibration
from segood.deployment.card import card_text, make_card
from segood.deployment.detection import Detection
from segood.deployment.monitor import Monitor
from segood.deployment.onnx_graph import check_graph, export_graph
from segood.deployment.parity import Parity, compare_monitors
from segood.deployment.quantization import quantize_graph
from segood.deployment.self_test import SelfTest
from segood.deployment.sources import find_images
from segood.errors import CheckpointError, DataError, UsageError
from segood.evaluation.config import EvaluationConfig, stored_evaluation
from segood.evaluation.results import RunResults
from segood.evaluation.run import load_final
from segood.files import file_hash
from segood.meta.decision import LinearDecision
from segood.models import SegmentationModel
from segood.progress import Progress, no_progress
from segood.segments.region import Region, describe_region, same_region, stored_region

NUM_RANGES = 32
"""Frames that 8-bit ranges are taken from."""
UNSEEN_SIZES = ((1, 128, 256), (2, 250, 333))
"""N, H, W at which the graph is tried besides the frames."""


@dataclass(frozen=True)
class ExportOptions:
    """What can be chosen.

    Args:
        calibration: `calibration.json`; the run's own, if it has one, where None.
        threshold, probability_threshold: instead of those of calibration or evaluation.
        frame_size: (rows, columns) to which images are resized first; what the evaluation's data sets were
            resized to, where None.
        images: files or folders to compare on; the frames of the evaluation's data sets where empty.
        num_frames: how many of these, spread evenly.
        weights_licence, data_licence: for the model card.
        private_key: PEM file of an Ed25519 key to sign with.
        allow_unfiltered: export a run without meta classifier.
        fixed_size: the network takes frames of one size only, the working size or `frame_size`. None decides
            by the network: mask-classification networks cut images into windows, and take many minutes to
            export for all sizes.
        precision: `int8` quantises the convolutions (see `segood.deployment.quantization`), with ranges from
            the run's training frames. Such a bundle says something else than PyTorch: by how much is written
            into its card, and refuses nothing.
        quantization_images: files or folders to take these ranges from instead.
    """

    calibration: Path | None = None
    threshold: float | None = None
    probability_threshold: float | None = None
    frame_size: tuple[int, int] | None = None
    images: Sequence[Path] = ()
    num_frames: int = 8
    weights_licence: str | None = None
    data_licence: str | None = None
    private_key: Path | None = None
    allow_unfiltered: bool = False
    fixed_size: bool | None = None
    precision: Literal["float32", "int8"] = "float32"
    quantization_images: Sequence[Path] = ()


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: the bundle.
        sha256: of the file: give it to those who will load it.
        size: bytes.
        parity: against PyTorch.
        card: the model card.
    """

    path: Path
    sha256: str
    size: int
    parity: Parity
    card: dict[str, Any]


def export_run(
    run: str | Path,
    out: str | Path,
    options: ExportOptions | None = None,
    *,
    progress: Progress = no_progress,
) -> Exported:
    """Write a run's fine-tuned network, thresholds and meta classifier as one file.

    Args:
        run: run directory, evaluated.
        out: the file, `….segood`.
        options: see there.
        progress: see `segood.progress.Progress`.

    Raises:
        UsageError: an option breaks its rule, or parts were made for different regions or networks.
        DataError: the run has no meta classifier, or no frames can be read to compare on.
        CheckpointError: the network cannot be exported, or the graph computes something else than PyTorch.
        OutputError: the file cannot be written.
    """
    run, out, options = Path(run), Path(out), options or ExportOptions()
    if out.suffix != ".segood":
        raise UsageError(f"a bundle's name ends in .segood; got {out.name!r}")
    model, info = load_final(run)
    _check_inference(model)
    config = runs.read_config(run)
    evaluation = _evaluation(run)
    calibration = _calibration(run, options)
    meta = _meta(run, options)
    region = _region(calibration, meta)
    frame_size = options.frame_size or _evaluated_size(evaluation)
    _check_same_frames(calibration, frame_size)
    threshold, limit = _thresholds(options, calibration, evaluation, meta)
    images = _frames(run, config, evaluation, options)

    def made(network: Any) -> Monitor:
        return Monitor(
            network,
            threshold=threshold,
            meta=meta,
            probability_threshold=limit,
            region=region,
            frame_size=frame_size,
        )

    reference = made(model)
    graph = _graph(model, config, frame_size, options, progress)
    manifest = Manifest(
        label=info.network,
        class_names=tuple(info.class_names),
        frame_size=frame_size,
        working_size=model.preprocessing.working_size,
        threshold=threshold,
        probability_threshold=limit,
        region=None if region is None else region.to_dict(),
        parts={},
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        segood=metadata.version("segood"),
        precision=options.precision,
    )
    parts = {parts_of.NETWORK: graph, parts_of.CARD: b"{}"}
    if meta is not None:
        parts[parts_of.META] = (run / runs.META).read_bytes()
    if calibration is not None:
        parts[parts_of.REFERENCE] = _as_json(dataclasses.asdict(calibration.drift))
    draft = Bundle(manifest, parts).monitor()
    best = _MostObjects()
    parity = compare_monitors(
        reference, draft, images, tick=progress("compare with PyTorch", len(images)), seen=best
    )
    if not parity.holds and options.precision == "float32":
        raise CheckpointError(_refusal(parity))
    card = make_card(
        model=info,
        config=config,
        results=_results(run),
        calibration=calibration,
        parity=parity,
        manifest=_settings(manifest, region),
        meta=None if meta is None else meta.provenance,
        weights_licence=options.weights_licence,
        data_licence=options.data_licence,
    )
    parts[parts_of.CARD], parts[parts_of.CARD_TEXT] = _as_json(card), card_text(card).encode()
    assert best.found is not None, "there is at least one frame"
    values, picture = SelfTest.of(best.found, manifest.precision).to_parts()
    parts[parts_of.SELF_TEST], parts[parts_of.SELF_TEST_IMAGE] = _as_json(values), picture
    whole = Bundle(dataclasses.replace(manifest, parts=described(parts)), parts)
    sha256 = whole.write(out, options.private_key)
    Monitor.load(out, sha256=sha256)  # what was written is what will be read
    return Exported(out, sha256, out.stat().st_size, parity, card)


def _graph(
    model: SegmentationModel,
    config: Mapping[str, Any],
    frame_size: tuple[int, int] | None,
    options: ExportOptions,
    progress: Progress,
) -> bytes:
    """Return the network as ONNX, tried on noise, in the precision that is wanted."""
    check_choice("precision", options.precision, ("float32", "int8"))
    wanted = model.preprocessing.working_size or frame_size
    is_fixed = options.fixed_size
    if is_fixed is None:
        is_fixed = _gives_masks(model)
    if is_fixed and wanted is None:
        raise UsageError(
            f"{model.label} is exported for one size of frames, which the run lacks; give --frame_size"
        )
    ranges = _ranges(config, wanted, options) if options.precision == "int8" else []
    tick = progress("export", 3)
    graph = export_graph(model, wanted if is_fixed else None)
    tick()
    check_graph(graph, model, ((1, *wanted), (3, *wanted)) if is_fixed and wanted else UNSEEN_SIZES)
    tick()
    if options.precision == "int8":
        graph = quantize_graph(graph, ranges)
    tick()
    return graph


def _gives_masks(model: SegmentationModel) -> bool:
    if model.gives_masks is None:  # nobody has asked it for anything yet
        model.predict_logits(np.zeros((64, 128, 3), np.uint8))
    return bool(model.gives_masks)


def _ranges(
    config: Mapping[str, Any], size: tuple[int, int] | None, options: ExportOptions
) -> list[np.ndarray]:
    """Return frames that tell the ranges of activations, at the size the network will see."""
    if options.quantization_images:
        paths = find_images(options.quantization_images)
    elif config.get("street"):
        data = DatasetConfig(**config["street"]).open(Path(config.get("data_root", ".")))
        paths = [record.image for record in data.records]
    else:
        raise UsageError(
            "8 bits need frames to take ranges from, but the run has no training set; "
            "give --quantization_images"
        )
    chosen = np.linspace(0, len(paths) - 1, min(NUM_RANGES, len(paths))).round().astype(int)
    return [resize_image(read_image(paths[i]), size) for i in chosen]


class _MostObjects:
    """Keep the frame on which most was found: a self-test on an empty one would prove little."""

    def __init__(self) -> None:
        self.found: Detection | None = None

    def __call__(self, seen: Detection) -> None:
        if self.found is None or len(seen.objects) > len(self.found.objects):
            self.found = seen


def _check_inference(model: SegmentationModel) -> None:
    inference = model.inference
    if inference.num_views > 1 or inference.scales != (1.0,) or inference.tile_size is not None:
        raise UsageError(
            "the model's `inference` has tiles, scales or mirrored views; a bundle runs the network once "
            "over the whole frame: evaluate the run without them, then export"
        )


def _evaluation(run: Path) -> EvaluationConfig:
    name = runs.EVALUATION if (run / runs.EVALUATION).exists() else runs.CONFIG
    stored = runs.read_config(run, name)
    if name == runs.EVALUATION:
        known = {f.name for f in dataclasses.fields(EvaluationConfig)}
        stored = {"evaluation": {key: value for key, value in stored.items() if key in known}}
    return stored_evaluation(stored)


def _calibration(run: Path, options: ExportOptions) -> Calibration | None:
    path = options.calibration or run / CALIBRATION
    if options.calibration is None and not path.exists():
        return None
    found = Calibration.load(path)
    made_for = {"checkpoint": (found.model_sha256, _hash(run / runs.FINAL))}
    made_for["meta classifier"] = (found.meta_sha256, _hash(run / runs.META))
    for what, (then, now) in made_for.items():
        if then is not None and now is not None and then != now:
            raise UsageError(f"{path} was made for another {what}; run `segood calibrate {run}` again")
    return found


def _hash(path: Path) -> str | None:
    return file_hash(path) if path.exists() else None


def _meta(run: Path, options: ExportOptions) -> LinearDecision | None:
    if (run / runs.META).exists():
        return LinearDecision.load(run / runs.META)
    if not options.allow_unfiltered:
        raise DataError(
            f"{run} has no {runs.META}, so that every false alarm would be reported; run `segood evaluate` "
            "on data with unknown objects, or say --allow_unfiltered true"
        )
    return None


def _region(calibration: Calibration | None, meta: LinearDecision | None) -> Region | None:
    fitted = None if meta is None else stored_region(meta.provenance.get("region"))
    if calibration is None:
        return fitted
    calibrated = calibration.get_region()
    if meta is not None and not same_region(fitted, calibrated):
        raise UsageError(
            f"the meta classifier was fitted for the {describe_region(fitted)}, the calibration for the "
            f"{describe_region(calibrated)}; repeat one of them"
        )
    return calibrated


def _evaluated_size(evaluation: EvaluationConfig) -> tuple[int, int] | None:
    sizes = {None if d.resize is None else tuple(d.resize) for d in evaluation.datasets.values()}
    if len(sizes) > 1:
        raise UsageError(
            "the run's test sets were resized differently, so the size the monitor works at is not clear; "
            "give --frame_size"
        )
    return next(iter(sizes), None)  # type: ignore[return-value]


def _check_same_frames(calibration: Calibration | None, frame_size: tuple[int, int] | None) -> None:
    """Raise unless the calibration has seen frames as the monitor will: entropy depends on resolution."""
    if calibration is None:
        return
    seen, wanted = calibration.dataset.resolution, describe_resolution(frame_size)
    if seen != wanted:
        seen, wanted = ("their own size" if size == "label" else size for size in (seen, wanted))
        resize = "without --dataset.resize"
        if frame_size is not None:
            resize = f"with --dataset.resize '[{frame_size[0]},{frame_size[1]}]'"
        raise UsageError(
            f"the calibration has seen its frames at {seen}, the monitor will work at {wanted}, where it "
            f"promises nothing; calibrate {resize}, or give --frame_size"
        )


def _thresholds(
    options: ExportOptions,
    calibration: Calibration | None,
    evaluation: EvaluationConfig,
    meta: LinearDecision | None,
) -> tuple[float, float]:
    if evaluation.score != "entropy":
        raise UsageError(f"a bundle thresholds the entropy; the run was evaluated with {evaluation.score!r}")
    threshold = evaluation.threshold if calibration is None else calibration.threshold
    limit = None if calibration is None else calibration.probability_threshold
    if limit is None:
        limit = 0.5 if meta is None else meta.threshold
    chosen = (
        threshold if options.threshold is None else options.threshold,
        limit if options.probability_threshold is None else options.probability_threshold,
    )
    if calibration is not None and chosen != (threshold, limit):
        raise UsageError(
            "the run is calibrated, and other thresholds would not keep its promise; leave out --threshold "
            f"and --probability_threshold, or move {CALIBRATION} away"
        )
    return chosen


def _frames(
    run: Path, config: Mapping[str, Any], evaluation: EvaluationConfig, options: ExportOptions
) -> list[Path]:
    """Return the images to compare on."""
    if options.num_frames < 1:
        raise UsageError(f"`num_frames` must be at least 1; got {options.num_frames}")
    if options.images:
        found = find_images(options.images)
    else:
        root = Path(config.get("data_root", "."))
        found = []
        for item in evaluation.datasets.values():
            try:
                found += [record.image for record in item.open(root).records]
            except (DataError, UsageError) as error:
                raise DataError(
                    f"the frames of {run} are not there to compare on ({error}); give others with --images"
                ) from error
    if not found:
        raise DataError(f"{run} was evaluated on no frames; give some to compare on with --images")
    chosen = np.linspace(0, len(found) - 1, min(options.num_frames, len(found))).round().astype(int)
    return [found[i] for i in chosen]


def _results(run: Path) -> RunResults | None:
    return RunResults.load(run / runs.METRICS) if (run / runs.METRICS).exists() else None


def _settings(manifest: Manifest, region: Region | None) -> dict[str, Any]:
    names = ("threshold", "probability_threshold", "region", "frame_size", "working_size", "precision")
    return {**{name: getattr(manifest, name) for name in names}, "region_words": describe_region(region)}


def _refusal(parity: Parity) -> str:
    if parity.entropy_difference > parity.tolerance:
        return (
            f"not written: the graph's entropy differs from PyTorch's by {parity.entropy_difference:.2g}, "
            f"more than {parity.tolerance:g}"
        )
    return f"not written: the graph finds other objects than PyTorch: {parity.mismatches[0]}"


def _as_json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, allow_nan=False) + "\n").encode()
