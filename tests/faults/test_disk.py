"""A full disk, whatever a verb is writing just then: one line, older results kept, then it goes on."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from tests.faults.conftest import Expected
from tests.faults.injected import call, check_whole, facts, nearly_full, small_drive
from tests.faults.jobs import JOBS

from segood.deployment.sinks import VideoSink
from segood.errors import OutputError

pytestmark = pytest.mark.usefixtures("one_thread")

BLOCK = 4096
# free bytes that end each verb at another file: of its description, its first results, its last ones
QUICK = {
    "train": (0, 12_000, 163_840, 800_000),
    "evaluate": (0, 60_000, 300_000, 650_000),
    "meta": (0,),
    "calibrate": (4 * BLOCK,),
    "report": (1_000_000,),
    "score": (0, 3 * BLOCK, 7 * BLOCK),
    "compare": (200_000,),
    "predict": (0, 5 * BLOCK, 8 * BLOCK, 12 * BLOCK),
    "cityscapes": (0, 3 * BLOCK),
    "coco": (0, 5 * BLOCK, 10 * BLOCK),
}
CASES = [(name, free) for name, some in QUICK.items() for free in some]
LARGEST = {
    "train": 1_200_000, "evaluate": 700_000, "meta": 80_000, "calibrate": 30_000, "report": 5_000_000,
    "score": 60_000, "compare": 6_200_000, "predict": 100_000, "export": 200_000, "cityscapes": 40_000,
    "coco": 60_000, "figures": 5_700_000,
}  # fmt: skip
LONG = [
    pytest.param(name, int(largest * step / 40), marks=pytest.mark.long)
    for (name, largest), step in itertools.product(LARGEST.items(), range(1, 40))
] + [pytest.param("train", 150_000 + 2048 * step, marks=pytest.mark.long) for step in range(20)]


@pytest.mark.parametrize(("name", "free"), [*CASES, *LONG])
def test_a_full_disk_is_one_line_and_costs_nothing(
    name: str, free: int, small_data: Path, expected: Expected
) -> None:
    job = JOBS[name]
    wanted = expected(name)
    with small_drive() as drive:
        job.prepare(small_data, drive)
        older = facts(drive)
        with nearly_full(drive, free):
            said = call(*job.argv(small_data, drive))
            if said.code:
                line = said.error(drive)
                assert "No space left on device" in line or "it ends early" in line
                assert "free space" in line or "permission?" in line
                assert check_whole(drive) >= len(older)
                assert older.items() <= facts(drive).items()
            else:
                assert (name, free) not in CASES  # each of these has to hit
        again = call(*job.argv(small_data, drive), *job.again_if_begun(drive))
        assert again.code == 0, again.stderr
        assert facts(drive) == wanted


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
@pytest.mark.parametrize("count", [1, 2, pytest.param(60, marks=pytest.mark.long)])
def test_a_video_is_whole_or_not_there(suffix: str, count: int) -> None:
    """OpenCV says nothing of a full disk."""
    generator = np.random.default_rng(0)
    pictures = generator.integers(0, 255, (count, 128, 128, 3), dtype=np.uint8)
    with small_drive() as drive:
        path = drive / f"found{suffix}"

        def write() -> None:
            with VideoSink(path) as video:
                for picture in pictures:
                    video.write(picture)

        write()
        size = path.stat().st_size
        path.unlink()
        for free in range(0, size - BLOCK, BLOCK):
            with nearly_full(drive, free), pytest.raises(OutputError, match=r"cannot write .*found"):
                write()
            assert not list(drive.iterdir())
        write()
        assert path.stat().st_size == size
