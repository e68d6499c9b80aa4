"""What a GPU makes of the parts that use one: networks, segments, the objective, a training step.

`python -m benchmarks.gpu` prints a section for docs/benchmarks.md; with `--device cpu` the same with tiny
inputs, to see that it runs. Medians of repeats, each of which ends when the device has finished. Weights are
random but for espnetv2's, where `SEGOOD_SHARED` names a folder with the published ones.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from segood import Monitor, load_model
from segood.segments import extract_segments
from segood.training import EntropyMaximizationLoss
from segood.types import IGNORE, OOD

WEIGHTS = "weights/espnetv2_s_2.0_city_1024x512.pth"
Row = tuple[str, ...]


class Clock:
    """Time and memory of calls on a device."""

    def __init__(self, device: torch.device, repeats: int) -> None:
        self.device, self.repeats = device, repeats

    def wait(self) -> None:
        """Wait until the device has done all it was asked to."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def milliseconds(self, call: Callable[[], object], warmups: int = 3) -> float:
        """Return the median time of a call."""
        for _ in range(warmups):
            call()
        taken = []
        for _ in range(self.repeats):
            self.wait()
            start = time.perf_counter()
            call()
            self.wait()
            taken.append(1000 * (time.perf_counter() - start))
        return statistics.median(taken)

    def peak_gigabytes(self, call: Callable[[], object]) -> float:
        """Return the most memory that a call holds on the device, weights included; NaN on the CPU."""
        if self.device.type != "cuda":
            return float("nan")
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        call()
        self.wait()
        return torch.cuda.max_memory_allocated() / 1e9


def networks(clock: Clock, size: tuple[int, int]) -> list[Row]:
    """Forward passes in float32 and bfloat16, of one frame and of eight."""
    rows = []
    for name in ("espnetv2", "deeplabv3plus_wrn38"):
        model = load(name).to(clock.device).eval()
        for batch in (1, 8):
            images = torch.rand(batch, 3, *size, device=clock.device)
            for precision in (torch.float32, torch.bfloat16):

                def forward(
                    model: nn.Module = model, images: torch.Tensor = images, kind: torch.dtype = precision
                ) -> None:
                    with (
                        torch.inference_mode(),
                        torch.autocast(clock.device.type, torch.bfloat16, enabled=kind is torch.bfloat16),
                    ):
                        model(images)

                taken = clock.milliseconds(forward) / batch
                kind = str(precision).removeprefix("torch.")
                rows.append((name, kind, str(batch), f"{taken:.2f}", f"{clock.peak_gigabytes(forward):.2f}"))
        del model
    return rows


def segments(clock: Clock, size: tuple[int, int]) -> list[Row]:
    """Segments and features of logits that are on the device: there, or brought to the CPU's kernels."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 19, size[0] // 32, size[1] // 32, generator=generator)
    logits = 6 * F.interpolate(coarse, size=size, mode="bilinear")[0].to(clock.device)
    ways = {
        "on the device (PyTorch)": lambda: extract_segments(logits=logits, threshold=0.7),
        "brought to the CPU (kernels)": lambda: extract_segments(logits=logits.cpu(), threshold=0.7),
    }
    found = extract_segments(logits=logits.cpu(), threshold=0.7)
    return [(way, f"{len(found)}", f"{clock.milliseconds(call):.1f}") for way, call in ways.items()]


def monitor(clock: Clock, size: tuple[int, int]) -> list[Row]:
    """A whole answer of a monitor, and the part of it that is not the network."""
    model = load("espnetv2").to(clock.device)
    watch = Monitor(model, threshold=0.7)
    image = (255 * np.random.default_rng(0).random((*size, 3))).astype(np.uint8)
    tensor = torch.rand(1, 3, *size, device=clock.device)

    def forward() -> None:
        with torch.inference_mode():
            model(tensor)

    whole, network = clock.milliseconds(lambda: watch(image)), clock.milliseconds(forward)
    return [("espnetv2", f"{whole:.1f}", f"{network:.1f}", f"{whole - network:.1f}")]


def objective(clock: Clock, batch: int, size: int) -> list[Row]:
    """The objective against cross-entropy, forward and backward."""
    logits = torch.randn(batch, 19, size, size, device=clock.device)
    target = torch.randint(0, 19, (batch, size, size), device=clock.device)
    target[:, : size // 8] = OOD
    ordinary = torch.where(target == OOD, IGNORE, target)
    ours = EntropyMaximizationLoss()

    def step(loss: Callable[[torch.Tensor], torch.Tensor]) -> None:
        loss(logits.clone().requires_grad_()).backward()

    calls = {
        "entropy maximisation": lambda: step(lambda z: ours(z, target)),
        "cross_entropy": lambda: step(lambda z: F.cross_entropy(z, ordinary, ignore_index=IGNORE)),
    }
    return [
        (name, f"{clock.milliseconds(call):.2f}", f"{clock.peak_gigabytes(call):.2f}")
        for name, call in calls.items()
    ]


def training(clock: Clock, batch: int, size: int) -> list[Row]:
    """A step of Adam: forward, objective, backward, update."""
    rows = []
    for name, options in (
        ("espnetv2", {}),
        ("deeplabv3plus_wrn38", {}),
        ("deeplabv3plus_wrn38", {"activation_checkpointing": True}),
    ):
        for precision in ("float32", "bfloat16"):
            model = load(name, **options).to(clock.device).train()
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
            images = torch.rand(batch, 3, size, size, device=clock.device)
            target = torch.randint(0, 19, (batch, size, size), device=clock.device)
            loss = EntropyMaximizationLoss()

            def step(
                model: nn.Module = model,
                optimizer: torch.optim.Adam = optimizer,
                images: torch.Tensor = images,
                target: torch.Tensor = target,
                loss: nn.Module = loss,
                half: bool = precision == "bfloat16",
            ) -> None:
                optimizer.zero_grad()
                with torch.autocast(clock.device.type, torch.bfloat16, enabled=half):
                    logits = model(images)
                loss(logits, target).backward()
                optimizer.step()

            taken = clock.milliseconds(step)
            how = f"{precision}, recomputing" if options else precision
            each = 1000 * batch / taken
            rows.append((name, how, f"{taken:.0f}", f"{each:.1f}", f"{clock.peak_gigabytes(step):.1f}"))
            del model, optimizer
    return rows


def load(name: str, **options: object) -> nn.Module:
    """Build a network, with its published weights where they lie here."""
    path = Path(os.environ.get("SEGOOD_SHARED", "")) / WEIGHTS
    if name == "espnetv2" and path.is_file():
        return load_model(name, path, **options)
    return load_model(name, num_classes=19, **options)


def table(title: str, head: Row, rows: list[Row]) -> str:
    """Return a Markdown table."""
    lines = [f"**{title}**", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    device = torch.device(parser.parse_args().device)
    tiny = device.type == "cpu"
    clock = Clock(device, 2 if tiny else 15)
    size = (64, 128) if tiny else (1024, 2048)
    half = (64, 128) if tiny else (512, 1024)
    batch, crop = (1, 64) if tiny else (8, 480)
    name = platform.processor() if tiny else torch.cuda.get_device_name()
    parts = [
        f"## On a GPU\n\n{name}, torch {torch.__version__}, Python {platform.python_version()}, "
        f"{time.strftime('%Y-%m-%d', time.gmtime())}. `python -m benchmarks.gpu`\n",
        table(
            f"Forward, {half[0]}×{half[1]}, per frame",
            ("network", "precision", "batch", "ms", "peak GB"),
            networks(clock, half),
        ),
        table(
            f"Segments and 75 features, 19×{size[0]}×{size[1]}",
            ("where", "segments", "ms"),
            segments(clock, size),
        ),
        table(
            f"A monitor's answer, {half[0]}×{half[1]}, ms",
            ("network", "whole", "network alone", "all else"),
            monitor(clock, half),
        ),
        table(
            f"Objective, forward and backward, {batch}×19×{crop}×{crop}",
            ("loss", "ms", "peak GB"),
            objective(clock, batch, crop),
        ),
        table(
            f"A training step, Adam, batch {batch}, {crop}×{crop}",
            ("network", "precision", "ms", "images/s", "peak GB"),
            training(clock, batch, crop),
        ),
    ]
    sys.stdout.write("\n".join(parts))


if __name__ == "__main__":
    main()
