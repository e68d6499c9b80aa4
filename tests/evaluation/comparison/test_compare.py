"""A comparison as a whole: complete, right, resumable, and its failures named."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from segood.data.synthetic import WorldPaths
from segood.errors import DataError, UsageError
from segood.evaluation.closed_set import mean_iou
from segood.evaluation.comparison.config import ComparisonConfig, ScoreConfig, stored_comparison
from segood.evaluation.comparison.results import ComparisonResults
from segood.evaluation.comparison.run import RESULTS, compare
from segood.evaluation.comparison.verify import verify
from segood.evaluation.score_maps import read_score_map
from segood.evaluation.smiyc import smiyc_segment_metrics
from segood.reporting import format_comparison

USABLE = ("entropy", "msp", "energy", "odin", "sml", "mahalanobis")


def load(out: Path) -> ComparisonResults:
    return ComparisonResults.load(out / RESULTS)


def copy_of(out: Path, folder: Path) -> Path:
    return Path(shutil.copytree(out, folder / "copy"))


def numbers(results: ComparisonResults) -> ComparisonResults:
    """All but when and how it was started."""
    return dataclasses.replace(results, created="", command="", name="", environment={})


def computed(out: Path) -> dict[str, int]:
    """Time of writing of every stored map and table."""
    files = [*(out / "anomaly_p").rglob("*.hdf5"), *(out / "segments").rglob("*.parquet")]
    return {str(f.relative_to(out)): f.stat().st_mtime_ns for f in files}


def test_every_method_has_its_row_on_every_test_set(out: Path, config: ComparisonConfig) -> None:
    results = load(out)
    assert [(r.method, r.dataset) for r in results.rows] == [
        (m, d) for d in config.datasets for m in config.methods
    ]
    for row in results.rows:
        if row.method.endswith("mc_dropout"):
            assert row.undefined is not None
            assert "dropout" in row.undefined
            continue
        assert row.undefined is None
        assert row.auroc.low <= row.auroc.value <= row.auroc.high
        assert row.errors.value == row.false_positives.value + row.false_negatives.value
        assert row.error_bound == {}
        assert row.milliseconds > 0
        assert row.meta is not None
        assert len(row.images) == row.auroc.num_images
        assert sum(i.false_positives + i.false_negatives for i in row.images) == row.errors.value


def test_numbers_are_those_of_the_stored_maps(out: Path, config: ComparisonConfig) -> None:
    results = load(out)
    for key in config.datasets:
        dataset = config.datasets[key].open(".")
        for method in ("after/entropy", "before/mahalanobis"):
            folder = out / "anomaly_p" / method.replace("/", "__") / key
            maps = [read_score_map(folder / f"{r.sample_id}.hdf5") for r in dataset.records]
            scores = np.concatenate([m.ravel() for m in maps])
            targets = np.concatenate([s.target.ravel() for s in dataset])
            assert all(m.shape == s.target.shape for m, s in zip(maps, dataset, strict=True))
            counted = targets != 255
            row = results.row(method, key)
            truth = targets[counted]
            assert row.auroc.value == pytest.approx(roc_auc_score(truth, scores[counted]), abs=1e-9)
            expected = average_precision_score(truth, scores[counted])
            assert row.average_precision.value == pytest.approx(expected, abs=1e-9)


def test_what_was_chosen_is_told(out: Path) -> None:
    results = load(out)
    methods = {m.key: m for m in results.methods}
    assert set(methods["after/energy"].options) == {"temperature"}
    assert "lowest FPR95" in methods["after/energy"].notes[0]
    assert methods["after/odin"].options["temperature"] == 10.0
    assert "epsilon" in methods["after/odin"].options
    assert methods["after/sml"].title == "SML"
    assert any("statistics from" in note for note in methods["after/mahalanobis"].notes)
    assert results.row("after/msp", "laf").threshold_source == "fixed by the configuration"
    assert "validation split" in results.row("after/entropy", "laf").threshold_source
    assert results.row("after/entropy", "laf").smiyc_threshold_source == "best pixel F1 on the same data"
    assert set(results.fitting) == {"statistics", "options and thresholds"}
    assert [n.weights_sha256 is not None for n in results.networks] == [True, True]
    laf, static = results.datasets
    assert (laf.min_segment_size, laf.min_instance_size) == (50, 10)
    assert static.network_input == "128x64"
    assert "smiyc" in laf.info.protocol


def test_pairs_baselines_and_reductions_agree_with_the_rows(out: Path) -> None:
    results = load(out)
    for compared in results.datasets:
        rows = [r for r in results.rows if r.dataset == compared.info.key and r.errors.value is not None]
        baselines = [r for r in rows if r.method.startswith("before/")]
        best = min(baselines, key=lambda r: r.errors.value)
        assert results.row(compared.best_baseline, compared.info.key).errors.value == best.errors.value
        for row in rows:
            assert row.reduction == pytest.approx(1 - row.errors.value / best.errors.value)
    pairs = [p for p in results.pairs if p.dataset == "laf" and p.metric == "auroc"]
    assert {p.b for p in pairs} == {f"{n}/{s}" for n in ("before", "after") for s in USABLE} - {results.main}
    for pair in pairs:
        expected = results.row(pair.a, "laf").auroc.value - results.row(pair.b, "laf").auroc.value
        assert pair.difference.value == pytest.approx(expected)
        assert 0 <= pair.share_better <= 1


def test_sweep_ranking_and_transfers_are_of_the_first_score(out: Path) -> None:
    results = load(out)
    assert {(p.method, p.threshold) for p in results.sweep} == {
        (f"{n}/entropy", t)
        for n in ("before", "after")
        for t in (0.3, 0.6, results.row(f"{n}/entropy", "laf").threshold)
    }
    for point in results.sweep:
        row = results.row(point.method, point.dataset)
        if point.threshold == row.threshold:
            assert point.errors == row.errors.value
    assert {t.method for t in results.transfers} <= {"before/entropy", "after/entropy"}
    assert {(t.fitted_on, t.applied_to) for t in results.transfers} <= {("laf", "static"), ("static", "laf")}


def test_a_second_run_computes_nothing_and_finds_the_same(
    out: Path, config: ComparisonConfig, tmp_path: Path
) -> None:
    copy = copy_of(out, tmp_path)
    before = computed(copy)
    again = compare(config, copy)
    assert computed(copy) == before
    assert numbers(again) == numbers(load(out))


def test_an_interrupted_run_goes_on(out: Path, config: ComparisonConfig, tmp_path: Path) -> None:
    copy = copy_of(out, tmp_path)
    lost = [*sorted((copy / "anomaly_p").rglob("*.hdf5"))[::7]]
    for file in lost:
        file.unlink()
    (copy / RESULTS).unlink()
    shutil.rmtree(copy / "closed_set")
    kept = computed(copy)
    again = compare(config, copy)
    after = computed(copy)
    rewritten = {name for name in kept if after[name] != kept[name]}
    assert all(name.startswith("segments") for name in rewritten)
    assert len(rewritten) == len(lost)
    times = {r.method: r.milliseconds for r in again.rows}
    expected = numbers(load(out))
    rows = [dataclasses.replace(r, milliseconds=times[r.method]) for r in expected.rows]
    found = [dataclasses.replace(r, milliseconds=times[r.method]) for r in again.rows]
    assert found == rows
    assert again.closed_set == expected.closed_set


def test_one_more_score_leaves_the_others_alone(out: Path, config: ComparisonConfig, tmp_path: Path) -> None:
    copy = copy_of(out, tmp_path)
    before = computed(copy)
    more = dataclasses.replace(config, scores={**config.scores, "max_logit": ScoreConfig()})
    results = compare(more, copy)
    assert {n: t for n, t in computed(copy).items() if n in before} == before
    assert results.row("after/max_logit", "static").auroc.value is not None
    assert results.row("after/entropy", "laf") == load(out).row("after/entropy", "laf")


def test_the_stored_configuration_is_the_one_given(out: Path, config: ComparisonConfig) -> None:
    assert stored_comparison(load(out).config) == config


def test_results_can_be_verified(out: Path) -> None:
    checks = verify(out / RESULTS, num_frames=1)
    assert all(c.holds for c in checks), [c for c in checks if not c.holds]
    frames = [c for c in checks if ", frame " in c.what]
    assert len(frames) == 2 * 2 * len(USABLE)


def change_auroc(raw: dict) -> None:
    for row in raw["rows"]:
        for image in row["images"]:
            if image["auroc"] is not None:
                image["auroc"] -= 0.01


def change_weights(raw: dict) -> None:
    raw["networks"][0]["weights_sha256"] = "0" * 64


def change_data(raw: dict) -> None:
    raw["datasets"][0]["info"]["content_hash"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "failing"),
    [(change_auroc, "frame"), (change_weights, "weights of before"), (change_data, "content of")],
)
def test_other_numbers_do_not_pass(
    out: Path, tmp_path: Path, change: Callable[[dict], None], failing: str
) -> None:
    copy = copy_of(out, tmp_path)
    raw = json.loads((copy / RESULTS).read_text())
    change(raw)
    (copy / RESULTS).write_text(json.dumps(raw))
    checks = verify(copy / RESULTS, num_frames=1)
    failed = [c.what for c in checks if not c.holds]
    assert failed
    assert all(failing in what for what in failed)


def test_without_validation_and_fitting_the_rest_is_measured(
    config: ComparisonConfig, tmp_path: Path
) -> None:
    scores = {"entropy": ScoreConfig(), "mahalanobis": ScoreConfig(), "msp": ScoreConfig(threshold=0.4)}
    datasets = {"static": config.datasets["static"]}
    some = dataclasses.replace(
        config, scores=scores, datasets=datasets, validation=None, fitting=None, closed_set={}, sweep=[]
    )
    results = compare(some, tmp_path / "out")
    row = results.row("after/entropy", "static")
    assert row.auroc.value is not None
    assert row.errors.value is None
    assert "no threshold" in row.segments_undefined
    assert "give `fitting`" in results.row("after/mahalanobis", "static").undefined
    assert results.row("after/msp", "static").errors.value is not None


def test_a_damaged_map_is_computed_again(out: Path, config: ComparisonConfig, tmp_path: Path) -> None:
    copy = copy_of(out, tmp_path)
    victim = sorted((copy / "anomaly_p" / "after__entropy" / "laf").rglob("*.hdf5"))[0]
    victim.write_bytes(b"no HDF5")
    assert numbers(compare(config, copy)).row("after/msp", "laf") == load(out).row("after/msp", "laf")
    assert read_score_map(victim).ndim == 2


def test_a_folder_of_something_else_is_left_alone(config: ComparisonConfig, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        compare(config, tmp_path)


def test_labels_of_other_classes_are_refused(
    config: ComparisonConfig, world: WorldPaths, tmp_path: Path
) -> None:
    closed = {"laf": dataclasses.replace(config.closed_set["city"], name="lost_and_found")}
    closed["laf"].root = str(world.lost_and_found)
    closed["laf"].split = "test"
    with pytest.raises(UsageError, match="`laf` needs a data set with train ids"):
        compare(dataclasses.replace(config, closed_set=closed), tmp_path / "out")


def test_missing_data_is_told_before_anything_is_computed(config: ComparisonConfig, tmp_path: Path) -> None:
    datasets = {"laf": dataclasses.replace(config.datasets["laf"], root="nowhere")}
    with pytest.raises(DataError, match="nowhere does not exist"):
        compare(dataclasses.replace(config, datasets=datasets), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_mean_iou_leaves_missing_classes_out() -> None:
    # class 0: 6 right of 6 true, 8 predicted; class 1: 2 right of 4 true, 2 predicted; class 2 never occurs
    confusion = np.array([[6, 0, 0], [2, 2, 0], [0, 0, 0]])
    assert mean_iou(confusion) == pytest.approx((6 / 8 + 2 / 4) / 2)
    assert np.isnan(mean_iou(np.zeros((2, 2))))


def test_a_test_set_that_cannot_be_opened_leaves_the_others(
    out: Path, config: ComparisonConfig, tmp_path: Path
) -> None:
    copy = copy_of(out, tmp_path)
    gone = dataclasses.replace(config.datasets["laf"], root="nowhere")
    results = compare(dataclasses.replace(config, datasets={"gone": gone, **config.datasets}), copy)
    assert "nowhere does not exist" in results.row("after/entropy", "gone").undefined
    assert results.row("after/entropy", "laf") == load(out).row("after/entropy", "laf")
    assert "nowhere does not exist" in format_comparison(results)


def test_an_unreadable_frame_leaves_the_other_test_sets(
    config: ComparisonConfig, world: WorldPaths, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(world.fishyscapes, tmp_path / "broken"))
    sorted((root / "images").iterdir())[1].write_bytes(b"no image")
    datasets = {"broken": dataclasses.replace(config.datasets["static"], root=str(root)), **config.datasets}
    scores = {"entropy": ScoreConfig(threshold=0.7), "msp": ScoreConfig(threshold=0.5)}
    some = dataclasses.replace(
        config, datasets=datasets, scores=scores, validation=None, closed_set={}, sweep=[], gallery_frames=0
    )
    results = compare(some, tmp_path / "out")
    for method in some.methods:
        assert "0001" in results.row(method, "broken").undefined
        assert results.row(method, "laf").errors.value is not None


def test_folders_need_sizes(config: ComparisonConfig, world: WorldPaths, tmp_path: Path) -> None:
    folder = dataclasses.replace(config.datasets["static"], name="folder")
    with pytest.raises(UsageError, match="give `min_segment_size` and `min_instance_size`"):
        compare(dataclasses.replace(config, datasets={"mine": folder}), tmp_path / "out")
    sized = dataclasses.replace(folder, min_segment_size=50, min_instance_size=10)
    some = dataclasses.replace(
        config, datasets={"mine": sized}, scores={"entropy": ScoreConfig()}, closed_set={}, sweep=[]
    )
    assert compare(some, tmp_path / "out").row("after/entropy", "mine").auroc.value is not None


def test_smiyc_metrics_at_the_methods_own_threshold(
    out: Path, config: ComparisonConfig, tmp_path: Path
) -> None:
    copy = copy_of(out, tmp_path)
    datasets = {"static": dataclasses.replace(config.datasets["static"], smiyc_threshold="method")}
    row = compare(dataclasses.replace(config, datasets=datasets), copy).row("after/msp", "static")
    assert row.smiyc_threshold_source == row.threshold_source == "fixed by the configuration"
    dataset = config.datasets["static"].open(".")
    folder = copy / "anomaly_p" / "after__msp" / "static"
    maps = [read_score_map(folder / f"{r.sample_id}.hdf5") for r in dataset.records]
    flagged = [(m >= 0.5).astype(np.float32) for m in maps]
    expected = smiyc_segment_metrics(
        flagged, [s.target for s in dataset], 0.5, min_segment_size=50, min_instance_size=10
    )
    assert row.siou.value == expected.siou
    assert row.f1_mean.value == expected.f1_mean
