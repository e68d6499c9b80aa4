"""`segood serve` as a process of its own, and a bundle of a small network for it."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import torch
from tests.deployment.service.client import Client

from segood.deployment.bundle import CARD, NETWORK, Bundle, Manifest, described
from segood.deployment.onnx_graph import export_graph
from segood.models import load_model


def write_bundle(path: Path) -> Path:
    """Write a monitor of a U-Net with random weights, scaled until some pixels are sure and others not."""
    torch.manual_seed(0)
    model = load_model("unet", width=8)
    with torch.no_grad():
        model.network.head.weight.mul_(300)
    parts = {NETWORK: export_graph(model), CARD: b'{"network": "random"}'}
    manifest = Manifest(
        label="unet",
        class_names=tuple(model.class_names),
        frame_size=None,
        working_size=None,
        threshold=0.97,
        probability_threshold=0.5,
        region=None,
        parts=described(parts),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        segood="0",
    )
    Bundle(manifest, parts).write(path)
    return path


@dataclasses.dataclass
class Served:
    """A running `segood serve`."""

    process: subprocess.Popen[str]
    client: Client
    lines: list[str]

    def rss(self) -> float:
        """Return the process's resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found, status
        return int(found[1]) / 1024

    def metric(self, name: str) -> float:
        """Return a value of `/metrics`, 0 if it is not there yet."""
        for line in self.client.get("/metrics").body.decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0


@contextlib.contextmanager
def served(bundle: Path, *options: object, seconds: float = 120) -> Iterator[Served]:
    """Run `segood serve` on a free port until it is ready, and end it if the test has not."""
    command = [sys.executable, "-m", "segood.cli", "serve", str(bundle), "--port", "0", *map(str, options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
    reader.start()
    try:
        deadline = time.monotonic() + seconds
        while not (found := re.search(r"listening on http://[^:]+:(\d+)", "".join(lines))):
            assert process.poll() is None, "".join(lines)
            assert time.monotonic() < deadline, "".join(lines)
            time.sleep(0.02)
        yield Served(process, Client(int(found[1])), lines)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        reader.join(10)
        process.stdout.close()
