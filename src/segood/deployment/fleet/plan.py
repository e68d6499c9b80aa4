"""What a mass scoring is: its frames in a fixed order, cut into partitions, and what scores them.

In: frames, settings, a bundle. Out: the folder's first files, which never change again:

    manifest.json     settings, number and digest of the frames, number of partitions
    inputs.parquet    name and source of every frame; a row group is a partition
    monitor.segood    the bundle

A folder that has them can be gone on with, by the same list, bundle and settings alone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segood import runs
from segood.deployment.fleet.inputs import digest_inputs, read_inputs, write_inputs
from segood.deployment.fleet.listing import Listed
from segood.errors import DataError, UsageError
from segood.files import atomic_path, write_json

MANIFEST = "manifest.json"
INPUTS = "inputs.parquet"
BUNDLE = "monitor.segood"
PARTS = "parts"
_FORMAT, _VERSION = "segood.fleet", 1


@dataclass(frozen=True)
class Plan:
    """A folder whose frames are fixed.

    Attributes:
        out: the folder.
        settings: all that the partitions depend on, besides the frames.
        frames: their number.
        digest: SHA-256 over their names and sources.
    """

    out: Path
    settings: Mapping[str, Any]
    frames: int
    digest: str

    @classmethod
    def read(cls, out: Path) -> Plan:
        """Return the plan of a folder.

        Raises:
            DataError: there is none, or it is unfinished.
        """
        values = _manifest(out)
        if values is None or values["frames"] is None:
            raise DataError(f"{out / MANIFEST} is missing, or no whole plan of a mass scoring")
        return cls(out, values["settings"], values["frames"], values["sha256"])

    @property
    def size(self) -> int:
        """Frames per partition."""
        return int(self.settings["partition_size"])

    @property
    def partitions(self) -> int:
        """Number of partitions; the last one may be smaller."""
        return -(-self.frames // self.size)

    @property
    def identity(self) -> str:
        """What tells the plan from others."""
        return hashlib.sha256(json.dumps([self.settings, self.digest], sort_keys=True).encode()).hexdigest()

    def indices(self, partition: int) -> range:
        """Return the indices of a partition's frames."""
        return range(partition * self.size, min((partition + 1) * self.size, self.frames))

    def inputs(self, partition: int) -> list[Listed]:
        """Return a partition's frames, without reading those of others."""
        return read_inputs(self.out / INPUTS, partition)

    def part(self, partition: int) -> Path:
        """Return a partition's file."""
        return self.out / PARTS / f"part-{partition:05d}.{self.settings['format']}"

    def missing(self) -> list[int]:
        """Return the partitions that have no file yet."""
        folder = self.out / PARTS
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        return [number for number in range(self.partitions) if self.part(number).name not in there]


def make_plan(out: Path, frames: Iterable[Listed], bundle: str | Path, settings: Mapping[str, Any]) -> Plan:
    """Fix the frames of a claimed folder, or check that they are those that an earlier call fixed.

    Args:
        out: the folder.
        frames: in order; gone through once.
        bundle: file `….segood`.
        settings: all that the answers depend on, as plain data.

    Raises:
        UsageError: `out` was made for other frames.
        DataError: the list cannot be read.
        OutputError: a file cannot be written.
    """
    settings = json.loads(json.dumps(settings))  # as they read back
    before = _manifest(out)
    if before is not None and before["frames"] is not None:
        plan = Plan(out, settings, before["frames"], before["sha256"])
        _require_same(plan, frames)
        return plan
    _write(out, settings, None, None)  # from here on the folder is known as ours
    count, digest = write_inputs(out / INPUTS, frames, settings["partition_size"])
    with atomic_path(out / BUNDLE) as temporary:
        shutil.copyfile(bundle, temporary)
    _write(out, settings, count, digest)
    return Plan(out, settings, count, digest)


def claim(out: Path, settings: Mapping[str, Any], resume: bool) -> None:
    """Accept a new or empty folder, or one that an earlier call with the same settings left.

    Raises:
        UsageError: the folder holds something else, or `resume` is off, or the settings are others.
    """
    before = _manifest(out)
    if before is None:
        runs.claim_run(out, remedy="choose another --out, or remove it")
        return
    if before["frames"] is None:  # cut off while it wrote the list: nothing was scored
        return
    if not resume:
        raise UsageError(
            f"output folder {out} holds a mass scoring; choose another --out, remove it, or --resume it"
        )
    settings = json.loads(json.dumps(settings))  # as they read back
    changed = sorted(key for key in settings if settings[key] != before["settings"].get(key))
    if changed:
        raise UsageError(
            f"output folder {out} was made with another {' and '.join(changed)}; "
            "give the same again, or choose another --out"
        )


def _manifest(out: Path) -> dict[str, Any] | None:
    try:
        values = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        ours = values["format"] == _FORMAT and values["version"] == _VERSION
        ours = ours and isinstance(values["settings"], dict) and {"frames", "sha256"} <= set(values)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(values) if ours else None


def _write(out: Path, settings: Mapping[str, Any], frames: int | None, digest: str | None) -> None:
    size = settings["partition_size"]
    values = {
        "format": _FORMAT,
        "version": _VERSION,
        "settings": settings,
        "frames": frames,
        "sha256": digest,
        "partitions": None if frames is None else -(-frames // size),
    }
    write_json(out / MANIFEST, values)


def _require_same(plan: Plan, frames: Iterable[Listed]) -> None:
    count, digest = digest_inputs(frames)
    if (count, digest) != (plan.frames, plan.digest):
        what = f"{plan.frames} frames, now there are {count}" if count != plan.frames else "other frames"
        raise UsageError(
            f"output folder {plan.out} was made for {what}; give the same list, or choose another --out"
        )
