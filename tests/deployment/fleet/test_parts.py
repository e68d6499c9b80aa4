"""Plan, partition files and worker, without Ray: what is written once, and what is told of damage."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image
from tests.deployment.painted import RedMonitor, street

from segood.deployment.fleet.listing import Listed
from segood.deployment.fleet.parts import read_counts, read_part, write_part
from segood.deployment.fleet.plan import MANIFEST, Plan, claim, make_plan
from segood.deployment.fleet.records import add_counts, count, part_schema
from segood.deployment.fleet.scoring import score_frames
from segood.deployment.fleet.worker import MOST_ATTEMPTS, Worker
from segood.deployment.frame_checks import FrameChecks
from segood.errors import CheckpointError, DataError, UsageError

SETTINGS = {"partition_size": 3, "format": "parquet", "checks": None, "segood": "1"}
CHECKS = FrameChecks(frozen_after=None, stale_after=None)


@pytest.fixture
def listed(tmp_path: Path) -> list[Listed]:
    """Four streets, with 0..3 red boxes and a blue one, and a file that is no image."""
    for number in range(4):
        boxes = [(4 + 12 * n, 4, 10 + 12 * n, 12) for n in range(number)]
        Image.fromarray(street(*boxes, blue=[(40, 50, 46, 60)])).save(tmp_path / f"{number}.png")
    (tmp_path / "4.png").write_text("no image")
    return [Listed(f"{number}.png", str(tmp_path / f"{number}.png")) for number in range(5)]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_records_read_back_as_they_were(listed: list[Listed], suffix: str, tmp_path: Path) -> None:
    scored = score_frames(RedMonitor(), listed, start=7, checks=CHECKS)
    path = tmp_path / f"part-00000.{suffix}"
    counts = write_part(path, scored.records)
    assert read_part(path) == scored.records
    for record in scored.records:
        jsonschema.Draft202012Validator(part_schema()).validate(record)
    assert counts == read_counts(path, range(7, 12)) == count(scored.records)
    assert counts == {
        "frames": 5,
        "verdicts": 4,
        "no_verdicts": {"unreadable": 1},
        "objects": 0 + 1 + 2 + 3,
        "frames_with_objects": 3,
        "removed": 4,
        "first_unreadable": [
            "4.png",
            "4.png: cannot be read as an image; the file is damaged or holds something else",
        ],
    }
    first = path.read_bytes()
    write_part(path, score_frames(RedMonitor(), listed, start=7, checks=CHECKS).records)
    assert path.read_bytes() == first  # no time, no place
    for wrong in (range(12), range(7, 13)):
        with pytest.raises(DataError, match=r"is damaged, or no partition of this folder; remove it"):
            read_counts(path, wrong)
    path.write_bytes(first[: len(first) // 2])
    with pytest.raises(DataError, match=r"part-00000\.\w+ is damaged"):
        read_counts(path, range(7, 12))


def test_each_image_stands_alone(listed: list[Listed]) -> None:
    black = Path(listed[0].source).with_name("black.png")
    Image.new("RGB", (64, 48)).save(black)
    frames = [*[listed[0]] * 8, Listed("black.png", str(black)), *[listed[0]] * 8]
    scored = score_frames(RedMonitor(), frames, checks=CHECKS)
    reasons = [r["no_verdict"] and r["no_verdict"]["reason"] for r in scored.records]
    assert reasons == [None] * 8 + ["black"] + [None] * 8
    assert [r["index"] for r in scored.records] == list(range(17))


def test_a_monitor_that_fails_on_an_image_stops_nothing(listed: list[Listed]) -> None:
    class Fragile(RedMonitor):
        def __call__(self, image: np.ndarray) -> object:  # type: ignore[override]
            found = super().__call__(image)
            if self.asked == 2:
                raise MemoryError
            if self.asked == 3:
                raise CheckpointError("an operator does not know this size")
            return found

    records = score_frames(Fragile(), listed[:4]).records  # type: ignore[arg-type]
    messages = [r["no_verdict"] and r["no_verdict"]["message"] for r in records]
    assert messages == [
        None,
        "there is not enough memory for this image",
        "an operator does not know this size",
        None,
    ]


def test_counts_add_up() -> None:
    parts = [
        {**count([]), "frames": 2, "no_verdicts": {"black": 2}},
        {
            **count([]),
            "frames": 1,
            "no_verdicts": {"black": 1, "exposure": 1},
            "first_unreadable": ["a", "b"],
        },
    ]
    total = add_counts(parts)
    assert (total["frames"], total["no_verdicts"]) == (3, {"black": 3, "exposure": 1})
    assert total["first_unreadable"] == ["a", "b"]


def test_the_list_is_fixed_first(listed: list[Listed], tmp_path: Path) -> None:
    bundle, out = tmp_path / "m.segood", tmp_path / "out"
    bundle.write_bytes(b"bundle")
    claim(out, SETTINGS, False)
    plan = make_plan(out, iter(listed), bundle, SETTINGS)
    assert (plan.frames, plan.partitions, plan.missing()) == (5, 2, [0, 1])
    assert [list(plan.indices(n)) for n in range(2)] == [[0, 1, 2], [3, 4]]
    assert plan.inputs(0) + plan.inputs(1) == listed
    assert plan.part(1) == out / "parts" / "part-00001.parquet"
    assert Plan.read(out) == plan
    with pytest.raises(
        UsageError, match=r"holds a mass scoring; choose another --out, remove it, or --resume"
    ):
        claim(out, SETTINGS, False)
    with pytest.raises(UsageError, match=r"was made with another format and partition_size; give the same"):
        claim(out, {**SETTINGS, "partition_size": 4, "format": "jsonl"}, True)
    claim(out, SETTINGS, True)
    assert make_plan(out, iter(listed), bundle, SETTINGS) == plan
    with pytest.raises(UsageError, match=r"was made for 5 frames, now there are 4; give the same list"):
        make_plan(out, listed[:4], bundle, SETTINGS)
    with pytest.raises(UsageError, match=r"was made for other frames; give the same list"):
        make_plan(out, listed[::-1], bundle, SETTINGS)


def test_names_that_no_text_can_hold_are_told(tmp_path: Path) -> None:
    claim(tmp_path / "out", SETTINGS, False)
    bad = Listed("caf\udce9.png", "/caf\udce9.png")  # how Python reads a Latin-1 name
    with pytest.raises(DataError, match=r"a file's name is not UTF-8: …'8 caf.udce9\.png.*'…; rename it"):
        make_plan(tmp_path / "out", [bad], tmp_path / "m.segood", SETTINGS)


def test_a_folder_cut_off_while_it_was_planned_is_planned_again(listed: list[Listed], tmp_path: Path) -> None:
    def cut_off() -> object:
        yield listed[0]
        raise KeyboardInterrupt

    bundle, out = tmp_path / "m.segood", tmp_path / "out"
    bundle.touch()
    claim(out, SETTINGS, False)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        make_plan(out, cut_off(), bundle, SETTINGS)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"manifest\.json is missing, or no whole plan"):
        Plan.read(out)
    claim(out, SETTINGS, False)
    assert make_plan(out, listed, bundle, SETTINGS).frames == 5


def test_a_worker_says_what_is_wrong_and_raises_nothing(listed: list[Listed], tmp_path: Path) -> None:
    out, bundle = tmp_path / "out", tmp_path / "m.segood"
    assert Worker(str(out), "x", 1).do(0)["error"].endswith("it must be a folder that all machines share")
    bundle.write_bytes(b"no bundle")
    claim(out, SETTINGS, False)
    plan = make_plan(out, listed, bundle, SETTINGS)
    report = Worker(str(out), "another", 1).do(0)
    assert (report["partition"], report["kind"]) == (0, "DataError")
    assert f"sees another {out}" in report["error"]
    assert "the call 1; install one" in Worker(str(out), plan.identity, 1).do(0)["error"]
    claim(tmp_path / "bad", SETTINGS, False)
    settings = {**SETTINGS, "segood": version("segood")}
    settings["monitor"] = {"bundle_sha256": "0" * 64}
    bad = make_plan(tmp_path / "bad", listed, bundle, settings)
    assert (
        "it is another file, or somebody changed it" in Worker(str(bad.out), bad.identity, 1).do(0)["error"]
    )
    (plan.out / MANIFEST).unlink()
    assert "does not see" in Worker(str(out), plan.identity, 1).do(0)["error"]


def test_a_partition_that_workers_die_on_is_given_up(listed: list[Listed], tmp_path: Path) -> None:
    out, bundle = tmp_path / "out", tmp_path / "m.segood"
    bundle.touch()
    claim(out, SETTINGS, False)
    plan = make_plan(out, listed, bundle, {**SETTINGS, "segood": version("segood")})
    (out / "attempts").mkdir()
    (out / "attempts" / "part-00001").write_text("process 7 node\n3\n4\n" * MOST_ATTEMPTS)
    report = Worker(str(out), plan.identity, 1).do(1)
    assert report["kind"] == "given up"
    assert report["error"] == "partition 1 was given up: 5 workers died on it, the last at 4.png"
