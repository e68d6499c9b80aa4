"""`segood --help`: how long one waits for it, and that it imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.measure import as_time, compare
from benchmarks.results import Requirement

LIMIT = 0.5
HELP = "import sys; from segood.cli import main; main(['--help']);"
HEAVY = ("torch", "numba", "pandas", "sklearn", "cv2")


def measure(quick: bool = False) -> list[Requirement]:
    """Measure the help against an empty program, and look at what was imported."""
    times = compare(lambda: run(HELP), lambda: run("pass"), 2 if quick else 9)
    imported = run(f"{HELP} sys.stderr.write(' '.join(name for name in {HEAVY!r} if name in sys.modules))")
    heavy = imported.split()
    return [
        Requirement(
            "segood --help",
            as_time(times.our_median),
            f"python -c pass: {as_time(times.peer_median)}",
            times.our_median,
            LIMIT,
            " s",
        ),
        Requirement(
            f"which of {', '.join(HEAVY)} it imports",
            ", ".join(heavy) or "none",
            "",
            len(heavy),
            0,
        ),
    ]


def run(program: str) -> str:
    """Run a program in a fresh interpreter and return what it wrote to stderr."""
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stderr
