"""Score maps of others: folders, files, broken methods beside good ones, and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from segood.cli import main
from segood.data import open_dataset
from segood.data.config import DatasetConfig
from segood.data.dataset import SegmentationDataset
from segood.data.synthetic import WorldPaths
from segood.errors import DataError, UsageError
from segood.evaluation.comparison.results import ComparisonResults
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.exchange import evaluate_score_maps
from segood.evaluation.exchange_files import MapFolder, find_methods, read_map
from segood.evaluation.exchange_request import MapRequest, map_request
from segood.evaluation.protocols import SegmentProtocol
from segood.evaluation.report import pixel_report
from segood.evaluation.score_maps import write_score_map

SMALL = SegmentProtocol(5, 5)
IDS = ["test/street/one", "test/street/two"]


@pytest.fixture(scope="module")
def dataset(world: WorldPaths) -> SegmentationDataset:
    return open_dataset("lost_and_found", world.lost_and_found, "test", protocol="smiyc")


def write_maps(
    folder: Path, dataset: SegmentationDataset, seed: int, *, whole_id: bool = False, dtype: type = np.float16
) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    written = {}
    for index, record in enumerate(dataset.records):
        target = dataset.target(index)
        assert target is not None
        score = (0.3 * (target == 1) + rng.random(target.shape)).astype(dtype)
        name = record.sample_id if whole_id else record.sample_id.rsplit("/", 1)[-1]
        path = folder / f"{name}.hdf5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["value"] = score
        written[record.sample_id] = score
    return written


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_of(found: dict[str, MapFolder | DataError]) -> dict[str, list[str]]:
    return {m: sorted(f.paths) if isinstance(f, MapFolder) else [str(f)] for m, f in found.items()}


@pytest.mark.parametrize(
    ("folder", "start", "method"),
    [
        ("anomaly_p/mine/lost_and_found", ".", "mine"),
        ("anomaly_p/mine/lost_and_found", "anomaly_p", "mine"),
        ("anomaly_p/mine/lost_and_found", "anomaly_p/mine", "mine"),
        ("anomaly_p/mine/lost_and_found", "anomaly_p/mine/lost_and_found", "mine"),
        ("mine/lost_and_found", ".", "mine"),
        ("anomaly_p/mine/LostAndFound-test", ".", "mine"),
        ("anomaly_p/mine/LostAndFound-test", "anomaly_p/mine", "mine"),
        ("maps", "maps", "maps"),
    ],
)
def test_folders(tmp_path: Path, folder: str, start: str, method: str) -> None:
    for name in ("one", "test/street/two"):  # the benchmark's frame name, and the whole id
        touch(tmp_path / folder / f"{name}.hdf5")
    found = find_methods(tmp_path / start, "lost_and_found", IDS)
    assert names_of(found) == {method: IDS}


def test_files_of_other_frames_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "lost_and_found"
    touch(
        folder / "one.hdf5", folder / "test/street/one.hdf5", folder / "three.hdf5", tmp_path / "b" / "x.hdf5"
    )
    touch(tmp_path / "c" / "fishyscapes_static" / "one.hdf5")  # another data set's, by its name
    found = find_methods(tmp_path, "lost_and_found", IDS)
    assert list(found) == ["a"]
    files = found["a"]
    assert isinstance(files, MapFolder)
    assert [path.name for path in files.extra] == ["one.hdf5", "three.hdf5"]
    with pytest.raises(
        DataError, match=r"no score map for 1 of 2 frames \(first: test/street/two\); write two.h"
    ):
        files.check_complete(IDS)
    same = ["x/frame", "y/frame", "x/other"]  # `frame` alone could be either
    touch(tmp_path / "d" / "frame.hdf5", tmp_path / "d" / "other.hdf5")
    assert names_of(find_methods(tmp_path / "d", "lost_and_found", same)) == {"d": ["x/other"]}


def test_folders_that_cannot_be_told_apart(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "first" / "one.hdf5", tmp_path / "a" / "second" / "one.hdf5")
    touch(tmp_path / "b" / "first" / "one.hdf5")
    found = find_methods(tmp_path, "lost_and_found", IDS)
    assert isinstance(found["b"], MapFolder)
    assert "the folders first, second all hold maps of lost_and_found; rename one" in str(found["a"])
    with pytest.raises(
        UsageError, match=r"score folder .* does not exist; give the folder that holds anomaly_p"
    ):
        find_methods(tmp_path / "none", "lost_and_found", IDS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"no score map of lost_and_found found; expected anomaly_p/METHOD/lost"
    ):
        find_methods(tmp_path / "empty", "lost_and_found", IDS)


def test_maps_are_read_in_their_own_type(tmp_path: Path) -> None:
    for dtype in ("<f2", "<f4", "<f8", ">f4"):
        with h5py.File(tmp_path / "a.hdf5", "w") as file:
            file["value"] = np.full((2, 3), 0.1, dtype)
        score = read_map(tmp_path / "a.hdf5")
        assert score.dtype == np.dtype(dtype).newbyteorder("=")
        assert score[0, 0] == np.dtype(dtype).type(0.1)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["value"] = np.zeros((2, 3), np.uint8)
    with pytest.raises(
        DataError, match=r"a.hdf5: `value` must be floating point of shape \(H,W\); it is uint8"
    ):
        read_map(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["score"] = np.zeros((2, 3))
    with pytest.raises(DataError, match=r"a\.hdf5: not a score map"):
        read_map(tmp_path / "a.hdf5")
    with pytest.raises(DataError, match=r"b\.hdf5: not a score map"):
        read_map(tmp_path / "b.hdf5")


def test_all_methods_are_measured_or_say_why(dataset: SegmentationDataset, tmp_path: Path) -> None:
    top = tmp_path / "anomaly_p"
    written = write_maps(top / "good" / dataset.name, dataset, 0)
    write_maps(top / "wide" / dataset.name, dataset, 1, whole_id=True, dtype=np.float64)
    write_maps(top / "broken" / dataset.name, dataset, 2)
    write_maps(top / "missing" / dataset.name, dataset, 3)
    last = dataset.records[-1].sample_id.rsplit("/", 1)[-1] + ".hdf5"
    (top / "missing" / dataset.name / last).unlink()
    write_score_map(top / "broken" / dataset.name / last, np.full((4, 4), 0.5))
    write_score_map(top / "good" / dataset.name / "stray.hdf5", np.zeros((2, 2)))
    results = evaluate_score_maps(tmp_path, dataset, SMALL, bootstrap_draws=100)
    assert [m.key for m in results.methods] == [
        f"external/{m}" for m in ("broken", "good", "missing", "wide")
    ]
    assert [row.method for row in results.rows] == [m.key for m in results.methods]
    assert {m.network for m in results.methods} == {"external"} == {n.key for n in results.networks}

    good = results.row("external/good", dataset.name)
    targets = [dataset.target(index) for index in range(len(dataset))]
    score, target = (np.stack(arrays) for arrays in (list(written.values()), targets))
    report = pixel_report(score, target)
    assert good.auroc.value == pytest.approx(report.auroc, abs=1e-12)
    assert good.fpr95.value == pytest.approx(report.fpr95, abs=1e-12)
    assert good.auroc.low < good.auroc.value < good.auroc.high  # type: ignore[operator]
    assert [image.sample_id for image in good.images] == list(written)
    assert good.notes == ["1 further map belongs to no frame of the data set (first: stray.hdf5)"]
    assert good.undefined is None
    wide = results.row("external/wide", dataset.name)
    assert wide.undefined is None
    assert wide.error_bound == {}  # fewer counted pixels than levels
    broken, missing = (results.row(f"external/{m}", dataset.name).undefined for m in ("broken", "missing"))
    assert "score map is 4x4 but its labels are 256x128" in (broken or "")
    assert f"no score map for 1 of {len(dataset)} frames" in (missing or "")

    (described,) = results.datasets
    assert described.info.content_hash == dataset.content_hash()
    assert described.info.num_images == len(dataset)
    assert described.info.num_images_with_ood == sum(image.num_ood > 0 for image in good.images)
    assert (described.min_segment_size, described.min_instance_size) == (5, 5)
    results.save(tmp_path / "results.json")
    assert ComparisonResults.load(tmp_path / "results.json") == results
    usual = evaluate_score_maps(top / "good", dataset, bootstrap_draws=0)
    assert (usual.datasets[0].min_segment_size, usual.datasets[0].min_instance_size) == (50, 10)


def test_data_sets_that_cannot_be_measured(world: WorldPaths, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="is of the kind closed_set; score maps are measured on a data set whose"
    ):
        evaluate_score_maps(tmp_path, open_dataset("cityscapes", world.cityscapes, "val"))
    for folder, name in (("images", "a.png"), ("images", "b.png"), ("labels_masks", "a_labels_semantic.png")):
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.new("L" if folder != "images" else "RGB", (4, 2)).save(tmp_path / folder / name)
    unlabeled = open_dataset("road_anomaly_21", tmp_path)
    with pytest.raises(DataError, match=r"1 of 2 frames have no public label \(first: b\); choose the split"):
        evaluate_score_maps(tmp_path, unlabeled)


DATASET = DatasetConfig("road_anomaly_21", "ra21")


@pytest.mark.parametrize(
    ("given", "config", "message"),
    [
        ({}, {}, "give a run directory, or --scores DIR with --dataset.name and --dataset.root"),
        ({"run": "r", "scores": "s"}, {}, "a folder of score maps, not a run; leave out r or --scores"),
        ({"scores": "s"}, {}, "--scores needs the data set of the maps"),
        ({"run": "r", "out": "o"}, {}, "--out belongs to --scores DIR; leave it out for run r"),
        ({"run": "r", "dataset": DATASET}, {}, "--dataset belongs to --scores DIR"),
        (
            {"scores": "s", "dataset": DATASET, "models": {"a": 1}},
            {},
            "--models is for runs, not for --scores",
        ),
        (
            {"scores": "s", "dataset": DATASET},
            {"score": "msp"},
            "--score is for runs, not for --scores; leave",
        ),
        (
            {"scores": "s", "dataset": DATASET},
            {"threshold": 0.2},
            "of score maps is --smiyc_threshold; leave it",
        ),
    ],
)
def test_options_that_do_not_go_together(
    given: dict[str, object], config: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        map_request(given, EvaluationConfig(**config))  # type: ignore[arg-type]


def test_protocol_of_a_request() -> None:
    request = map_request({"scores": "s", "dataset": DATASET, "json": True, "run": None}, EvaluationConfig())
    assert request == MapRequest("s", DATASET)
    assert request.protocol() == SegmentProtocol(500, 100, None, "anomaly track of SegmentMeIfYouCan")
    folder = MapRequest("s", DatasetConfig("folder", "x"), min_segment_size=7, min_instance_size=0)
    assert folder.protocol() == SegmentProtocol(7, 0, None, "given")
    with pytest.raises(UsageError, match="no segment sizes are usual for data set 'folder'"):
        MapRequest("s", DatasetConfig("folder", "x"), min_segment_size=7).protocol()
    with pytest.raises(UsageError, match="`threshold` must be a finite number"):
        MapRequest("s", DATASET, smiyc_threshold=float("inf")).protocol()


def test_command_line(
    dataset: SegmentationDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_maps(tmp_path / "mine" / dataset.name, dataset, 0)

    def run(*more: str) -> str:
        arguments = ["--scores", str(tmp_path), "--dataset.name", dataset.name, "--dataset.split", "test"]
        options = ["--dataset.root", str(dataset.root), "--dataset.options.protocol", "smiyc"]
        capsys.readouterr()
        status = main(["evaluate", *arguments, *options, *more])
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return printed.out

    raw = json.loads(run("--json", "--smiyc_threshold", "0.9", "--min_segment_size", "3"))
    (row,) = raw["rows"]
    assert (row["smiyc_threshold"], row["smiyc_threshold_source"]) == (0.9, "given")
    assert raw["datasets"][0]["min_segment_size"] == 3
    table = run("--out", str(tmp_path / "results.json"))
    assert "mine" in table
    assert ComparisonResults.load(tmp_path / "results.json").rows[0].num_ood == row["num_ood"]


def test_command_line_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*arguments: str) -> str:
        capsys.readouterr()
        assert main(["evaluate", *arguments]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        return str(line)

    assert "give a run directory, or --scores DIR" in fails()
    assert "unknown key 'smiyc_treshold'" in fails("--scores", "x", "--smiyc_treshold", "1")
    assert "must be a number of pixels, at least 0; got -3" in fails(
        "--scores", str(tmp_path), "--dataset.name", "road_anomaly_21", "--dataset.root", str(tmp_path),
        "--min_segment_size", "-3",
    )  # fmt: skip
