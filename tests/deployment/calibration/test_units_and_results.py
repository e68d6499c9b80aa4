"""Units of the layouts, and the file of a calibration: read strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segood.data import open_dataset
from segood.data.synthetic import WorldPaths
from segood.deployment.calibration import Calibration, format_calibration
from segood.deployment.calibration.results import CalibrationSet, RiskPoint, SplitResult
from segood.deployment.calibration.units import units_of
from segood.deployment.calibration.words import caveats
from segood.deployment.drift import fine_histogram, make_reference
from segood.errors import DataError, UsageError
from segood.segments.region import Region


def calibration(**changes: Any) -> Calibration:
    counts = np.stack([fine_histogram(np.linspace(0, 1, 100, dtype=np.float32))] * 3)
    values: dict[str, Any] = {
        "target": "false_alarms", "method": "ltt", "search": "both", "alpha": 0.5, "delta": 0.1, "cap": 10.0,
        "threshold": 0.72, "probability_threshold": 0.4, "num_units": 60, "num_frames": 300,
        "unit": "scene folder", "risk": 0.1, "bound": 0.5, "p_value": 0.003, "num_tested": 710,
        "pixel_fpr": 0.01, "missed_share": 0.25, "alarms_per_frame": 0.12, "num_unjudged": 4,
        "curve": [RiskPoint(0.72, 0.4, 0.1, 0.003, True)], "assumptions": ["independent"],
        "caveats": ["none"], "region": Region(classes=(0, 1)).to_dict(),
        "dataset": CalibrationSet("lost_and_found", "LostAndFound", "paper", "label", "ab", 300),
        "checkpoint": "model.safetensors", "model_sha256": "cd", "meta_sha256": "ef",
        "drift": make_reference(counts, np.zeros(3), np.full(3, 0.5), 0.72),
        "splits": SplitResult(1000, 30, 30, 0.09, 0.001, 0.02, 0.1),
        "created": "2026-01-01", "segood_version": "0", "command": "segood calibrate",
    }  # fmt: skip
    return Calibration(**{**values, **changes})


def test_a_calibration_survives_its_file(tmp_path: Path) -> None:
    for found in (calibration(), calibration(splits=None, region=None, probability_threshold=None)):
        found.save(tmp_path / "calibration.json")
        assert Calibration.load(tmp_path / "calibration.json") == found
    assert calibration().get_region() == Region(classes=(0, 1))
    assert calibration(region=None).get_region() is None


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    with pytest.raises(DataError, match=r"cannot read the calibration .*; run `segood calibrate` again"):
        Calibration.load(path)
    path.write_text("{")
    with pytest.raises(DataError, match=r"calibration.json: is not JSON"):
        Calibration.load(path)
    plain = calibration().to_dict()
    for change, message in (
        ({"format": "segood-meta-classifier"}, "is no calibration"),
        ({"version": 2}, "has version 2, this segood reads 1"),
        ({"threshold": 1.5}, r"`threshold` must be a number in \[0, 1\]; got 1.5"),
        ({"threshold": None}, "`threshold` must be a number"),
        ({"threshold": "0.7"}, "`threshold` must be a number"),
        ({"probability_threshold": True}, "`probability_threshold` must be a number"),
        ({"target": "recall"}, "`target` must be one of pixel_fpr, missed_objects"),
        ({"risk": -1}, "`alpha`, `risk` and `bound`"),
        ({"num_units": 0}, "`num_units` and `num_frames` must be counts"),
        ({"region": {"circle": 1}}, "a region is"),
        ({"drift": {}}, "is damaged"),
        ({"surprise": 1}, "is damaged .*surprise"),
        ({"dataset": 3}, "is damaged .*`dataset` must be an object"),
    ):
        path.write_text(json.dumps({**plain, **change}))
        with pytest.raises(DataError, match=message):
            Calibration.load(path)
    path.write_text("[]")
    with pytest.raises(DataError, match="is no calibration"):
        Calibration.load(path)


def test_the_summary_says_what_is_promised_and_assumed() -> None:
    text = format_calibration(calibration())
    for words in (
        "entropy 0.72, meta probability 0.4",
        "both thresholds, 710 settings",
        "at most 10 counted: at most 0.5",
        "with probability 0.9",
        "60 (scene folder), 300 frames of LostAndFound",
        "0.1 on these; bound 0.5; p-value 0.003",
        "objects missed 25.0%",
        "assumed      independent",
        "caution      none",
        "1000 random splits, 30 units to calibrate and 30 to test: mean test risk 0.09, above 0.5 in 2.0%",
        "no setting found in 10.0%",
    ):
        assert words in text
    text = format_calibration(
        calibration(method="crc", search="meta", delta=None, p_value=None, alarms_per_frame=None, splits=None)
    )
    assert "conformal risk control" in text
    assert "p-value" not in text
    assert "checked" not in text
    assert "no setting was found in any" in format_calibration(
        calibration(splits=SplitResult(10, 5, 5, None, None, 0.0, 1.0))
    )


def test_what_is_known_to_be_weak_is_said(world: WorldPaths) -> None:
    objects = open_dataset("fishyscapes_static", world.fishyscapes)
    street = open_dataset("cityscapes", world.cityscapes, "val")
    assert caveats(objects, "scene folder", "", 0, 0.5) == []
    for given, words in (
        ((objects, "frame, as asked for", "", 0, None), "every frame counts as a unit of its own"),
        ((objects, "scene folder", "2 frames without object", 0, 0.5), "left out: 2 frames without object"),
        ((objects, "scene folder", "", 7, 0.5), "left out: 7 segments on ignored pixels only"),
        ((objects, "scene folder", "", 0, 1.0), "held by a monitor that finds nothing"),
        ((street, "recording", "", 0, None), "a real one in an ignored area is not seen as one"),
    ):
        (line,) = caveats(*given)
        assert words in line


def test_units_of_the_layouts() -> None:
    for layout, sample_id, unit in (
        ("lost_and_found", "test/04_Maurener_Weg_8/04_Maurener_Weg_8_000000_000030", "04_Maurener_Weg_8"),
        ("cityscapes", "val/frankfurt/frankfurt_000001_064130", "frankfurt_000001"),
        ("camvid", "train/0016E5_07959", "0016E5"),
        ("fishyscapes_lost_and_found", "0007_04_Maurener_Weg_8_000002_000080", "04_Maurener_Weg_8"),
        ("fishyscapes_static", "0003_frankfurt_000000_000294", "frankfurt_000000"),
        ("kitti", "training/000007_10", "training/000007_10"),
    ):
        assert units_of(layout, [sample_id])[0] == [unit]
    assert units_of("lost_and_found", ["test/a/1", "test/a/2"], "frame")[0] == ["test/a/1", "test/a/2"]
    ids, words = units_of("fishyscapes_lost_and_found", ["1", "2"])
    assert ids == ["1", "2"]
    assert words.startswith("frame, since the file names do not tell")
    for unit, message in (
        ("(", "a regular expression; '[(]'"),
        (r"\d+", "must have one group"),
        (r"([a-z]+)_\d", "does not fit the sample id '7'"),
    ):
        with pytest.raises(UsageError, match=message):
            units_of("folder", ["a_1", "7"], unit)


def test_units_of_the_synthetic_world(world: WorldPaths) -> None:
    for name, root, split in (
        ("lost_and_found", world.lost_and_found, "test"),
        ("cityscapes", world.cityscapes, "train"),
    ):
        records = open_dataset(name, root, split).records
        units, words = units_of(name, [record.sample_id for record in records])
        assert not words.startswith("frame")
        assert 1 <= len(set(units)) <= len(records)
