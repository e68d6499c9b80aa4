"""Each layout on a disk of a few pixels: which files pair, and what each label value becomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segood.data import CAMVID11, CITYSCAPES, LabelSpace, open_dataset
from segood.errors import DataError, UsageError

SHORT = "frankfurt/frankfurt_000000_000294"


def test_cityscapes_maps_label_ids_while_reading(tmp_path: Path, write_image, write_labels) -> None:
    write_image(f"leftImg8bit/val/{SHORT}_leftImg8bit.png")
    # road, wall, ego vehicle; person, bicycle, licence plate (-1)
    write_labels(f"gtFine/val/{SHORT}_gtFine_labelIds.png", [[7, 12, 1], [24, 33, 255]])
    dataset = open_dataset("cityscapes", tmp_path)
    image, target, sample_id = dataset[0]
    assert (image.shape, image.dtype, sample_id) == ((2, 3, 3), np.uint8, f"val/{SHORT}")
    assert target is not None
    assert target.tolist() == [[0, 3, 255], [11, 18, 255]]
    assert dataset.split == "val"
    assert (dataset.role, dataset.label_space) == ("closed_set", CITYSCAPES)


def test_cityscapes_prefers_train_ids_frame_by_frame(tmp_path: Path, write_image, write_labels) -> None:
    for city in ("a", "b"):
        write_image(f"leftImg8bit/train/{city}/{city}_1_leftImg8bit.png", (1, 2))
        write_labels(f"gtFine/train/{city}/{city}_1_gtFine_labelIds.png", [[7, 8]])
        write_labels(f"gtFine/train/{city}/{city}_1_gtFine_instanceIds.png", [[7, 8]])
    write_labels("gtFine/train/a/a_1_gtFine_labelTrainIds.png", [[18, 255]])
    dataset = open_dataset("cityscapes", tmp_path, "train")
    assert [sample.target.tolist() for sample in dataset] == [[[18, 255]], [[0, 1]]]
    assert dataset.variant == "labelTrainIds, and labelIds where these are missing"


def test_all_34_label_ids_lead_to_19_train_ids(tmp_path: Path, write_image, write_labels) -> None:
    write_image(f"leftImg8bit/val/{SHORT}_leftImg8bit.png", (1, 34))
    write_labels(f"gtFine/val/{SHORT}_gtFine_labelIds.png", [range(34)])
    target = open_dataset("cityscapes", tmp_path)[0].target
    known = target[target != 255]
    assert known.tolist() == list(range(19))
    assert (target == 255).sum() == 15


@pytest.mark.parametrize(
    ("labels", "expected", "space"),
    [
        ("cityscapes", [10, 2, 5, 0, 1, 8, 7, 4, 13, 11, 255, 255], CITYSCAPES),
        ("camvid", [*range(11), 255], CAMVID11),
    ],
)
def test_camvid_in_both_label_spaces(
    tmp_path: Path, write_image, write_labels, labels, expected, space
) -> None:
    write_image("train/0001TP_006690.jpg", (1, 12))
    write_labels("trainannot/0001TP_006690.png", [range(12)])
    dataset = open_dataset("camvid", tmp_path, labels=labels)
    assert dataset[0].target.tolist() == [expected]
    assert dataset[0].sample_id == "train/0001TP_006690"
    assert dataset.label_space is space


def test_kitti_has_frames_of_different_size(tmp_path: Path, write_image, write_labels) -> None:
    for i, width in enumerate((3, 4)):
        write_image(f"training/image_2/00000{i}_10.png", (1, width))
        write_labels(f"training/semantic/00000{i}_10.png", [[26] * width])
    write_image("testing/image_2/000000_10.png")
    dataset = open_dataset("kitti", tmp_path)
    assert [sample.target.tolist() for sample in dataset] == [[[13] * 3], [[13] * 4]]
    assert open_dataset("kitti", tmp_path, "testing", allow_unlabeled=True)[0].target is None


def laf(
    write_image, write_labels, scene: str, rows: list[list[int]], number: int = 0, split: str = "test"
) -> None:
    frame = f"{split}/{scene}/{scene}_{number:06d}_000010"
    write_image(f"leftImg8bit/{frame}_leftImg8bit.png", np.shape(rows))
    write_labels(f"gtCoarse/{frame}_gtCoarse_labelIds.png", rows)


def test_lost_and_found_protocols(tmp_path: Path, write_image, write_labels) -> None:
    laf(write_image, write_labels, "02_Street", [[*range(44), 255]])
    paper = open_dataset("lost_and_found", tmp_path)[0].target[0]
    smiyc = open_dataset("lost_and_found", tmp_path, protocol="smiyc")[0].target[0]
    assert (paper[0], paper[1], paper[44]) == (255, 0, 255)
    assert np.flatnonzero(paper[2:44] == 255).tolist() == [
        29,
        31,
        32,
        34,
        35,
        36,
        37,
    ]  # ids 31, 33, 34, 36–39
    assert (paper[2:44] == 1).sum() == 42 - 7
    assert (smiyc[2:44] == 1).all()


def test_lost_and_found_subsets(tmp_path: Path, write_image, write_labels) -> None:
    laf(write_image, write_labels, "02_Street", [[1, 5]])
    laf(write_image, write_labels, "02_Street", [[0, 0]], 1)  # a frame without valid labels
    laf(write_image, write_labels, "15_Rechbergstr_Deckenpfronn", [[1, 40]])  # a child
    laf(write_image, write_labels, "01_Hanns_Klemm_Str_45", [[1, 23]], 6)  # a bicycle
    laf(write_image, write_labels, "01_Hanns_Klemm_Str_45", [[1, 23]], 5)
    sizes = {
        subset: len(open_dataset("lost_and_found", tmp_path, subset=subset)) for subset in ("all", "labelled")
    }
    assert sizes == {"all": 5, "labelled": 4}
    kept = open_dataset("lost_and_found", tmp_path, protocol="smiyc")
    assert [record.sample_id for record in kept.records] == [
        "test/01_Hanns_Klemm_Str_45/01_Hanns_Klemm_Str_45_000005_000010",
        "test/02_Street/02_Street_000000_000010",
    ]
    assert kept.protocol.startswith("smiyc")
    assert kept.protocol.endswith("frames: no_known")
    assert len(open_dataset("lost_and_found", tmp_path)) == 5
    with pytest.raises(UsageError, match="`subset` must be one of all, labelled, no_known; got 'labeled'"):
        open_dataset("lost_and_found", tmp_path, subset="labeled")


def test_lost_and_found_train_ids_serve_the_paper_protocol_only(
    tmp_path: Path, write_image, write_labels
) -> None:
    write_image("leftImg8bit/train/02_S/02_S_0_leftImg8bit.png", (1, 4))
    write_labels("gtCoarse/train/02_S/02_S_0_gtCoarse_labelTrainIds.png", [[0, 1, 2, 255]])
    assert open_dataset("lost_and_found", tmp_path)[0].target.tolist() == [[255, 0, 1, 255]]
    with pytest.raises(DataError, match=r"protocol 'smiyc' needs \*_gtCoarse_labelIds\.png"):
        open_dataset("lost_and_found", tmp_path, protocol="smiyc")


NAMES = ("fishyscapes_static", "fishyscapes_lost_and_found")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/{}.jpg", "labels_masks/{}.png"),
        ("{}.jpg", "{}.png"),
        ("{set}/{}.jpg", "{set}/{}.png"),
        ("{set}/images/{}.webp", "{set}/labels_masks/{}.png"),
        ("04_Weg_8_000000_0000{}_leftImg8bit.png", "000{}_04_Weg_8_000000_0000{}_labels.png"),
    ],
)
def test_fishyscapes_layouts(tmp_path: Path, write_image, write_labels, name, image, label) -> None:
    own = {"fishyscapes_static": "Static", "fishyscapes_lost_and_found": "LostAndFound"}[name]
    for i in (2, 10):
        write_image(image.format(i, set=own), (1, 3))
        write_labels(label.format(i, i, set=own), [[0, 1, 255]])
    dataset = open_dataset(name, tmp_path)
    assert [sample.target.tolist() for sample in dataset] == [[[0, 1, 255]]] * 2
    assert dataset.records[0].image.name == Path(image.format(2, set=own)).name, "2 comes before 10"
    assert len(open_dataset(name, tmp_path, "val")) == 2
    with pytest.raises(UsageError, match="no split 'test'; present: val"):
        open_dataset(name, tmp_path, "test")


def test_fishyscapes_official_labels_with_sources_elsewhere(
    tmp_path: Path, write_image, write_labels
) -> None:
    write_image("laf/leftImg8bit/train/04_Weg/04_Weg_8_000000_000030_leftImg8bit.png", (1, 2))
    write_labels("masks/0000_04_Weg_8_000000_000030_labels.png", [[0, 1]])
    dataset = open_dataset("fishyscapes_lost_and_found", tmp_path / "masks", source=tmp_path / "laf")
    assert dataset[0].sample_id == "0000_04_Weg_8_000000_000030"
    with pytest.raises(DataError, match=r"1 label without image \(first: .*0000_04_Weg.*labels\.png\)"):
        open_dataset("fishyscapes_lost_and_found", tmp_path / "masks")


def test_fishyscapes_static_adds_the_official_overlay(tmp_path: Path, write_image, write_labels) -> None:
    write_image("bonn_000001_leftImg8bit.png", (1, 3), value=100)
    write_labels("0003_bonn_000001_labels.png", [[0, 1, 1]])
    difference = np.zeros((1, 3, 3), np.int16)
    difference[0, 1:] = [[-150, 0, 7], [200, -1, 0]]
    np.savez(tmp_path / "0003_bonn_000001_rgb.npz", rgb=difference)
    image = open_dataset("fishyscapes_static", tmp_path)[0].image
    assert image.tolist() == [[[100, 100, 100], [0, 100, 107], [255, 99, 100]]]
    np.savez(tmp_path / "0003_bonn_000001_rgb.npz", rgb=difference[:, :2])
    with pytest.raises(DataError, match=r"overlay has shape \(1, 2, 3\), its source image \(1, 3, 3\)"):
        open_dataset("fishyscapes_static", tmp_path)[0]
    (tmp_path / "0003_bonn_000001_rgb.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"rgb\.npz: not a readable overlay"):
        open_dataset("fishyscapes_static", tmp_path)[0]


def test_road_anomaly(tmp_path: Path, write_image, write_labels) -> None:
    write_image("frames/animals01.jpg", (1, 4))
    write_labels("frames/animals01.labels/labels_semantic.png", [[0, 1, 2, 255]])
    write_labels("frames/animals01.labels/labels_semantic_color.png", [[0, 1, 2, 255]])
    dataset = open_dataset("road_anomaly", tmp_path)
    assert dataset[0].target.tolist() == [[0, 0, 1, 255]]
    assert dataset[0].sample_id == "animals01"


def test_smiyc_test_frames_have_no_labels(tmp_path: Path, write_image, write_labels) -> None:
    write_image("images/validation0000.jpg", (1, 3))
    write_image("images/airplane0000.jpg", (1, 3))
    write_labels("labels_masks/validation0000_labels_semantic.png", [[0, 1, 255]])
    write_labels("labels_masks/validation0000_labels_semantic_color.png", [[9, 9, 9]])
    dataset = open_dataset("road_anomaly_21", tmp_path)
    assert [sample.target is None for sample in dataset] == [True, False]
    assert [s.sample_id for s in open_dataset("road_anomaly_21", tmp_path, "val")] == ["validation0000"]
    assert [s.sample_id for s in open_dataset("road_obstacle_21", tmp_path, "test")] == ["airplane0000"]
    with pytest.raises(DataError, match=r"1 image without label \(first: .*airplane0000\.jpg\)"):
        open_dataset("road_anomaly_21", tmp_path, allow_unlabeled=False)


def test_folder_with_own_mapping_and_splits(tmp_path: Path, write_image, write_labels) -> None:
    write_image("images/day/a_mask.png", (1, 3))
    write_image("images/night/b.webp", (1, 3))
    write_labels("labels/day/a_mask.png", [[0, 40, 99]])
    write_labels("labels/night/b_labels.png", [[0, 40, 99]])
    mapping = {"0": 0, 40: 1, 99: 255}  # keys of YAML may be text
    dataset = open_dataset("folder", tmp_path, mapping=mapping, title="mine")
    assert [sample.target.tolist() for sample in dataset] == [[[0, 1, 255]]] * 2
    assert [sample.sample_id for sample in dataset] == ["day/a_mask", "night/b"]
    assert dataset.title == "mine"
    assert dataset.protocol == "own mapping 0->0, 40->1, 99->255"
    assert [s.sample_id for s in open_dataset("folder", tmp_path, "night", mapping=mapping)] == ["b"]
    with pytest.raises(UsageError, match="no split 'nigth'; present: day, night"):
        open_dataset("folder", tmp_path, "nigth", mapping=mapping)


def test_folder_as_closed_set(tmp_path: Path, write_image, write_labels) -> None:
    write_image("images/a.png", (1, 3))
    write_labels("labels_masks/a.png", [[0, 18, 255]])
    dataset = open_dataset("folder", tmp_path, role="closed_set", label_space="cityscapes")
    assert dataset[0].target.tolist() == [[0, 18, 255]]
    with pytest.raises(UsageError, match="`mapping` or `label_space` is needed for role 'closed_set'"):
        open_dataset("folder", tmp_path, role="closed_set")
    with pytest.raises(UsageError, match="`mapping` must lead from"):
        open_dataset("folder", tmp_path, mapping={0: 300})
    with pytest.raises(UsageError, match="`mapping` must hold whole numbers"):
        open_dataset("folder", tmp_path, mapping={0.5: 0})


def test_noise_on_disk_is_passed_over(tmp_path: Path, write_image, write_labels) -> None:
    real = write_image("elsewhere/a.png", (1, 1))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").symlink_to(real)
    write_labels("labels_masks/a.png", [[1]])
    for name in ("Thumbs.db", ".DS_Store", "._a.png", "readme.txt", "a.json"):
        (tmp_path / "images" / name).write_text("noise")
    (tmp_path / "labels_masks" / ".a.1234.part.png").write_bytes(b"half")
    write_labels("labels_masks/__MACOSX/b.png", [[1]])
    (tmp_path / "images" / "folder.png").mkdir()
    assert [sample.sample_id for sample in open_dataset("folder", tmp_path)] == ["a"]


def test_label_space_needs_one_colour_per_class() -> None:
    with pytest.raises(ValueError, match="2 class names but 1 colours"):
        LabelSpace("x", ("a", "b"), ((0, 0, 0),))


def test_rgb_labels_of_equal_channels_pass(tmp_path: Path, write_image) -> None:
    write_image("images/a.png", (1, 2))
    (tmp_path / "labels").mkdir()
    Image.fromarray(np.ones((1, 2, 3), np.uint8)).save(tmp_path / "labels" / "a.png")
    assert open_dataset("folder", tmp_path)[0].target.tolist() == [[1, 1]]
