"""Score maps on disk: written once, by one maker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from segood.data import open_dataset
from segood.data.synthetic import WorldPaths
from segood.errors import DataError, UsageError
from segood.evaluation.describe import weights_hash
from segood.evaluation.score_maps import export_scores, read_score_map, write_score_map
from segood.models import SegmentationModel, load_model, save_model
from segood.scores import get_score


def test_score_maps_are_written_once_and_read_back(
    world: WorldPaths, model: SegmentationModel, tmp_path: Path
) -> None:
    dataset = open_dataset("fishyscapes_static", world.fishyscapes)
    folder = export_scores(model, dataset, tmp_path, method="mine")
    assert folder == tmp_path / "anomaly_p" / "mine" / dataset.name
    path = folder / f"{dataset.records[0].sample_id}.hdf5"
    expected = get_score("entropy")(logits=model.predict_logits(dataset[0].image)[None])[0].numpy()
    np.testing.assert_array_equal(read_score_map(path), expected.astype(np.float16))
    stamp = path.stat().st_mtime_ns
    export_scores(model, dataset, tmp_path, method="mine")
    assert path.stat().st_mtime_ns == stamp


def test_bad_score_maps(tmp_path: Path) -> None:
    (tmp_path / "a.hdf5").write_text("no")
    with pytest.raises(DataError, match="not a score map"):
        read_score_map(tmp_path / "a.hdf5")
    write_score_map(tmp_path / "b.hdf5", np.zeros((2, 2, 2)))
    with pytest.raises(DataError, match=r"must have shape \(H,W\)"):
        read_score_map(tmp_path / "b.hdf5")


def test_score_maps_of_another_maker_are_refused(
    world: WorldPaths, model: SegmentationModel, tmp_path: Path
) -> None:
    dataset = open_dataset("fishyscapes_static", world.fishyscapes)
    folder = export_scores(model, dataset, tmp_path, method="mine")
    before = {p: p.read_bytes() for p in folder.rglob("*.hdf5")}
    torch.manual_seed(7)
    with pytest.raises(UsageError, match=r"another weights_sha256; give another --method or --out"):
        export_scores(load_model("unet", width=8), dataset, tmp_path, method="mine")
    with pytest.raises(UsageError, match="made with another score"):
        export_scores(model, dataset, tmp_path, method="mine", score="msp")
    small = open_dataset("fishyscapes_static", world.fishyscapes, resize=(64, 128))
    with pytest.raises(UsageError, match="made with another resolution"):
        export_scores(model, small, tmp_path, method="mine")
    assert {p: p.read_bytes() for p in folder.rglob("*.hdf5")} == before
    path = folder / f"{dataset.records[-1].sample_id}.hdf5"
    write_score_map(path, np.zeros((2, 2)))
    with pytest.raises(UsageError, match=f"{path.name} does not say what made it"):
        export_scores(model, dataset, tmp_path, method="mine")
    path.write_text("damaged")
    with pytest.raises(DataError, match="not a score map"):
        export_scores(model, dataset, tmp_path, method="mine")
    folder = export_scores(model, small, tmp_path, method="small")
    assert read_score_map(next(folder.rglob("*.hdf5"))).shape == (64, 128)


def test_equal_weights_have_equal_hashes(model: SegmentationModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "a.safetensors")
    again = load_model(tmp_path / "a.safetensors")
    assert weights_hash(again) == weights_hash(model)
    with torch.no_grad():
        next(again.parameters()).add_(1e-3)
    assert weights_hash(again) != weights_hash(model)
