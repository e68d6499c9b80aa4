"""The world on disk: layouts of the real data sets, read by the real loaders; reproducible, restartable."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from segood.data import CocoProxies, check_dataset, open_dataset
from segood.data.lost_and_found import NON_HAZARDS
from segood.data.synthetic import PROXY_FAMILIES, WorldPaths, write_world
from segood.data.synthetic import labels as ids
from segood.data.synthetic.proxies import Instance
from segood.data.synthetic.proxy_layout import annotate, compose_indexed_proxy, run_lengths
from segood.data.synthetic.street_layouts import FrameKey
from segood.errors import OutputError, UsageError
from segood.types import OOD

SETTINGS = {
    "seed": 3, "size": (128, 256), "num_train": 7, "num_val": 2, "num_proxies": 16, "num_lost_and_found": 12,
    "num_fishyscapes": 5,
}  # fmt: skip
SMALL = {
    **SETTINGS,
    "num_train": 2,
    "num_val": 1,
    "num_proxies": 2,
    "num_lost_and_found": 1,
    "num_fishyscapes": 1,
}

pycocotools_with_numpy_2 = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> WorldPaths:
    return write_world(tmp_path_factory.mktemp("world"), **SETTINGS)


def hashes(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def coco_content(world: WorldPaths) -> dict:
    return json.loads((world.coco / "annotations/instances_train2017.json").read_text())


def test_cityscapes_layout(world: WorldPaths) -> None:
    images = sorted((world.cityscapes / "leftImg8bit").rglob("*.png"))
    assert len(images) == 9
    cities = {
        split: {p.parent.name for p in images if p.parent.parent.name == split} for split in ("train", "val")
    }
    assert len(cities["train"]) == 6
    assert not cities["train"] & cities["val"]
    for image in images:
        assert image.name.startswith(f"{image.parent.name}_")
        label = Path(str(image).replace("leftImg8bit", "gtFine"))
        label_ids = read(label.with_name(label.name.replace("_gtFine.png", "_gtFine_labelIds.png")))
        train_ids = read(label.with_name(label.name.replace("_gtFine.png", "_gtFine_labelTrainIds.png")))
        assert read(image).shape == (128, 256, 3)
        assert label_ids.shape == train_ids.shape == (128, 256)
        assert label_ids.max() <= 33
        np.testing.assert_array_equal(train_ids, ids.to_train_ids(label_ids))


def test_cityscapes_loader(world: WorldPaths) -> None:
    dataset = open_dataset("cityscapes", world.cityscapes, "train")
    assert len(dataset) == SETTINGS["num_train"]
    values = set(np.unique(np.stack([sample.target for sample in dataset])).tolist())
    assert values <= {*range(19), 255}
    assert {0, 1, 2, 5, 8, 10, 13} <= values


def test_coco_layout(world: WorldPaths) -> None:
    content = coco_content(world)
    files = sorted(path.name for path in (world.coco / "train2017").glob("*.jpg"))
    assert files == [image["file_name"] for image in content["images"]]
    for image in content["images"]:
        with Image.open(world.coco / "train2017" / image["file_name"]) as opened:
            assert opened.format == "JPEG"
            assert opened.size == (image["width"], image["height"])
    names = {category["id"]: category["name"] for category in content["categories"]}
    assert {family.category_id: family.name for family in PROXY_FAMILIES}.items() <= names.items()
    assert (names[1], names[3], names[8]) == ("person", "car", "truck")
    assert len({a["id"] for a in content["annotations"]}) == len(content["annotations"])
    sides = [min(image["height"], image["width"]) for image in content["images"]]
    assert np.mean([side >= 480 for side in sides]) > 0.6


def test_coco_filter_has_work(world: WorldPaths) -> None:
    proxies = CocoProxies(world.coco)
    report = proxies.filter_report.to_dict()
    assert report["num_images"] == 16
    # of 16, numbers 1, 7, 13 hold a street class and numbers 4, 13 are too small
    assert report["kept"] == 12
    assert len(report["dropped"]) == 2
    assert any(annotation["iscrowd"] for annotation in coco_content(world)["annotations"])
    for sample in proxies:
        assert OOD in sample.target


@pycocotools_with_numpy_2
def test_coco_masks_rasterise_to_the_drawn_area(world: WorldPaths) -> None:
    content = coco_content(world)
    by_image = {image["id"]: image for image in content["images"]}
    checked = 0
    for image_id in sorted(by_image)[:8]:
        scene = compose_indexed_proxy(FrameKey(3, "proxies", image_id - 1))
        annotations = [a for a in content["annotations"] if a["image_id"] == image_id]
        assert len(annotations) == len(scene.instances)
        for annotation, instance in zip(annotations, scene.instances, strict=True):
            height, width = instance.mask.shape
            if instance.is_crowd:
                rles = coco_mask.frPyObjects(annotation["segmentation"], height, width)
                np.testing.assert_array_equal(coco_mask.decode(rles).astype(bool), instance.mask)
            else:
                rles = coco_mask.frPyObjects(annotation["segmentation"], height, width)
                filled = coco_mask.decode(coco_mask.merge(rles)).astype(bool)
                assert (filled >= instance.mask).mean() > 0.9999
                assert filled.sum() <= 1.1 * instance.mask.sum() + 20  # holes are filled, as in COCO
            assert annotation["area"] == instance.mask.sum()
            checked += 1
    assert checked >= 12


@pycocotools_with_numpy_2
def test_polygon_of_a_shape_without_holes_is_exact() -> None:
    mask = np.zeros((40, 50), dtype=bool)
    mask[5:20, 8:30] = True
    mask[20:33, 8] = True  # one pixel wide
    mask[36, 40:44] = True  # and apart from the rest
    entry = annotate(Instance(17, mask, False), 1, 1)
    assert entry is not None
    decoded = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(entry["segmentation"], 40, 50)))
    np.testing.assert_array_equal(decoded.astype(bool), mask)
    assert entry["bbox"] == [8, 5, 36, 32]


def test_run_lengths_by_hand() -> None:
    # columns of [[1, 0], [1, 0], [0, 1]]: 1 1 0 | 0 0 1 -> no zeros first, two ones, three zeros, a one
    assert run_lengths(np.array([[1, 0], [1, 0], [0, 1]], dtype=bool)) == [0, 2, 3, 1]


def test_lost_and_found_layout_and_protocols(world: WorldPaths) -> None:
    labels = sorted((world.lost_and_found / "gtCoarse" / "test").rglob("*_gtCoarse_labelIds.png"))
    assert len(labels) == 12
    values = {path.stem: set(np.unique(read(path)).tolist()) for path in labels}
    assert all(found <= set(range(44)) for found in values.values())
    assert all(found - {0, 1} for found in values.values())
    assert set().union(*values.values()) & set(NON_HAZARDS)
    paper = open_dataset("lost_and_found", world.lost_and_found, "test", protocol="paper")
    smiyc = open_dataset("lost_and_found", world.lost_and_found, "test", protocol="smiyc")
    num_paper = sum(int((sample.target == 1).sum()) for sample in paper)
    num_smiyc = sum(int((sample.target == 1).sum()) for sample in smiyc)
    assert 0 < num_paper < num_smiyc
    assert len(open_dataset("lost_and_found", world.lost_and_found, "train")) == 4  # a third of 12


def test_fishyscapes_layout(world: WorldPaths) -> None:
    dataset = open_dataset("fishyscapes_static", world.fishyscapes)
    has_object = [bool((sample.target == 1).any()) for sample in dataset]
    assert len(dataset) == 5
    assert has_object.count(False) == 1
    assert all(set(np.unique(sample.target)) <= {0, 1, 255} for sample in dataset)


def test_check_finds_no_fault(world: WorldPaths) -> None:
    for root in (world.cityscapes, world.coco, world.lost_and_found, world.fishyscapes):
        assert check_dataset(root).to_dict()["ok"]


def test_every_file_depends_on_seed_kind_and_index_only(world: WorldPaths, tmp_path: Path) -> None:
    write_world(tmp_path / "a", **SMALL)
    large, small = hashes(world.cityscapes.parent), hashes(tmp_path / "a")
    shared = set(large) & set(small) - {"world.json", "coco/annotations/instances_train2017.json"}
    assert len(shared) == len(small) - 2
    assert all(large[name] == small[name] for name in shared)
    write_world(tmp_path / "b", **{**SMALL, "seed": 4})
    other = hashes(tmp_path / "b")
    assert all(other[name] != small[name] for name in shared if "leftImg8bit" in name or "images" in name)


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    write_world(tmp_path / "here", **SMALL)
    there = str(tmp_path / "there")
    code = f"from segood.data.synthetic import write_world; write_world({there!r}, **{SMALL!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert hashes(tmp_path / "here") == hashes(tmp_path / "there")


def test_a_complete_world_is_reused(tmp_path: Path) -> None:
    write_world(tmp_path, **SMALL)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    steps: list[str] = []
    write_world(tmp_path, **SMALL, progress=lambda what, total: lambda: steps.append(what))
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert not steps


def test_an_interrupted_world_is_continued(tmp_path: Path) -> None:
    class InterruptedError_(Exception):
        pass

    calls: list[int] = []

    def stop_after_three() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise InterruptedError_

    with pytest.raises(InterruptedError_):
        write_world(tmp_path / "a", **SMALL, progress=lambda what, total: stop_after_three)
    assert not (tmp_path / "a/world.json").exists()
    first = next((tmp_path / "a").rglob("*_leftImg8bit.png"))
    time = first.stat().st_mtime_ns
    totals: list[int] = []
    write_world(tmp_path / "a", **SMALL, progress=lambda what, total: lambda: totals.append(total))
    assert first.stat().st_mtime_ns == time  # not drawn twice
    assert totals == [8] * 8  # 2 + 1 + 2 + 1 + 1 and one frame of LostAndFound's train split
    write_world(tmp_path / "b", **SMALL)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


def test_manifest_states_what_was_drawn(world: WorldPaths) -> None:
    manifest = json.loads((world.cityscapes.parent / "world.json").read_text())
    assert manifest["seed"] == 3
    assert manifest["size"] == [128, 256]
    assert manifest["num_files"] == len(hashes(world.cityscapes.parent)) - 1
    assert {"generator_version", "file_list_sha256"} <= manifest.keys()


def test_a_different_world_is_an_error(world: WorldPaths) -> None:
    with pytest.raises(
        UsageError, match="synthetic world with seed=3, not 5; choose another folder, or delete"
    ):
        write_world(world.cityscapes.parent, **{**SETTINGS, "seed": 5})


def test_a_folder_with_other_things_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"not empty and holds no synthetic world .*; choose another folder"):
        write_world(tmp_path, **SMALL)
    with pytest.raises(UsageError, match=r"mine.txt is a file; .* choose another path"):
        write_world(tmp_path / "mine.txt", **SMALL)


def test_a_damaged_world_is_an_error(world: WorldPaths, tmp_path: Path) -> None:
    copy = shutil.copytree(world.cityscapes.parent, tmp_path / "copy")
    (copy / "fishyscapes/images/0000.png").unlink()
    with pytest.raises(UsageError, match="missing or changed files; delete it to draw it anew"):
        write_world(copy, **SETTINGS)
    (copy / "world.json").write_text("{")
    with pytest.raises(UsageError, match=r"world.json cannot be read .*; delete the folder"):
        write_world(copy, **SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_train": 0}, "`num_train` must be at least 1; got 0"),
        ({"num_proxies": -2}, "`num_proxies` must be at least 1; got -2"),
        ({"seed": -1}, "`seed` must not be negative; got -1"),
        ({"size": (64, 256)}, "`size` must be"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    change: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        write_world(tmp_path / "world", **{**SMALL, **change})
    assert not (tmp_path / "world").exists()


def test_an_unwritable_place_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_world(tmp_path / "file" / "world", **SMALL)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    # files may not grow beyond 20 kB: labels fit, pictures do not
    code = f"""
import resource, signal
from segood.data.synthetic import write_world
from segood.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_world({str(tmp_path / "world")!r}, **{SMALL!r})
except OutputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot write" in done.stdout
    files = [path.name for path in (tmp_path / "world").rglob("*") if path.is_file()]
    assert files == ["world.unfinished.json"]
    write_world(tmp_path / "world", **SMALL)  # and goes on once there is room


def test_torch_is_not_needed() -> None:
    code = "import sys, segood.data.synthetic; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
