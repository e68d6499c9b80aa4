"""A bundle against PyTorch: time per stage, ONNX Runtime, 8 bits, and what these cost in average precision.

espnetv2 2.0 at 1024×512. Where `SEGOOD_SHARED` names a folder with weights and frames, the network has its
published weights, 8-bit ranges come from CamVid's training frames, and the scores are measured on the public
validation sets, labels resized to 1024×512; elsewhere random weights see drawn streets, and no score is
measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.forward import WEIGHTS
from benchmarks.inputs import shared_path
from benchmarks.measure import as_time
from benchmarks.monitor import LIMIT, some_classifier
from benchmarks.results import DeploymentRun, Record, Requirement
from segood.data.images import read_image, resize_image
from segood.data.registry import open_dataset
from segood.data.synthetic import draw_street_scene
from segood.deployment import Monitor
from segood.deployment.networks import OnnxMonitorNetwork
from segood.deployment.onnx_graph import export_graph
from segood.deployment.quantization import quantize_graph
from segood.evaluation import PixelMetrics
from segood.models import SegmentationModel, load_model

FRAME, QUICK_FRAME = (512, 1024), (64, 128)
SETS = ("road_anomaly_21", "fishyscapes_static", "fishyscapes_lost_and_found")
RANGES = 32
"""Training frames that the 8-bit ranges are taken from."""


def measure(quick: bool = False) -> list[Record]:
    """Measure stages, precisions and scores."""
    size = QUICK_FRAME if quick else FRAME
    weights = None if quick else shared_path(WEIGHTS)
    # a U-Net is exported in seconds
    model = load_model("unet", width=8) if quick else load_model("espnetv2", checkpoint=weights, scale=2.0)
    model.eval()
    graph = export_graph(model)
    eight = quantize_graph(graph, _training_frames(size, weights is not None, 8 if quick else RANGES))
    names = model.class_names
    meta = some_classifier()
    monitors = {
        "PyTorch": Monitor(model, meta=meta),
        "ONNX Runtime": Monitor(OnnxMonitorNetwork(graph, names), meta=meta),
        "ONNX Runtime, int8": Monitor(OnnxMonitorNetwork(eight, names), meta=meta),
    }
    frame = _frames(size, weights is not None, 1)[0]
    sizes = {"PyTorch": None, "ONNX Runtime": len(graph), "ONNX Runtime, int8": len(eight)}
    return _stages(monitors, frame, 3 if quick else 15, model) + _scores(monitors, sizes, weights, size)


def _stages(
    monitors: dict[str, Monitor], frame: np.ndarray, rounds: int, model: SegmentationModel
) -> list[Record]:
    """Time the stages of every monitor, in turns."""
    times: dict[str, list[dict[str, float]]] = {name: [] for name in monitors}
    for monitor in monitors.values():
        monitor(frame)
    for _ in range(rounds):
        for name, monitor in monitors.items():
            times[name].append(dict(monitor(frame).seconds))
    records: list[Record] = []
    for name, rows in times.items():
        after = [row["segments"] + row["meta"] for row in rows]
        network = [row["network"] for row in rows]
        shares = [100 * a / b for a, b in zip(after, network, strict=True)]
        low, high = np.quantile(shares, [0.25, 0.75])
        records.append(
            Requirement(
                f"after the network, {name}, {frame.shape[1]}×{frame.shape[0]}",
                f"segments {as_time(statistics.median(row['segments'] for row in rows))}, meta "
                f"{as_time(statistics.median(row['meta'] for row in rows))}",
                f"{model.name}: {as_time(statistics.median(network))}",
                100 * statistics.median(after) / statistics.median(network),
                LIMIT,
                " %",
                spread=(float(low), float(high)),
                note="no limit was set for 8 bits" if "int8" in name else "",
            )
        )
    return records


def _scores(
    monitors: dict[str, Monitor], sizes: dict[str, int | None], weights: Path | None, size: tuple[int, int]
) -> list[Record]:
    records: list[Record] = []
    for key in SETS if weights is not None else ():
        root = shared_path(f"data/{key}")
        if root is None:
            continue
        data = open_dataset(key, root, resize=size)
        metrics = {name: PixelMetrics(range=(0.0, 1.0), spacing="log") for name in monitors}
        seconds: dict[str, list[float]] = {name: [] for name in monitors}
        for index in range(len(data)):
            image, target, _ = data[index]
            assert target is not None
            for name, monitor in monitors.items():
                found = monitor(image)
                metrics[name].update(found.score, target)
                seconds[name].append(found.seconds["network"])
        for name, metric in metrics.items():
            report = metric.compute()
            records.append(
                DeploymentRun(
                    data=f"{data.title} ({len(data)})",
                    runtime=name,
                    network_seconds=statistics.median(seconds[name]),
                    graph_bytes=sizes[name],
                    auroc=report.auroc,
                    average_precision=report.average_precision,
                    fpr95=report.fpr95,
                )
            )
    return records


def _training_frames(size: tuple[int, int], is_real: bool, count: int) -> Sequence[np.ndarray]:
    folder = shared_path("data/camvid/train") if is_real else None
    if folder is None:
        return _frames(size, False, count)
    paths = sorted(folder.iterdir())
    chosen = np.linspace(0, len(paths) - 1, count).round().astype(int)
    return [resize_image(read_image(paths[i]), size) for i in chosen]


def _frames(size: tuple[int, int], is_real: bool, count: int) -> list[np.ndarray]:
    if is_real and (folder := shared_path("data/fishyscapes_static/images")) is not None:
        return [resize_image(read_image(path), size) for path in sorted(folder.iterdir())[:count]]
    draw = np.random.default_rng(0)
    scenes = (draw_street_scene(draw, (max(size[0], 128), max(size[1], 256))).image for _ in range(count))
    return [resize_image(scene, size) for scene in scenes]
