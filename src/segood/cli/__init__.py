"""The command line `segood`: one verb per module, no logic here.

Nothing heavy is imported before a verb is chosen, so that `segood --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

VERBS = {
    "demo": "the whole job on a synthetic world, in minutes",
    "data": "check data sets, prepare them for training",
    "models": "networks known by name; fetch public weights",
    "train": "fine-tune a network with entropy maximisation",
    "score": "write OoD score maps, as the public benchmark reads them",
    "evaluate": "pixel-level, segment-level and closed-set numbers, before and after",
    "meta": "filter false alarms with the meta classifier",
    "compare": "networks × scores × test sets: one table with intervals, and its figures",
    "report": "one self-contained HTML page of a run",
    "calibrate": "thresholds that keep a stated target on new scenes, with what is assumed",
    "predict": "images, a video or a camera -> what is unknown in every frame",
    "export": "a run -> one file for a monitor without PyTorch, checked against PyTorch",
    "serve": "the monitor behind HTTP: images in, unknown objects out, limits that hold",
}

_HELP = """usage: segood VERB ...

Make any segmentation network say "I don't know this" at the right pixels.

verbs, in pipeline order:
{verbs}

options:
  -h, --help    this text; `segood VERB --help` for a verb, with an example
  --version     the version

first time? run `segood demo`
"""


def main(argv: list[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: arguments after the program's name; those of the process if not given.

    Returns:
        0 ok, 1 failed, 2 bad usage.
    """
    is_program = argv is None
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        verbs = "\n".join(f"  {name:<10} {text}" for name, text in VERBS.items())
        sys.stdout.write(_HELP.format(verbs=verbs))
        return 0 if argv else 2
    if argv[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"segood {version('segood')}\n")
        return 0
    if argv[0] not in VERBS:
        from difflib import get_close_matches

        near = get_close_matches(argv[0], VERBS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"verbs: {', '.join(VERBS)}"
        sys.stderr.write(f"segood: error: unknown verb {argv[0]!r}; {hint}\n")
        return 2
    from segood.cli.frame import OutOfMemory, run_verb

    code = run_verb(import_module(f"segood.cli.{argv[0]}"), argv[1:])
    if is_program and isinstance(code, OutOfMemory):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # threads of libraries need memory to end, and would be waited for
    return code
