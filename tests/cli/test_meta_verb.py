"""`segood meta` on a run made of tables: what it prints, what it keeps, what users get wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segood import runs
from segood.cli import main
from segood.evaluation.results import DatasetInfo, ModelInfo, RunResults, SegmentResult
from segood.evaluation.run import read_segments
from segood.evaluation.segment import errors_of
from segood.meta import MetaClassifier

Fails = Callable[..., str]
SIZES = {"laf": 60, "static": 40}


def segments_of(model: str, dataset: str, seed: int) -> pd.DataFrame:
    """Segments of eight frames; small ones are false positives more often than large ones."""
    rng = np.random.default_rng(seed)
    count = SIZES[dataset]
    size = np.exp(rng.normal(5, 1.5, count)).round() + 1
    false_positive = rng.random(count) < 1 / (1 + np.exp(np.log(size) - 5))
    return pd.DataFrame(
        {
            "model": model,
            "dataset": dataset,
            "sample_id": [f"city/frame_{i % 8}" for i in range(count)],
            "segment": np.arange(count) // 8 + 1,
            "entropy_mean": rng.random(count),
            "size": size,
            "class_probability_0": rng.random(count),
            "num_ood_pixels": np.where(false_positive, 0, 3),
            "iou": np.where(false_positive, 0, 0.5),
            "adjusted_iou": np.where(false_positive, 0, 0.5),
            "is_false_positive": false_positive,
            "ground_truth": [[] if wrong else [1] for wrong in false_positive],
        }
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    keys = [(model, dataset) for dataset in SIZES for model in ("before", "after")]
    tables = {key: segments_of(*key, seed) for seed, key in enumerate(keys)}
    return write_run(tmp_path / "run", tables)


def write_run(folder: Path, tables: dict[tuple[str, str], pd.DataFrame]) -> Path:
    folder.mkdir()
    datasets = list(dict.fromkeys(dataset for _, dataset in tables))
    RunResults(
        name="run", created="", command="", seed=0, segood_version="0",
        models=[ModelInfo(key, f"{key} training", "unet", ["road"]) for key in ("before", "after")],
        datasets=[DatasetInfo(key, f"Set {key}", "test", 8, 8, "own", "") for key in datasets],
        segment=[
            SegmentResult(model, dataset, "entropy", 0.7, 8, errors_of(rows, 8))
            for (model, dataset), rows in tables.items()
        ],
    ).save(folder / runs.METRICS)  # fmt: skip
    pd.concat(tables.values(), ignore_index=True).to_parquet(folder / runs.SEGMENTS, index=False)
    return folder


def meta(capsys: pytest.CaptureFixture[str], run: Path, *words: object) -> str:
    assert main(["meta", str(run), *map(str, words)]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def meta_json(capsys: pytest.CaptureFixture[str], run: Path, *words: object) -> Any:
    return json.loads(meta(capsys, run, "--json", *words))


def contents(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir()}


def test_removals_by_size_add_up(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    items = meta_json(capsys, run)
    assert [(item["model"], item["dataset"]) for item in items] == [
        ("before", "laf"), ("after", "laf"), ("before", "static"), ("after", "static")
    ]  # fmt: skip
    for item in items:
        sums = pd.DataFrame(item["by_size"]).sum()
        assert sums["false_positives_removed"] == item["meta"]["num_removed_rightly"]
        assert sums["true_positives_lost"] == item["meta"]["num_removed_wrongly"]
        assert sums["num_false_positives"] + sums["num_true_positives"] == SIZES[item["dataset"]]
    text = meta(capsys, run)
    assert "Removed by the meta classifier" in text
    small = items[0]["by_size"][0]
    line = next(line for line in text.splitlines() if "0–99 px" in line and "before training" in line)
    assert line.split("px")[1].split() == [
        str(small["false_positives_removed"]), "of", str(small["num_false_positives"]),
        str(small["true_positives_lost"]), "of", str(small["num_true_positives"]),
    ]  # fmt: skip
    assert "by LARS" not in text
    assert "on another" not in text


def test_transfer(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    found = meta_json(capsys, run, "--transfer")
    assert set(found) == {"segment", "transfer"}
    assert [(t["method"], t["fitted_on"], t["applied_to"]) for t in found["transfer"]] == [
        ("before", "laf", "static"), ("before", "static", "laf"),
        ("after", "laf", "static"), ("after", "static", "laf"),
    ]  # fmt: skip
    table = read_segments(run)
    rows = {d: table[(table["model"] == "before") & (table["dataset"] == d)] for d in SIZES}
    features = ["entropy_mean", "size", "class_probability_0"]
    fitted = MetaClassifier().fit(rows["laf"][features], rows["laf"]["is_false_positive"])
    errors = errors_of(rows["static"][~fitted.is_removed(rows["static"][features])], 8)
    assert found["transfer"][0]["meta"]["errors"]["value"] == errors.errors
    text = meta(capsys, run, "--transfer")
    assert "Meta classifier of one data set on another (linear)" in text
    line = next(line for line in text.splitlines() if "Set laf → Set static" in line)
    assert line.startswith("before training")
    assert str(errors.errors) in line.split()


def test_ranking(capsys: pytest.CaptureFixture[str], run: Path) -> None:
    found = meta_json(capsys, run, "--ranking", 2)["ranking"]
    assert (found[0]["method"], found[0]["dataset"]) == ("before", "laf")
    assert all(len(r["order"]) == 2 and len(r["alphas"]) == 3 for r in found)
    text = meta(capsys, run, "--ranking", 3)
    assert "Features by LARS: Set laf, before training (60 segments" in text
    assert text.count("mean probability of road") == 4  # the class by its name, for each model and data set
    assert text.count("number of pixels") == 4


def test_an_explanation_adds_up_and_is_that_of_meta_json(
    capsys: pytest.CaptureFixture[str], run: Path
) -> None:
    address = "after/laf/city/frame_3/2"
    found = meta_json(capsys, run, "--explain", address, "--probability_threshold", 0.6)["explanation"]
    assert (found["model"], found["dataset"], found["sample_id"], found["segment"]) == (
        "after", "laf", "city/frame_3", 2
    )  # fmt: skip
    logit = sum(found["contributions"].values()) + found["intercept"]
    assert found["logit"] == pytest.approx(logit, rel=1e-12)
    assert found["probability"] == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-12)
    assert found["threshold"] == 0.6
    sizes = [abs(part) for part in found["contributions"].values()]
    assert sizes == sorted(sizes, reverse=True)
    table = read_segments(run)
    (row,) = table[
        (table["model"] == "after") & (table["dataset"] == "laf")
        & (table["sample_id"] == "city/frame_3") & (table["segment"] == 2)
    ].to_dict("records")  # fmt: skip
    assert {name: row[name] for name in found["values"]} == found["values"]
    assert (row["meta_probability"], row["removed"]) == (found["held_out_probability"], found["removed"])
    stored = MetaClassifier.load(run / runs.META)  # fitted on all test sets of the last network
    values = pd.DataFrame([found["values"]])
    assert stored.predict_proba(values)[0] == found["probability"]
    assert stored.explain(values).iloc[0].to_dict() == found["contributions"]
    text = meta(capsys, run, "--explain", address)
    assert "Segment 2 of city/frame_3: Set laf, after training" in text
    assert "number of pixels" in text.split("Segment 2 of")[1]
    other = meta_json(capsys, run, "--explain", address.replace("after", "before"))["explanation"]
    assert other["model"] == "before"
    assert other["probability"] != found["probability"]


def test_the_neural_classifier_is_for_the_cross_validated_numbers(
    capsys: pytest.CaptureFixture[str], run: Path
) -> None:
    linear = meta_json(capsys, run)
    found = meta_json(capsys, run, "--classifier", "neural", "--transfer")
    assert {s["meta"]["classifier"] for s in found["segment"]} == {"neural"}
    assert {t["meta"]["classifier"] for t in found["transfer"]} == {"neural"}
    assert found["segment"][0]["meta"]["auroc"] != linear[0]["meta"]["auroc"]
    assert RunResults.load(run / runs.METRICS).segment[0].meta.classifier == "neural"  # type: ignore[union-attr]
    assert len(MetaClassifier.load(run / runs.META).coefficients) == 3  # the linear one
    assert "after meta classification (group, neural)" in meta(capsys, run, "--classifier", "neural")


def test_undefined_parts_say_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    good, bad = segments_of("before", "laf", 0), segments_of("after", "laf", 1)
    bad["is_false_positive"] = True
    bad["ground_truth"] = [[] for _ in range(len(bad))]
    both = {"static": segments_of("before", "static", 2), "rest": segments_of("after", "static", 3)}
    run = write_run(
        tmp_path / "run",
        {("before", "laf"): good, ("after", "laf"): bad,
         ("before", "static"): both["static"], ("after", "static"): both["rest"]},
    )  # fmt: skip
    text = meta(capsys, run, "--ranking", "1", "--transfer")
    assert "– Set laf, after training: no feature ranking, its segments are not of both kinds" in text
    assert "– after training, Set laf → Set static: a meta classifier needs segments of both kinds" in text
    after = next(s for s in meta_json(capsys, run) if (s["model"], s["dataset"]) == ("after", "laf"))
    assert after["by_size"] == []
    assert "one kind of segment is left" in after["meta"]["undefined"]


def test_mistakes_are_named_and_change_nothing(fails: Fails, run: Path) -> None:
    before = contents(run)
    for words, message in {
        ("--explain", "after/laf/3"): "`explain` must be MODEL/DATASET/SAMPLE_ID/SEGMENT; got 'after/laf/3'",
        ("--explain", "after/laf/a/b"): "`explain` must be MODEL/DATASET/SAMPLE_ID/SEGMENT",
        ("--explain", "aftr/laf/city/frame_3/2"): "`explain MODEL` must be one of before, after; got 'aftr'",
        ("--explain", "after/lof/city/frame_3/2"): "`explain DATASET` must be one of laf, static",
        ("--explain", "after/laf/city/frme_3/2"): "got 'city/frme_3' (did you mean 'city/frame_3'?)",
        ("--explain", "after/static/city/frame_3/9"): "must be one of 1, 2, 3, 4, 5 in city/frame_3; got 9",
        ("--ranking", "0"): "`ranking` must be a number of features, at least 1; got 0",
        ("--ranking", "few"): "ranking",
        ("--classifier", "neuronal"): "classifier",
        ("--classifier", "neural", "--preset", "paper"): "made for the linear classifier",
        ("--probability_threshold", "2"): "must lie in [0, 1]",
        ("--explian", "x"): "did you mean 'explain'",
    }.items():
        assert message in fails("meta", run, *words, code=2)
    assert contents(run) == before


def test_a_transfer_needs_two_test_sets(fails: Fails, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {("after", "laf"): segments_of("after", "laf", 0)})
    assert "`transfer` needs two OoD test sets; the run has laf" in fails("meta", run, "--transfer", code=2)


def test_the_verb_as_a_process(segood: Callable[..., Any], run: Path) -> None:
    done = segood("meta", run, "--ranking", "2", "--explain", "after/static/city/frame_0/1")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "Segment 1 of city/frame_0" in done.stdout


def test_a_run_keeps_its_own_protocol_unless_another_is_given(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write_yaml(run / runs.EVALUATION, {"meta": {"protocol": "leave-one-out", "preset": "paper"}})
    meta(capsys, run, "--ranking", 2)
    kept = [s.meta for s in RunResults.load(run / runs.METRICS).segment]
    assert {(m.protocol, m.preset) for m in kept} == {("leave-one-out", "paper")}
    meta(capsys, run, "--protocol", "group")
    assert {s.meta.protocol for s in RunResults.load(run / runs.METRICS).segment} == {"group"}
