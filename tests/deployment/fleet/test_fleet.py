"""Mass scoring on a real Ray cluster of several processes, some of which are killed while they work."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.pages import DOCS, blocks, run_python

from segood.cli import main
from segood.cli.predict import build_parser
from segood.compiled import set_num_threads
from segood.deployment import FrameChecks, Monitor, PredictOptions, predict_frames
from segood.deployment.export import Exported
from segood.deployment.fleet import FleetOptions, predict_fleet, read_part
from segood.deployment.fleet.engine import connected, import_ray
from segood.deployment.fleet.records import TIMES, count
from segood.deployment.fleet.worker import MOST_ATTEMPTS
from segood.deployment.sinks import read_records
from segood.deployment.sources import ImageFiles, find_images
from segood.errors import DataError, OutputError, UsageError

FRAMES = 30
SIZE = 7


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """Three worker processes for all tests of this module, not behind all else that this machine does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        with connected(FleetOptions(workers=3)):
            yield


@pytest.fixture(scope="module")
def whole(exported: Exported, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scoring by one worker that nothing happened to."""
    out = tmp_path_factory.mktemp("whole") / "found"
    found = predict_fleet([photos], exported.path, out, FleetOptions(partition_size=SIZE, workers=1))
    assert found["this_call"]["frames"] == FRAMES
    assert found["this_call"]["begun_again"] == 0
    return out


def files(out: Path) -> dict[str, bytes]:
    """Return all that has to be the same each time."""
    paths = (p for p in out.rglob("*") if p.is_file() and p.name not in ("timings.jsonl", ".lock"))
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def timings(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "timings.jsonl").read_text().splitlines()]


def kill_a_worker(out: Path, killed: list[int], times: int = 1) -> None:
    """Kill -9 workers in the middle of a partition; remember their process numbers."""
    give_up = time.monotonic() + 600
    while len(killed) < times and time.monotonic() < give_up:
        for attempt in (out / "attempts").glob("part-*"):
            try:
                lines = attempt.read_text().splitlines()
            except FileNotFoundError:
                continue
            process = next((int(x.split()[1]) for x in reversed(lines) if x.startswith("process")), None)
            if process is not None and process not in killed and lines[-1].isdecimal():
                with contextlib.suppress(ProcessLookupError):  # it may have ended a moment ago
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)
                break
        time.sleep(0.001)


def test_records_are_those_of_the_ordinary_engine(
    whole: Path, exported: Exported, photos: Path, tmp_path: Path
) -> None:
    set_num_threads(1)
    options = PredictOptions(checks=FrameChecks(frozen_after=None, stale_after=None))
    source = ImageFiles(find_images([photos]))
    predict_frames(Monitor.load(exported.path), source, tmp_path / "out", options)
    expected = list(read_records(tmp_path / "out" / "frames.jsonl"))
    parts = sorted((whole / "parts").iterdir())
    assert [p.name for p in parts] == [f"part-{n:05d}.parquet" for n in range(5)]
    found = [record for part in parts for record in read_part(part)]
    assert len(found) == FRAMES == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == {k: v for k, v in theirs.items() if k not in TIMES} | {"source": ours["source"]}
        assert ours["source"] == str(Path(theirs["name"]).absolute())
    assert sum(len(record["objects"]) + len(record["removed"]) for record in found) > 20
    ordinary = json.loads((tmp_path / "out" / "summary.json").read_text())
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["complete"]
    assert summary["no_verdicts"] == {"black": 1, "unreadable": 1}
    for key, value in count(found).items():
        assert summary[key] == value == ordinary[key], key


def test_killed_workers_cost_nothing_but_time(
    whole: Path, exported: Exported, photos: Path, tmp_path: Path
) -> None:
    out, killed = tmp_path / "found", []  # type: tuple[Path, list[int]]
    killer = threading.Thread(target=kill_a_worker, args=(out, killed))
    killer.start()
    found = predict_fleet([photos], exported.path, out, FleetOptions(partition_size=SIZE, workers=3))
    killer.join()
    assert len(killed) == 1
    assert found["this_call"]["begun_again"] == 1
    assert found["this_call"]["frames"] == FRAMES
    assert files(out) == files(whole)
    lines = timings(out)
    assert sorted(line["partition"] for line in lines) == list(range(5))
    assert sum(line["attempt"] for line in lines) == 5 + 1
    assert len({line["process"] for line in lines} - set(killed)) > 1  # it was work of several


def start_command(exported: Exported, photos: Path, out: Path) -> subprocess.Popen[str]:
    """Start the command line in a process and a cluster of its own; return when a partition is there."""
    words = ("predict", photos, "--monitor", exported.path, "--engine", "ray", "--out", out)
    options = ("--workers", 2, "--partition_size", SIZE)
    command = [sys.executable, "-m", "segood.cli", *map(str, (*words, *options))]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    give_up = time.monotonic() + 600
    while not list((out / "parts").glob("part-*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up
        time.sleep(0.001)
    return process


def test_a_killed_call_is_gone_on_with(whole: Path, exported: Exported, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    process = start_command(exported, photos, out)
    process.kill()
    process.communicate(timeout=300)
    workers = {int(p.read_text().split()[1]) for p in (out / "attempts").iterdir()}
    give_up = time.monotonic() + 300
    while any(Path(f"/proc/{worker}").exists() for worker in workers):  # they end with it
        assert time.monotonic() < give_up
        time.sleep(0.05)
    done = sum(len(read_part(part)) for part in (out / "parts").glob("part-*"))
    assert 0 < done < FRAMES
    assert not json.loads((out / "summary.json").read_text())["complete"]
    found = predict_fleet([photos], exported.path, out, FleetOptions(partition_size=SIZE), resume=True)
    assert found["this_call"]["frames"] == FRAMES - done
    assert files(out) == files(whole)


@pytest.mark.long
def test_ctrl_c_keeps_finished_partitions(
    whole: Path, exported: Exported, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "found"
    process = start_command(exported, photos, out)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all of them
    said, stderr = process.communicate(timeout=300)
    assert process.returncode == 1
    assert said == ""
    assert stderr.strip().splitlines()[-1] == "segood: error: interrupted; finished work is kept"
    predict_fleet([photos], exported.path, out, FleetOptions(partition_size=SIZE), resume=True)
    assert files(out) == files(whole)


def test_another_process_joins_the_cluster(
    whole: Path, exported: Exported, photos: Path, tmp_path: Path
) -> None:
    ray, out = import_ray(), tmp_path / "found"
    words = ("predict", photos, "--monitor", exported.path, "--engine", "ray", "--out", out, "--json")
    options = ("--address", ray.get_runtime_context().gcs_address, "--partition_size", SIZE)
    command = [sys.executable, "-m", "segood.cli", *map(str, (*words, *options))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1
    assert "1 of 30 frames cannot be read; the first: " in done.stderr
    assert json.loads(done.stdout)["this_call"]["frames"] == FRAMES  # nothing but JSON
    assert files(out) == files(whole)
    assert ray.is_initialized()
    assert ray.cluster_resources()["CPU"] == 3  # it goes on


@pytest.mark.long
def test_many_killed_workers(whole: Path, exported: Exported, photos: Path, tmp_path: Path) -> None:
    out, killed = tmp_path / "found", []  # type: tuple[Path, list[int]]
    killer = threading.Thread(target=kill_a_worker, args=(out, killed, 4))
    killer.start()
    found = predict_fleet([photos], exported.path, out, FleetOptions(partition_size=SIZE, workers=2))
    killer.join()
    assert len(killed) == 4
    assert found["this_call"]["begun_again"] == 4
    assert files(out) == files(whole)


def test_what_is_there_is_not_done_again(
    whole: Path, exported: Exported, photos: Path, tmp_path: Path
) -> None:
    out, options = tmp_path / "found", FleetOptions(partition_size=SIZE)
    for name, content in files(whole).items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    for gone in (1, 3):
        (out / "parts" / f"part-{gone:05d}.parquet").unlink()
    (out / "parts" / ".part-00001.ab.part.parquet").write_text("half a file of a killed worker")
    before = (out / "parts" / "part-00000.parquet").stat().st_mtime_ns
    found = predict_fleet([photos], exported.path, out, options, resume=True)
    assert found["this_call"]["frames"] == 2 * SIZE
    assert [line["partition"] for line in sorted(timings(out), key=lambda t: t["partition"])] == [1, 3]
    assert (out / "parts" / "part-00000.parquet").stat().st_mtime_ns == before
    assert files(out) == files(whole)
    assert predict_fleet([photos], exported.path, out, options, resume=True)["this_call"]["frames"] == 0
    assert files(out) == files(whole)
    with pytest.raises(UsageError, match=r"was made for 30 frames, now there are 15; give the same list"):
        predict_fleet([photos / "day0"], exported.path, out, options, resume=True)
    with pytest.raises(UsageError, match=r"holds a mass scoring; choose another --out"):
        predict_fleet([photos], exported.path, out, options)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["settings"]["monitor"]["bundle_sha256"] = "0" * 64  # made by another bundle
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match=r"was made with another monitor; give the same again"):
        predict_fleet([photos], exported.path, out, options, resume=True)


def test_a_damaged_partition_is_told(whole: Path, exported: Exported, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    for name, content in files(whole).items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content[:100] if name.endswith("00002.parquet") else content)
    with pytest.raises(DataError, match=r"part-00002\.parquet is damaged, or no partition of this folder"):
        predict_fleet([photos], exported.path, out, FleetOptions(partition_size=SIZE), resume=True)


def test_images_at_urls_as_json_lines(whole: Path, exported: Exported, photos: Path, tmp_path: Path) -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(photos))
    )
    threading.Thread(target=server.serve_forever).start()
    names = [path.relative_to(photos).as_posix() for path in find_images([photos])]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in names:
            archive.write(photos / name, name)
    where = (
        lambda name: f"http://127.0.0.1:{server.server_port}/{name.replace(' ', '%20')}",
        lambda name: f"zip://{name}::file://{tmp_path}/all.zip",
        lambda name: f"file://{photos}/{name}",
    )
    urls = [where[n % 3](name) for n, name in enumerate(names)]
    urls[4] = f"http://127.0.0.1:{server.server_port}/gone.png"
    parquet.write_table(pa.table({"url": urls}), tmp_path / "day.parquet")
    try:
        options = FleetOptions(partition_size=11, format="jsonl", column="url")
        found = predict_fleet([tmp_path / "day.parquet"], exported.path, tmp_path / "out", options)
    finally:
        server.shutdown()
        server.server_close()
    records = [r for part in sorted((tmp_path / "out" / "parts").iterdir()) for r in read_part(part)]
    expected = [r for part in sorted((whole / "parts").iterdir()) for r in read_part(part)]
    assert [r["name"] for r in records] == [r["source"] for r in records] == urls
    assert found["no_verdicts"] == {"black": 1, "unreadable": 2}
    gone = records.pop(4)["no_verdict"]
    assert gone == {
        "reason": "unreadable",
        "message": f"{urls[4]}: no such file, or no access (FileNotFoundError)",
    }
    expected.pop(4)
    for ours, theirs in zip(records, expected, strict=True):
        for key in set(ours) - {"name", "source", "no_verdict"}:
            assert ours[key] == theirs[key], (key, ours["name"])
        if theirs["no_verdict"] is not None:
            message = theirs["no_verdict"]["message"].replace(theirs["name"], ours["name"])
            assert ours["no_verdict"] == theirs["no_verdict"] | {"message": message}


@pytest.mark.long
def test_more_workers_than_there_is_room_for(
    whole: Path, exported: Exported, photos: Path, tmp_path: Path
) -> None:
    predict_fleet([photos], exported.path, tmp_path / "found", FleetOptions(partition_size=SIZE, workers=5))
    assert files(tmp_path / "found") == files(whole)
    with pytest.raises(UsageError, match=r"the Ray cluster has 3 CPUs, a worker needs 4"):
        predict_fleet([photos], exported.path, tmp_path / "other", FleetOptions(threads_per_worker=4))


def test_one_call_at_a_time(exported: Exported, photos: Path, tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / "out").mkdir()
    claimed = {"format": "segood.fleet", "version": 1, "settings": {}, "frames": None, "sha256": None}
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(claimed))
    with (
        FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(UsageError, match=r"is being worked on by another call"),
    ):
        predict_fleet([photos], exported.path, tmp_path / "out")


@pytest.mark.long
def test_a_full_disk_is_told(exported: Exported, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    claimed = {"format": "segood.fleet", "version": 1, "settings": {}, "frames": None, "sha256": None}
    (out / "manifest.json").write_text(json.dumps(claimed))
    (out / "parts").write_text("a file where a folder has to be")
    with pytest.raises(
        OutputError, match=r"cannot write .*part-00000\.parquet: .*; free space or permission"
    ):
        predict_fleet([photos / "day0"], exported.path, out)


PAGE = (DOCS / "scale.md").read_text(encoding="utf-8")


def test_the_page_runs(
    exported: Exported, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, "photos")
    (tmp_path / "photos" / "day1" / "cut off.png").unlink()  # it would be exit code 1
    shutil.copy(exported.path, "monitor.segood")
    (kind, commands), *python = blocks("scale.md")
    assert [kind, *(kind for kind, _ in python)] == ["", "python", "python"]
    first, *others = commands.replace("\\\n", "").splitlines()
    assert main(shlex.split(first)[1:]) == 0
    for line in others:  # these need a cluster at an address
        build_parser().parse_args(shlex.split(line)[2:])
    for _, code in python:
        run_python(code, "scale.md")


def test_the_page_says_what_is(whole: Path) -> None:
    text = " ".join(PAGE.split())
    record = read_part(whole / "parts" / "part-00000.parquet")[0]
    assert "without `latency` and `seconds`, with `source`" in text
    assert {"latency", "seconds"}.isdisjoint(record)
    assert "source" in record
    assert f"{MOST_ATTEMPTS} workers have died on" in text
    for path in (*whole.iterdir(), *(whole / "parts").iterdir()):
        assert path.name == ".lock" or f"`{path.name}`" in text or path.name.startswith("part"), path
