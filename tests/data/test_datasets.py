"""What all data sets share: order, resizing, hashes, and one line for every fault on disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segood.data import open_dataset
from segood.errors import DataError, UsageError


@pytest.fixture
def folder(tmp_path: Path, write_image, write_labels) -> Path:
    """Two frames of 2×4 pixels."""
    for stem in ("a", "b"):
        write_image(f"images/{stem}.png", (2, 4))
        write_labels(f"labels_masks/{stem}.png", [[0, 0, 1, 1], [0, 255, 1, 1]])
    return tmp_path


def test_is_a_sequence(folder: Path) -> None:
    dataset = open_dataset("folder", folder)
    assert len(dataset) == 2
    assert dataset[-1].sample_id == "b"
    assert [sample.sample_id for sample in dataset[::-1]] == ["b", "a"]
    assert repr(dataset) == f"PairedDataset('folder', root={str(folder)!r}, 2 frames)"
    with pytest.raises(IndexError):
        dataset[2]


def test_resize_is_bilinear_for_frames_and_nearest_for_labels(folder: Path) -> None:
    ramp = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 10
    Image.fromarray(ramp).save(folder / "images" / "a.png")
    plain, small = open_dataset("folder", folder), open_dataset("folder", folder, resize=(1, 2))
    assert plain.resolution == "label"
    assert small.resolution == "2x1 (frames and labels resized)"
    image, target, _ = small[0]
    expected = Image.fromarray(ramp).resize((2, 1), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(image, np.asarray(expected))
    assert target.tolist() == [[255, 1]]  # nearest takes row 1, columns 1 and 3
    same = open_dataset("folder", folder, resize=(2, 4))[0]
    np.testing.assert_array_equal(same.image, ramp)


@pytest.mark.parametrize("resize", [(0, 4), (4,), (1.5, 2), "512", (True, 4)])
def test_resize_is_checked(folder: Path, resize: object) -> None:
    with pytest.raises(UsageError, match=r"`resize` must be \(height, width\)"):
        open_dataset("folder", folder, resize=resize)  # type: ignore[arg-type]


def test_content_hash_follows_content_and_nothing_else(folder: Path, tmp_path_factory) -> None:
    first = open_dataset("folder", folder).content_hash()
    copy = tmp_path_factory.mktemp("copy") / "renamed"
    shutil.copytree(folder, copy)
    os.utime(copy / "images" / "a.png", (0, 0))
    assert open_dataset("folder", copy, resize=(4, 4)).content_hash() == first
    Image.fromarray(np.zeros((2, 4), np.uint8)).save(copy / "labels_masks" / "b.png")
    changed = open_dataset("folder", copy).content_hash()
    assert changed != first
    (copy / "labels_masks" / "b.png").unlink()
    assert open_dataset("folder", copy, allow_unlabeled=True).content_hash() not in (first, changed)


def test_arrays_belong_to_the_caller(folder: Path) -> None:
    dataset = open_dataset("folder", folder)
    sample = dataset[0]
    sample.image[:] = 0
    sample.target[:] = 7
    assert dataset[0].target.max() == 255
    assert dataset[0].image.min() == 100


@pytest.mark.parametrize(
    "name",
    [
        "cityscapes",
        "camvid",
        "kitti",
        "lost_and_found",
        "fishyscapes_static",
        "road_anomaly",
        "road_anomaly_21",
        "folder",
    ],
)
def test_missing_root_and_other_layout(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        DataError, match=rf"{name}: root .*nowhere does not exist; pass the folder that holds"
    ):
        open_dataset(name, tmp_path / "nowhere")
    with pytest.raises(DataError, match=rf"{name} at .*: layout not found; expected"):
        open_dataset(name, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file is not a folder"):
        open_dataset(name, tmp_path / "file")


def test_empty_data_set(tmp_path: Path) -> None:
    for folder in ("images", "labels_masks", "train", "trainannot", "leftImg8bit/val/city"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("folder", "camvid", "cityscapes", "road_anomaly_21"):
        with pytest.raises(
            DataError, match=rf"{name} at .*: no frames found; is this the right folder, and not empty"
        ):
            open_dataset(name, tmp_path)


def test_wrong_split_names_those_present(tmp_path: Path, write_image, write_labels) -> None:
    for split in ("train", "val"):
        write_image(f"{split}/a.png", (1, 1))
        write_labels(f"{split}annot/a.png", [[3]])
    with pytest.raises(UsageError, match=r"camvid at .* has no split 'vla'; present: train, val"):
        open_dataset("camvid", tmp_path, "vla")
    with pytest.raises(UsageError, match="has several splits; choose one of train, val"):
        open_dataset("camvid", tmp_path)


def test_wrong_name_and_option_name_the_nearest(folder: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'lost_and_found'"):
        open_dataset("lost_found", folder)
    with pytest.raises(UsageError, match=r"got 'maping' \(did you mean 'mapping'"):
        open_dataset("folder", folder, maping={})
    with pytest.raises(UsageError, match="did you mean 'protocol'"):
        open_dataset("lost_and_found", folder, protcol="paper")
    with pytest.raises(UsageError, match="`labels` must be one of cityscapes, camvid; got 'own'"):
        open_dataset("camvid", folder, labels="own")


def test_unpaired_files_are_both_named(folder: Path) -> None:
    (folder / "images" / "a.png").unlink()
    (folder / "labels_masks" / "b.png").unlink()
    with pytest.raises(
        DataError,
        match=r"1 image without label \(first: .*b\.png\) and 1 label without image \(first: .*a\.png\); "
        "add or remove them, or keep images without label by the option `allow_unlabeled: true`$",
    ):
        open_dataset("folder", folder)
    with pytest.raises(DataError, match=r": 1 label without image \(first: .*a\.png\); add or remove them$"):
        open_dataset("folder", folder, allow_unlabeled=True)


def test_frames_without_label_can_be_allowed(folder: Path) -> None:
    (folder / "labels_masks" / "b.png").unlink()
    dataset = open_dataset("folder", folder, allow_unlabeled=True)
    assert dataset[0].target is not None
    assert dataset[1].target is None
    assert open_dataset("folder", folder, allow_unlabeled=True, resize=(1, 1))[1].image.shape == (1, 1, 3)


def test_size_mismatch_names_both_files(folder: Path, write_image) -> None:
    write_image("images/a.png", (3, 4))
    with pytest.raises(
        DataError, match=r"labels_masks/a\.png: label is 4x2 but its image .*images/a\.png is 4x3"
    ):
        open_dataset("folder", folder)[0]


def test_unknown_label_value_names_file_value_and_rule(folder: Path, write_labels) -> None:
    write_labels("labels_masks/a.png", [[0, 1, 7, 7], [9, 0, 0, 0]])
    with pytest.raises(
        DataError,
        match=r"a\.png: unknown label value 7 \(2 pixels\) and 1 more unknown values; rule: 0 is in",
    ):
        open_dataset("folder", folder)[0]


def test_truncated_image_and_label(folder: Path) -> None:
    for part in ("labels_masks", "images"):
        path = folder / part / "b.png"
        path.write_bytes(path.read_bytes()[:40])
        with pytest.raises(DataError, match=rf"{part}/b\.png: "):
            open_dataset("folder", folder)[1]


def test_two_images_for_one_frame(folder: Path, write_image) -> None:
    write_image("images/a.jpg", (2, 4))
    with pytest.raises(DataError, match=r"both claim frame 'a'; keep one"):
        open_dataset("folder", folder)


def test_link_that_leads_nowhere_is_named_and_not_lost(folder: Path) -> None:
    (folder / "images" / "b.png").unlink()
    (folder / "images" / "b.png").symlink_to(folder / "gone.png")
    dataset = open_dataset("folder", folder)
    assert len(dataset) == 2
    with pytest.raises(DataError, match=r"b\.png: no such file"):
        dataset[1]
    with pytest.raises(DataError, match=r"b\.png: .*every frame must be readable"):
        dataset.content_hash()


def test_no_torch_is_needed() -> None:
    code = (
        "import sys, segood.data as d; d.open_dataset, d.check_dataset, d.prepare_cityscapes, d.CocoProxies;"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_all_public_names_exist() -> None:
    import segood.data

    for name in segood.data.__all__:
        assert getattr(segood.data, name) is not None
    assert dir(segood.data) == sorted(segood.data.__all__)
    with pytest.raises(AttributeError, match="no attribute 'opn_dataset'"):
        segood.data.opn_dataset  # noqa: B018


def test_a_folder_has_classes_of_its_own(folder: Path) -> None:
    options = {"role": "closed_set", "mapping": {0: 0, 1: 2, 255: 255}}
    dataset = open_dataset("folder", folder, label_space=["road", "shelf", "person"], **options)
    assert dataset.label_space
    assert dataset.label_space.class_names == ("road", "shelf", "person")
    assert len(set(dataset.label_space.colors)) == 3
    assert dataset[0].target.tolist() == [[0, 0, 2, 2], [0, 255, 2, 2]]
    plain = open_dataset("folder", folder, label_space=["road", "shelf"], role="closed_set")
    assert plain[0].target.tolist() == [[0, 0, 1, 1], [0, 255, 1, 1]]


@pytest.mark.parametrize("names", [["road"], ["road", "road"], [True, "road"]])
def test_names_of_classes_are_checked(folder: Path, names: list) -> None:
    with pytest.raises(UsageError, match="`label_space` must list at least 2 different names"):
        open_dataset("folder", folder, label_space=names, role="closed_set")
