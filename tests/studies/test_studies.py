"""The study: its tables are those of its rows, its measurements agree with scikit-learn, its recipes are
commands."""

from __future__ import annotations

import doctest
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from studies.far import BASELINE, SMOOTHED, add_errors, add_sweep, fit_on_training_frames
from studies.figures import Sweep, draw_sweeps
from studies.measure import SIZE, half_of, measure_known, measure_scores
from studies.recipes import BASE, BEST, BEST_EPOCHS, FACTORS
from studies.rows import RESULTS, add_row, is_there, read_rows
from studies.tables import (
    FIGURES,
    PAGES,
    ROOT,
    errors_table,
    factor_points,
    far_table,
    ratio,
    short_table,
    sweeps,
    with_table,
    write_tables,
)

from segood.cli.frame import shipped_configs
from segood.cli.train import build_parser
from segood.data import open_dataset
from segood.data.synthetic import WorldPaths
from segood.evaluation.comparison.results import (
    ComparedDataset,
    ComparisonResults,
    MetaNumbers,
    MethodInfo,
    Number,
    Row,
    SweepPoint,
)
from segood.evaluation.results import Curve, DatasetInfo
from segood.meta import MetaClassifier
from segood.models import load_model
from segood.scores import StandardizedMaxLogit, get_score
from segood.training import TrainConfig
from studies import measure, meta, recipes, small_objects, tables


def test_tables_and_figures_are_those_of_the_rows(tmp_path: Path) -> None:
    (tmp_path / FIGURES).mkdir(parents=True)
    for page in PAGES:
        shutil.copy(ROOT / page, tmp_path / page)
    write_tables(tmp_path, RESULTS)
    for page in PAGES:
        assert (tmp_path / page).read_text() == (ROOT / page).read_text(), "python -m studies tables"
    drawn = sorted((tmp_path / FIGURES).glob("*.svg"))
    assert drawn
    for figure in drawn:
        assert figure.read_text() == (ROOT / FIGURES / figure.name).read_text(), "python -m studies tables"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_table_has_its_place_and_every_place_its_table(page: Path) -> None:
    marks = [line for line in (ROOT / page).read_text().splitlines() if line.startswith("<!-- table: ")]
    assert sorted(marks) == sorted(f"<!-- table: {name} -->" for name in PAGES[page])
    with pytest.raises(ValueError, match="no `<!-- table: other -->`"):
        with_table("a page", "other", "")


@pytest.mark.parametrize("module", [measure, recipes, small_objects, tables])
def test_examples(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("recipe", FACTORS, ids=lambda recipe: recipe.name)
def test_every_recipe_is_a_command(recipe: recipes.Recipe) -> None:
    parser = build_parser()
    base = parser.parse_args(["--config", str(BASE)])
    given = parser.parse_args(["--config", str(BASE), *recipe.arguments])
    assert (given == base) == (recipe.factor == "base")
    built = parser.instantiate(given)
    TrainConfig(**{name: built[name] for name in TrainConfig.__dataclass_fields__}).check()


def test_no_two_recipes_are_the_same() -> None:
    names, changes = {r.name for r in FACTORS}, {tuple(sorted(r.arguments)) for r in FACTORS}
    assert len(names) == len(changes) == len(FACTORS)


def test_the_shipped_configuration_is_the_best_recipe() -> None:
    parser = build_parser()
    shipped = parser.parse_args(["--config", str(shipped_configs()["espnetv2_camvid_distilled"])]).as_dict()
    best = parser.parse_args(["--config", str(BASE), *BEST.arguments, "--epochs", str(BEST_EPOCHS)]).as_dict()
    beside = {"config", "validation", "evaluation", "data_root", "example_frames"}
    assert {k: v for k, v in shipped.items() if k not in beside} == {
        k: v for k, v in best.items() if k not in beside
    }


def test_every_row_was_trained_by_the_recipe_that_it_names() -> None:
    recipes_by_name = {(r.factor, r.level): list(r.arguments) for r in (*FACTORS, BEST)}
    for row in [*read_rows("factors"), *read_rows("far")]:
        if row["epochs"]:
            given = ["--seed", str(row["seed"]), "--epochs", str(row["epochs"])]
            assert row["arguments"] == given + recipes_by_name[row["factor"], row["level"]], row["level"]


def test_halves_add_up_to_what_scikit_learn_finds(world: WorldPaths, tmp_path: Path) -> None:
    (tmp_path / "fishyscapes_static").symlink_to(world.fishyscapes)
    torch.manual_seed(0)
    model = load_model("unet", width=8)
    measured = measure_scores(model, tmp_path, [get_score("entropy")], sets=["fishyscapes_static"])
    numbers = measured["entropy"]["fishyscapes_static"]
    dataset = open_dataset("fishyscapes_static", world.fishyscapes, resize=SIZE)
    score, scores, targets = get_score("entropy"), [], []
    with torch.no_grad():
        for image, target, _ in dataset:
            assert target is not None
            frame = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
            scores.append(score(logits=model(frame))[0].numpy()[target != 255])
            targets.append(target[target != 255])
    for half, chosen in (("tuning", slice(2)), ("test", slice(2, None)), ("all", slice(None))):
        value, truth = np.concatenate(scores[chosen]), np.concatenate(targets[chosen])
        assert numbers[half]["auroc"] == pytest.approx(roc_auc_score(truth, value), abs=1e-3), half
        assert numbers[half]["ap"] == pytest.approx(average_precision_score(truth, value), abs=1e-3), half
        assert numbers[half]["known_pixels"] + numbers[half]["unknown_pixels"] == len(truth)
    assert [half_of(i, len(dataset)) for i in range(5)] == ["tuning"] * 2 + ["test"] * 3


def test_a_baseline_with_statistics_is_fitted_on_training_frames(shared: Path) -> None:
    weights = shared / "weights" / "espnetv2_s_0.5_city_1024x512.pth"
    model = load_model("espnetv2", checkpoint=str(weights), scale=0.5)
    score = StandardizedMaxLogit()
    fit_on_training_frames(score, model, shared / "data", every=180)  # three frames
    assert score.is_fitted
    road, fence = (model.class_names.index(name) for name in ("road", "fence"))
    assert score.mean[road] > score.mean[fence]


def comparison(scores: list[str], rows: list[Row], **more: object) -> ComparisonResults:
    """Return what `segood compare` finds of two networks on Fishyscapes Static."""
    info = DatasetInfo("fishyscapes_static", "Fishyscapes Static", "all frames", 30, 20, "2048×1024", "hash")
    methods = [
        MethodInfo(f"{network}/{score}", f"{score}, {network}", network, score)
        for network in ("before", "after")
        for score in scores
    ]
    return ComparisonResults(
        "run", "2026-11-26", "segood compare", 0, "0", "before", "after/entropy", [], methods,
        [ComparedDataset(info, "1024×512", "all", 0, 0, best_baseline="before/entropy")], rows,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_errors_come_from_a_comparison(tmp_path: Path) -> None:
    name = "fishyscapes_static"
    meta = MetaNumbers("group", errors=Number(40.0, 30.0, 50.0))
    rows = [
        Row("before/entropy", name, errors=Number(100.0)),
        Row("after/entropy", name, num_ground_truth=55, errors=Number(60.0), meta=meta, reduction_meta=0.6),
        Row("after/msp", name, num_ground_truth=55, errors=Number(1.0)),
        Row("after/energy", name, num_ground_truth=55, errors=Number(70.0), reduction_meta=None),
    ]
    for _ in range(2):  # a comparison is taken once
        add_errors(comparison(["entropy", "msp", "energy"], rows), tmp_path)
    assert [row["score"] for row in read_rows("errors", tmp_path)] == ["entropy", "energy"]
    table = errors_table(tmp_path)
    before = "55 | entropy, before | 100"
    assert f"| Fishyscapes Static | softmax entropy | {before} | 60 | 40 [30, 50] | 60 % |" in table
    assert f"| Fishyscapes Static | energy | {before} | 70 | – | – |" in table  # nothing to classify


def test_the_sweep_comes_from_a_comparison(tmp_path: Path) -> None:
    name = "fishyscapes_static"
    curve = Curve([0.0, 0.1, 0.3], [0.0, 0.5, 1.0], [0.9, 0.7, 0.3])
    rows = [Row(f"{n}/entropy", name, num_ground_truth=55, roc=curve) for n in ("before", "after")]
    sweep = [
        SweepPoint("after/entropy", name, threshold, 8, 5, 3, errors_meta)
        for threshold, errors_meta in ((0.5, 4), (0.7, 6), (0.95, None))
    ]
    for _ in range(2):
        add_sweep(comparison(["entropy"], rows, sweep=sweep), tmp_path)
    (row,) = read_rows("sweep", tmp_path)
    flagged = [point["known_flagged"] for point in row["points"]]
    assert flagged == [0.2, 0.1, 0.0]  # straight lines between the curve's points
    (panel,) = sweeps(tmp_path)
    assert panel == Sweep("Fishyscapes Static", {"after": [(0.1, 6), (0.2, 4)]}, 55)
    draw_sweeps([panel], tmp_path / "errors.svg")
    picture = (tmp_path / "errors.svg").read_text()
    assert "nothing flagged" in picture
    assert "Fishyscapes Static" in picture


def test_ours_is_set_against_the_best_of_each_number(tmp_path: Path) -> None:
    def unknown(ap: float, fpr95: float) -> dict[str, object]:
        return {
            name: {half: {"auroc": 0.9, "ap": ap, "fpr95": fpr95} for half in ("test", "all")}
            for name in measure.SETS
        }

    known = {"test": {"miou": 0.5, "frames": 233}}
    start = {"factor": "start", "level": "", "seed": 0, "epochs": 0, "known": known}
    add_row("factors", start, tmp_path)
    smoothed = unknown(0.3, 0.5)  # is no published score
    published = {"entropy": unknown(0.1, 0.6), "msp": unknown(0.2, 0.8), "energy": unknown(0.15, 0.7)}
    for level, numbers in (*published.items(), (SMOOTHED, smoothed)):
        add_row("far", {"factor": BASELINE, "level": level, "unknown": numbers}, tmp_path)
    ours = {"factor": "best", "level": "words", "epochs": 3, "known": {"test": {"miou": 0.49, "frames": 233}}}
    for ap in (0.4, 0.6):
        numbers = {"unknown": unknown(ap, 0.3), "smoothed": unknown(0.5, 0.2)}
        add_row("far", ours | numbers | {"energy": unknown(2 * ap, 0.15)}, tmp_path)
    short = short_table(tmp_path)
    for line in (
        "before, entropy | .900 | .100 | .600 |",
        "before, energy | .900 | .150 | .700 |",
        "after, entropy | .900 ± .000 | .500 ± .141 | .300 ± .000 |",
        "after, energy | .900 ± .000 | 1.000 ± .283 | .150 ± .000 |",
    ):
        assert short.count(f" | {line}") == 3
    told = far_table(tmp_path)
    for line in (
        "| .200 (Maximum softmax probability) | 1.00 | .600 (Softmax entropy) | 1.00 |",
        "smoothed entropy before | .300 | 1.50 | .500 | 0.83 |",
        "softmax entropy, ours | .500 ± .141 | 2.50 | .300 ± .000 | 0.50 |",
        "energy, ours | 1.000 ± .283 | 5.00 | .150 ± .000 | 0.25 |",
    ):
        assert told.count(line) == 6
    assert (
        "words, 3 epochs, 2 seed(s). mIoU: CamVid test (233 frames): 50.0 % before, 49.0 ± 0.0 % after."
        in told
    )


def test_known_pixels_are_measured_on_real_frames(shared: Path) -> None:
    weights = shared / "weights" / "espnetv2_s_0.5_city_1024x512.pth"
    model = load_model("espnetv2", checkpoint=str(weights), scale=0.5)
    found = measure_known(model, shared / "data", "val", most=4)
    assert found["frames"] == 4
    assert 0.2 < found["miou"] < 0.9


def test_ways_are_measured_on_real_frames(shared: Path) -> None:
    weights = str(shared / "weights" / "espnetv2_s_2.0_city_1024x512.pth")
    row = small_objects.measure_way(weights, small_objects.WAYS[0], shared / "data", "tuning", most=2)
    assert row["frames"] == 2
    assert row["auroc"] > 0.8
    assert sum(objects for _, objects in row["found"]) == 3
    assert all(found <= objects for found, objects in row["found"])


def segment_table(seed: int, images: int = 8) -> pd.DataFrame:
    """Segments of which the larger ones are rarely false alarms, five per image."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=5 * images)
    return pd.DataFrame({
        "sample_id": np.repeat([f"{i}" for i in range(images)], 5),
        "size": size,
        "noise": rng.normal(size=5 * images),
        "is_false_positive": size + 0.7 * rng.normal(size=5 * images) < 0,
    })  # fmt: skip


def test_the_meta_classifier_by_protocol_and_on_other_sets() -> None:
    own, other = segment_table(0), segment_table(1)
    row = meta.measure_table(own, {"other": other, "nothing": other[other["is_false_positive"]]})
    assert (row["segments"], row["images"], row["first_features"][0]) == (40, 8, "size")
    assert row["false_alarms"] == own["is_false_positive"].sum()
    assert 0.6 < row["group"]["auroc"] < 1
    assert row["group"] != row["leave-one-out"]
    columns = ["size", "noise"]
    fitted = MetaClassifier().fit(own[columns], own["is_false_positive"])
    expected = roc_auc_score(other["is_false_positive"], fitted.predict_proba(other[columns]))
    assert row["transfer"] == {"other": pytest.approx(expected), "nothing": None}
    all_false = meta.measure_table(own[own["is_false_positive"]], {})
    assert all_false["group"]["auroc"] is None
    assert "transfer" not in all_false


def test_rows_are_kept_and_found(tmp_path: Path) -> None:
    assert read_rows("some", tmp_path) == []
    row = add_row("some", {"factor": "λ", "seed": 1}, tmp_path)
    assert set(row["provenance"]) == {"date", "revision", "processor", "threads", "packages"}
    add_row("some", {"factor": "λ", "seed": 2}, tmp_path)
    rows = read_rows("some", tmp_path)
    assert [r["seed"] for r in rows] == [1, 2]
    assert is_there(rows, factor="λ", seed=2)
    assert not is_there(rows, factor="λ", seed=3)


def test_ratios_by_hand() -> None:
    def row(factor: str, values: list[float], seed: int = 0) -> dict[str, object]:
        by_set = zip(measure.SETS, values, strict=True)
        unknown = {name: {"tuning": {"ap": v, "fpr95": v / 2}} for name, v in by_set}
        return {"factor": factor, "level": factor, "epochs": 1, "seed": seed, "unknown": unknown}

    start, better = row("start", [0.1, 0.2, 0.4]), row("base", [0.2, 0.2, 1.6])
    assert ratio(better, start, "ap") == pytest.approx(2)  # the geometric mean of 2, 1 and 4
    points = factor_points([start, better, row("base", [0.1, 0.2, 0.4], seed=1)])
    assert points == [("base", "base", pytest.approx([2, 1]), pytest.approx([2, 1]))]
    longer = [start, better | {"epochs": 3}]
    assert [point.level for point in factor_points(longer)] == ["base, 3 epochs"]
