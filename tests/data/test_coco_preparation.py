"""Prepared masks equal drawn ones; interrupted, stale and damaged caches."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segood.data.coco import CocoProxies, prepare_coco
from segood.errors import DataError, UsageError


def write_coco(root: Path, *, side: int = 40, count: int = 4) -> Path:
    """`count` images of `side` pixels with one square cup each, the first with a person too."""
    (root / "train2017").mkdir(parents=True)
    (root / "annotations").mkdir()
    images, annotations = [], []
    for n in range(count):
        images.append({"id": n, "file_name": f"{n}.jpg", "height": side, "width": side})
        Image.new("RGB", (side, side), (n, 100, 200)).save(root / "train2017" / f"{n}.jpg")
        corners = [[5, 5, 5 + 4 * n, 5, 5 + 4 * n, 20, 5, 20]] if n else [[5, 5, 9, 5, 9, 9, 5, 9]]
        annotations.append({"id": n, "image_id": n, "category_id": 2 if n else 1, "segmentation": corners})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "cup"}],
    }
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps(content))
    return root


def prepare(root: Path, cache: Path, **options: object):
    return prepare_coco(root, cache=cache, min_side=40, progress=False, **{"figure": False, **options})


def test_prepared_masks_equal_drawn_ones(tmp_path: Path) -> None:
    root, cache = write_coco(tmp_path / "coco"), tmp_path / "cache"
    result = prepare(root, cache)
    assert (result.num_written, result.num_reused, result.filter_report.kept) == (3, 0, 3)
    assert "object masks: 3 written, 0 stood already" in result.to_text()
    drawn, cached = CocoProxies(root, min_side=40), CocoProxies(root, min_side=40, cache=cache)
    assert cached.cached
    assert not drawn.cached
    assert cached.filter_report == drawn.filter_report == result.filter_report
    assert json.loads(result.report_file.read_text()) == drawn.filter_report.to_dict()
    assert cached.content_hash() == drawn.content_hash()
    for one, other in zip(drawn, cached, strict=True):
        assert one.sample_id == other.sample_id
        np.testing.assert_array_equal(one.target, other.target)
    assert not list(cache.rglob("*.part*"))


def test_resumes_where_it_stopped(tmp_path: Path) -> None:
    root, cache = write_coco(tmp_path / "coco"), tmp_path / "cache"
    image = root / "train2017" / "3.jpg"
    whole = image.read_bytes()
    Image.new("RGB", (9, 9)).save(image)
    with pytest.raises(DataError, match=r"3\.jpg: image is 9x9 but its annotations are for 40x40"):
        prepare(root, cache)
    assert not CocoProxies(root, min_side=40, cache=cache).cached
    image.write_bytes(whole)
    assert (prepare(root, cache).num_written, prepare(root, cache).num_reused) == (1, 3)
    assert CocoProxies(root, min_side=40, cache=cache).cached


def test_filters_share_masks_and_do_not_mix(tmp_path: Path) -> None:
    root, cache = write_coco(tmp_path / "coco"), tmp_path / "cache"
    prepare(root, cache)
    other = prepare(root, cache, excluded=[])
    assert (other.num_written, other.num_reused) == (1, 3)
    assert len(CocoProxies(root, min_side=40, cache=cache)) == 3
    assert len(CocoProxies(root, min_side=40, cache=cache, excluded=[])) == 4
    assert not CocoProxies(root, min_side=39, cache=cache).cached


def test_changed_annotations_make_a_cache_stale(tmp_path: Path) -> None:
    root, cache = write_coco(tmp_path / "coco"), tmp_path / "cache"
    prepare(root, cache)
    file = root / "annotations" / "instances_train2017.json"
    file.write_text(file.read_text().replace("20]", "30]"))
    dataset = CocoProxies(root, min_side=40, cache=cache)
    assert not dataset.cached
    assert prepare(root, cache).num_written == 3


def test_damaged_caches(tmp_path: Path) -> None:
    root, cache = write_coco(tmp_path / "coco"), tmp_path / "cache"
    result = prepare(root, cache)
    dataset = CocoProxies(root, min_side=40, cache=cache)
    Image.new("L", (3, 3)).save(result.masks / "1.png")
    with pytest.raises(DataError, match=r"1\.png: is no mask of .*1\.jpg; delete the cache folder"):
        dataset[0]
    (result.masks / "2.png").unlink()
    with pytest.raises(DataError, match=r"2\.png: no such file"):
        dataset[1]
    assert prepare(root, cache).num_written == 2
    result.index.write_text("{")
    assert not CocoProxies(root, min_side=40, cache=cache).cached


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    root = write_coco(tmp_path / "coco")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file is a file; the output must be a folder"):
        prepare(root, tmp_path / "file")


def test_nothing_to_prepare(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image passes the proxy filter; of 4 images were dropped"):
        prepare_coco(write_coco(tmp_path), cache=tmp_path / "cache", progress=False, figure=False)
    assert not (tmp_path / "cache").exists()


def test_figure_is_drawn_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    root = write_coco(tmp_path / "coco")
    one = prepare(root, tmp_path / "a", figure=True).figure
    two = prepare(root, tmp_path / "b", figure=True).figure
    assert one.read_bytes() == two.read_bytes()
    assert "cup" in one.read_text()
    assert "share of object pixels" in one.read_text()


def test_figure_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(importlib.import_module("sys").modules, "matplotlib", None)
    with pytest.raises(
        UsageError, match=r"needs matplotlib; install it with `pip install 'segood\[report\]'`"
    ):
        prepare(write_coco(tmp_path / "coco"), tmp_path / "cache", figure=True)


def test_real_subset(shared: Path, tmp_path: Path) -> None:
    root = shared / "data" / "coco_subset"
    result = prepare_coco(root, cache=tmp_path, figure=False, progress=False)
    assert result.num_written == 77
    drawn, cached = CocoProxies(root), CocoProxies(root, cache=tmp_path)
    assert cached.cached
    for index in range(0, 77, 10):
        np.testing.assert_array_equal(drawn[index].target, cached[index].target)
