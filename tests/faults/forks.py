"""A server that forks processes of `segood`, so that each begins in a moment and can be killed at any.

In: requests, a line of JSON each. Out: an answer each. `python -m tests.faults.forks` has imported everything
that verbs need, but computed nothing: there is no thread that a fork would lose. A child leads a process
group of its own and may carry a fuse: it kills itself around its n-th change of the file system.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

FUSE = "SEGOOD_TEST_FUSE"
"""`n before` or `n after`: the process kills itself there, at its n-th call of one of `STEPS`. A third word
counts only calls that name a path with this ending."""
STEPS = ("replace", "rename", "fsync", "mkdir", "unlink", "rmdir")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "SEGOOD_NUM_THREADS": "1"}
"""The sums of several threads may differ in the last bit."""

_PATIENCE = 240.0
_PREPARED = (
    "cv2", "h5py", "lightning.pytorch", "matplotlib.figure", "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg", "numba", "pandas",
    "plotly.graph_objects", "pyarrow.parquet", "pycocotools.mask", "sklearn.linear_model", "tensorboard",
    "torch.utils.tensorboard",
    "segood.cli.compare", "segood.cli.data", "segood.cli.evaluate", "segood.cli.predict", "segood.cli.score",
    "segood.cli.train", "segood.data.coco", "segood.deployment.monitor", "segood.deployment.predict",
    "segood.evaluation.comparison.run", "segood.evaluation.run", "segood.evaluation.score_maps",
    "segood.models.unet", "segood.reporting.any_report", "segood.reporting.comparison.figures",
    "segood.reporting.comparison.page", "segood.reporting.comparison.tables", "segood.training.fit",
)  # fmt: skip


@dataclass
class Attempt:
    """One process of `segood` that was started."""

    server: ForkServer
    pid: int
    log: Path

    def wait(self, seconds: float = _PATIENCE) -> int | None:
        """Return the exit code, negative for a signal; None where it still runs after `seconds`."""
        return self.server.ask({"wait": self.pid, "seconds": seconds})["code"]  # type: ignore[no-any-return]

    def kill(self) -> int:
        """Kill -9 the process and all that it has started; return its exit code, if it was quicker."""
        os.killpg(self.pid, signal.SIGKILL)
        code = self.wait()
        assert code is not None, "kill -9 ends everything"
        return code

    def said(self) -> str:
        """Return what it has printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")


class ForkServer:
    """The other side of this module, for tests."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, **ONE_THREAD},
        )

    def start(self, argv: Sequence[object], fuse: str = "") -> Attempt:
        """Start `segood ARGV`."""
        self._count += 1
        log = self._folder / f"{self._count:04d}.log"
        request = {"argv": [str(word) for word in argv], "log": str(log), "fuse": fuse}
        return Attempt(self, self.ask(request)["pid"], log)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request, and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the fork server has died"
        return json.loads(answer)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@contextlib.contextmanager
def fork_server(folder: Path) -> Iterator[ForkServer]:
    """Run a server whose children write what they print into `folder`."""
    server = ForkServer(folder)
    try:
        yield server
    finally:
        server.close()


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what an import prints is no answer
    for name in _PREPARED:
        import_module(name)
    assert threading.active_count() == 1, threading.enumerate()
    codes: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "argv" in request:
            pid = os.fork()
            if pid == 0:
                _child(request["argv"], Path(request["log"]), request["fuse"])
            with contextlib.suppress(OSError):  # it has done so itself
                os.setpgid(pid, pid)
            answer: dict[str, Any] = {"pid": pid}
        else:
            answer = {"code": _code(request["wait"], request["seconds"], codes)}
        answers.write(json.dumps(answer) + "\n")


def _code(pid: int, seconds: float, codes: dict[int, int]) -> int | None:
    end = time.monotonic() + seconds
    while pid not in codes:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            codes[pid] = os.waitstatus_to_exitcode(status)
        elif time.monotonic() > end:
            return None
        else:
            time.sleep(0.002)
    return codes[pid]


def _child(argv: list[str], log: Path, fuse: str) -> None:
    code = 70
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), out, out)):
            os.dup2(file, number)
        sys.argv = ["segood", *argv]
        if fuse:
            _light(fuse)
        from segood.cli import main

        code = main(argv)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _light(fuse: str) -> None:
    """Count the changes of the file system; at the one that `fuse` names, die before it or after it."""
    at, side, *ending = fuse.split()
    left = int(at)

    def watched(name: str) -> Any:
        change = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            counts = not ending or any(str(a).endswith(ending[0]) for a in arguments)
            left -= counts
            dies = counts and left == 0
            if dies and side == "before":
                os.killpg(0, signal.SIGKILL)
            try:
                return change(*arguments, **options)
            finally:
                if dies:
                    os.killpg(0, signal.SIGKILL)

        return call

    for name in STEPS:
        setattr(os, name, watched(name))


if __name__ == "__main__":
    _serve()
