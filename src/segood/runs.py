"""Run directories: one folder that tells by itself what was run and what came out.

    config.yaml  environment.json  metrics.json  checkpoints/  segments.parquet  meta.json
    evaluation.yaml  gallery/  exploration.json  exploration/  figures/  report.html

`config.yaml` says how the run was started, `evaluation.yaml` what its metrics were measured with.

In: a path, a configuration. Out: the claimed folder and the two files that describe the run.
"""

from __future__ import annotations

import contextlib
import platform
import shlex
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from segood.documents import read_yaml
from segood.errors import DataError, OutputError, UsageError, system_says
from segood.files import is_unfinished, remove_unfinished, write_json, write_text

LOCK = ".lock"
CONFIG = "config.yaml"
ENVIRONMENT = "environment.json"
EVALUATION = "evaluation.yaml"
METRICS = "metrics.json"
SEGMENTS = "segments.parquet"
META = "meta.json"
GALLERY = "gallery"
EXPLORATION = "exploration"
CHECKPOINTS = "checkpoints"
START = f"{CHECKPOINTS}/start.safetensors"
FINAL = f"{CHECKPOINTS}/model.safetensors"

_PACKAGES = ("segood", "torch", "torchvision", "lightning", "numpy", "scipy", "scikit-learn", "pandas")


def claim_run(
    path: str | Path,
    *,
    resume: bool = False,
    remedy: str = "choose another --out, or remove it, or --resume it",
) -> Path:
    """Create a run directory, or accept an empty one.

    Args:
        path: the folder.
        resume: accept a folder that holds a run, to go on with it.
        remedy: what the error tells the user to do; not every verb can resume.

    Raises:
        UsageError: the folder holds another run (or anything else) and `resume` is off.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; the output must be a folder")
    entries = path.iterdir() if path.exists() else ()
    names = sorted(p.name for p in entries if p.name != LOCK and not is_unfinished(p))
    holds = names[0] if names else None
    if holds and not resume:
        what = "already holds another run" if (path / CONFIG).exists() else f"is not empty (it holds {holds})"
        raise UsageError(f"output folder {path} {what}; {remedy}")
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep a folder to this process; the system lets go of it however the process ends.

    A folder that does not exist is made, and removed again where nothing was written. Unfinished files of
    processes that were killed are removed.

    Raises:
        UsageError: another process holds it.
        OutputError: it cannot be made or written to.
    """
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; the output must be a folder")
    lock = FileLock(path / LOCK, blocking=False)
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"another process is writing to {path}; wait until it has ended, or choose another --out"
        ) from None
    except NotImplementedError:  # a network drive without locks: better unprotected than not at all
        pass
    except OSError as error:
        raise OutputError(f"cannot write to {path}: {system_says(error, 'permission?')}") from error
    try:
        if lock.is_locked:
            remove_unfinished(path)
        yield
    finally:
        if lock.is_locked:
            with contextlib.suppress(OSError):
                (path / LOCK).unlink(missing_ok=True)
            lock.release()
        with contextlib.suppress(OSError):
            for folder in (path, *made):
                folder.rmdir()  # fails where something was written


def command_line() -> str:
    """Return the command that started this process, as one would type it."""
    program = Path(sys.argv[0]).name
    return shlex.join(["segood" if program in ("__main__.py", "segood") else program, *sys.argv[1:]])


def describe_environment() -> dict[str, Any]:
    """Return versions, platform and time: what a reader needs to repeat the run."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command_line(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "packages": versions,
    }


def write_description(run: Path, config: dict[str, Any]) -> None:
    """Write `config.yaml` (resolved, so that it repeats the run) and `environment.json`."""
    write_yaml(run / CONFIG, config)
    write_json(run / ENVIRONMENT, describe_environment())


def write_yaml(path: Path, config: dict[str, Any]) -> None:
    """Write a configuration as YAML, atomically."""
    write_text(path, yaml.safe_dump(as_stored(config), sort_keys=False))


def as_stored(value: Any) -> Any:
    """Return a configuration as it reads back from YAML: tuples become lists, paths text."""
    if isinstance(value, dict):
        return {key: as_stored(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_stored(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def read_config(run: str | Path, name: str = CONFIG) -> dict[str, Any]:
    """Return the configuration a run was started with, or another one of its YAML files.

    Raises:
        DataError: `run` is no run directory.
    """
    path = Path(run) / name
    try:
        config = read_yaml(path)
    except DataError as error:
        raise DataError(f"{run} is no run directory: {error}") from error
    if not isinstance(config, dict):
        raise DataError(f"{path} does not hold a configuration")
    return config


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else platform.processor()
