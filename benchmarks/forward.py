"""What memory format, bfloat16 and compiling do to a network's forward: its time, and the score.

Every setting and plain float32 run in turns on the same drawn street. Where `SEGOOD_SHARED` names a folder
with weights and frames, espnetv2 has its published weights and sees a frame of Fishyscapes Static. Random
weights are scaled so that logits are as large as those of a trained network: differences mean nothing else.
"""

from __future__ import annotations

import copy
import statistics
import warnings
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.inputs import shared_path
from benchmarks.measure import Comparison, seconds_of
from benchmarks.results import ForwardSetting
from segood.data.images import read_image, resize_image
from segood.data.synthetic import draw_street_scene
from segood.errors import UsageError
from segood.models import Inference, SegmentationModel, load_model
from segood.scores import get_score

FRAME = (512, 1024)
LOGITS_DEVIATION = 4.0
WEIGHTS, REAL_FRAME = "weights/espnetv2_s_2.0_city_1024x512.pth", "data/fishyscapes_static/images/0.jpg"
PLAIN = "float32"
ROUGH = {"bfloat16": Inference(precision="bfloat16")}
LAST = {
    "channels last": Inference(channels_last=True),
    "bfloat16, channels last": Inference(precision="bfloat16", channels_last=True),
}
COMPILED = {
    "compiled": Inference(compile=True),
    "compiled, bfloat16": Inference(precision="bfloat16", compile=True),
}


class Scaled(nn.Module):
    """A network whose logits are multiplied."""

    def __init__(self, network: nn.Module, factor: float) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, images: Tensor) -> Tensor:
        """Compute them."""
        return self.factor * self.network(images)


def measure(quick: bool = False) -> list[ForwardSetting]:
    """Measure on the CPU, and on the GPU where there is one."""
    # what an earlier process compiled would be taken for a quick compiler
    torch.compiler.config.force_disable_caches = True
    devices = ("cpu", *(["cuda"] if torch.cuda.is_available() else []))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*force_disable_caches")
        return [row for device in devices for row in (_tiny(device) if quick else _full(device))]


def _full(device: str) -> list[ForwardSetting]:
    espnet, frame, given = _espnetv2(device)
    paper = _random("deeplabv3plus_wrn38", frame, device)
    ours = "deeplabv3plus_wrn38, random weights"
    return [
        *_settings(f"espnetv2 2.0, {given}", espnet, frame, {**ROUGH, **LAST, **COMPILED}, rounds=5),
        # its weights lie channels last anyway
        *_settings(ours, paper, frame[:257, :513], {**ROUGH, **COMPILED}, rounds=3),
        *_settings(ours, paper, frame, ROUGH, rounds=2),
    ]


def _tiny(device: str) -> list[ForwardSetting]:
    frame = draw_street_scene(np.random.default_rng(0), (128, 256)).image[:64, :128]
    espnet = _random("espnetv2", frame, device, scale=0.5)
    paper = _random("deeplabv3plus_wrn38", frame, device, width=4)
    return [
        *_settings("espnetv2 0.5, random weights", espnet, frame, {**ROUGH, **LAST}, rounds=2),
        *_settings("deeplabv3plus_wrn38 of width 4, random weights", paper, frame, ROUGH, rounds=2),
    ]


def _espnetv2(device: str) -> tuple[SegmentationModel, np.ndarray, str]:
    weights, real_frame = shared_path(WEIGHTS), shared_path(REAL_FRAME)
    if weights is None or real_frame is None:
        frame = draw_street_scene(np.random.default_rng(0), FRAME).image
        return _random("espnetv2", frame, device), frame, "random weights"
    frame = resize_image(read_image(real_frame), FRAME)
    return load_model("espnetv2", weights, device=device), frame, "published weights"


def _random(name: str, frame: np.ndarray, device: str, **options: object) -> SegmentationModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = load_model(name, **options)
    factor = LOGITS_DEVIATION / float(model.predict_logits(frame[:128, :256]).std())
    model.network = Scaled(model.network, factor)
    return model.to(device)


def _settings(
    network: str, model: SegmentationModel, frame: np.ndarray, settings: Mapping[str, Inference], rounds: int
) -> list[ForwardSetting]:
    """Measure every setting against plain float32; those that are impossible here say why."""
    device = model.mean.device.type
    what = f"{network}, {frame.shape[1]}×{frame.shape[0]}" + ("" if device == "cpu" else f", {device}")
    calls = {
        # the option stores weights anew, so plain float32 must not share them
        name: (copy.deepcopy(model) if inference.channels_last else model, inference)
        for name, inference in {PLAIN: Inference(), **settings}.items()
    }
    first: dict[str, float] = {}
    scores: dict[str, Tensor] = {}
    impossible: dict[str, str] = {}
    for name, call in calls.items():
        try:
            first[name] = seconds_of(lambda: scores.update({name: _entropy(*call, frame)}))  # noqa: B023
        except UsageError as error:
            impossible[name] = str(error)
    times: dict[str, list[float]] = {name: [] for name in first}
    for _ in range(rounds):
        for name in first:
            times[name].append(seconds_of(lambda: _predict(*calls[name], frame)))  # noqa: B023
    rows = []
    for name, (_, inference) in calls.items():
        if name in impossible:
            rows.append(ForwardSetting(what, name, note=impossible[name].split("; ")[0]))
            continue
        compared = Comparison(tuple(times[name]), tuple(times[PLAIN]))
        difference = (scores[name] - scores[PLAIN]).abs()
        rows.append(
            ForwardSetting(
                what,
                name,
                statistics.median(times[name]),
                compared.ratio,
                compared.spread,
                None if name == PLAIN else float(difference.max()),
                None if name == PLAIN else float(difference.mean()),
                f"first call {first[name]:.0f} s" if inference.compile else "",
            )
        )
    return rows


def _predict(model: SegmentationModel, inference: Inference, frame: np.ndarray) -> Tensor:
    model.inference = inference
    logits = model.predict_logits(frame)
    if logits.is_cuda:
        torch.cuda.synchronize()
    return logits


def _entropy(model: SegmentationModel, inference: Inference, frame: np.ndarray) -> Tensor:
    return get_score("entropy")(logits=_predict(model, inference, frame)[None])[0].cpu()
