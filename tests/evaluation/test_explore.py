"""What the report's sliders move: the same numbers as the metrics, at every threshold and probability."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, logit

from segood import runs
from segood.data import open_dataset
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.errors import UsageError
from segood.evaluation import RunResults, explore_frames, explore_shown, match_segments
from segood.evaluation.config import EXPLORED, EvaluationConfig, MetaConfig
from segood.evaluation.exploration import (
    FILE,
    Exploration,
    PixelCounts,
    SegmentCounts,
    ShownFrame,
    ShownSegment,
)
from segood.evaluation.explore_counts import count_errors_at
from segood.evaluation.explore_shown import within_budget
from segood.evaluation.false_alarms import features_of
from segood.evaluation.gallery import GalleryFrame, load_gallery_frame
from segood.evaluation.outlines import fill_outline, outline_segments
from segood.evaluation.run import evaluate_run, filter_run, read_segments
from segood.evaluation.runner import measure_dataset
from segood.meta import MetaClassifier, cross_validate
from segood.models import SegmentationModel, load_model, save_model
from segood.segments import extract_segments
from segood.segments.components import label_components
from segood.types import IGNORE

GRID = [0.3, 0.5, 0.9]


def uneven(scale: float) -> SegmentationModel:
    """A network whose entropies are all over [0, 1], so that every threshold has its own segments."""
    torch.manual_seed(0)
    model = load_model("unet", width=8)
    last = [layer for layer in model.network.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
    assert last.bias is not None
    with torch.no_grad():
        last.weight.mul_(scale)
        last.bias.zero_()
    return model


@pytest.fixture(scope="module")
def config(world: WorldPaths) -> EvaluationConfig:
    datasets = {"static": DatasetConfig("fishyscapes_static", str(world.fishyscapes))}
    return EvaluationConfig(datasets, threshold=0.7, gallery_frames=3, explore=GRID)


@pytest.fixture(scope="module")
def explored_run(tmp_path_factory: pytest.TempPathFactory, config: EvaluationConfig) -> Path:
    """A run whose last network finds segments of one kind only at its threshold."""
    run = tmp_path_factory.mktemp("runs") / "explored"
    runs.write_description(runs.claim_run(run), {"evaluation": dataclasses.asdict(config)})
    save_model(uneven(1000), run / runs.START)
    save_model(uneven(2000), run / runs.FINAL)
    evaluate_run(run)
    return run


@pytest.fixture
def copy(explored_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(explored_run, tmp_path / "copy"))


def check_agreement(run: Path) -> None:
    """At its own threshold and probability the exploration is what the metrics say."""
    results, exploration = RunResults.load(run / runs.METRICS), Exploration.load(run / FILE)
    own = exploration.thresholds.index(exploration.threshold)
    assert len(exploration.sweeps) == len(results.segment) == len(results.pixel)
    for sweep, pixel, segment in zip(exploration.sweeps, results.pixel, results.segment, strict=True):
        assert (sweep.model, sweep.dataset) == (segment.model, segment.dataset)
        assert (sweep.num_in, sweep.num_ood) == (pixel.num_in, pixel.num_ood)
        assert sweep.num_ground_truth == segment.num_ground_truth
        assert sweep.num_segments[own] == segment.before_meta.num_predicted
        entries, meta = sweep.segments[own], segment.meta
        assert meta is not None
        before = segment.before_meta
        assert entries[-1] == SegmentCounts(before.false_positives, before.false_negatives, 0, 0)
        assert sweep.undefined[own] == meta.undefined
        if meta.after is None:
            assert len(entries) == 1
            continue
        assert len(entries) == len(exploration.probabilities)
        at = exploration.probabilities.index(meta.probability_threshold)
        assert entries[at] == SegmentCounts(
            meta.after.false_positives,
            meta.after.false_negatives,
            meta.num_removed_rightly,
            meta.num_removed_wrongly,
        )


def shown_at(exploration: Exploration, model: str, step: int) -> list[tuple[str, ShownSegment]]:
    return [(f.sample_id, s) for f in exploration.frames for s in f.segments[model][step]]


def test_counts_equal_the_metrics(explored_run: Path) -> None:
    check_agreement(explored_run)
    exploration = Exploration.load(explored_run / FILE)
    assert exploration.thresholds == [0.3, 0.5, 0.7, 0.9]
    assert exploration.probabilities[-2:] == [0.95, 1.01]
    before, after = exploration.sweeps
    assert before.undefined[2] is None
    assert after.undefined[2] is not None
    assert len(after.segments[2]) == 1


def test_every_threshold_equals_a_direct_count(explored_run: Path, world: WorldPaths) -> None:
    exploration = Exploration.load(explored_run / FILE)
    dataset, model = open_dataset("fishyscapes_static", world.fishyscapes), uneven(1000)
    sweep = exploration.sweeps[0]
    for step, threshold in enumerate(exploration.thresholds):
        tp = fp = predicted = false_positives = false_negatives = 0
        for image, target, _ in dataset:
            assert target is not None
            ignore = target == IGNORE
            found = extract_segments(logits=model.predict_logits(image), threshold=threshold, ignore=ignore)
            match = match_segments(found.labels, target)
            reached = found.score_map >= np.float32(threshold)
            tp, fp = tp + int(reached[target == 1].sum()), fp + int(reached[target == 0].sum())
            predicted += match.num_predicted
            false_positives += match.num_false_positives
            false_negatives += match.num_false_negatives
        assert sweep.pixels[step] == PixelCounts(tp, fp)
        assert sweep.num_segments[step] == predicted
        nothing_removed = sweep.segments[step][-1]
        assert nothing_removed == SegmentCounts(false_positives, false_negatives, 0, 0)


def test_errors_at_probabilities_by_hand() -> None:
    # frame a: segment 1 (p .2) on object 1, segment 2 (p .6) on objects 1 and 2, segment 3 (p .9) on none
    # frame b: segment 1 (p .5) on none                                       3 objects in all, one untouched
    rows = pd.DataFrame({"sample_id": list("aaab"), "ground_truth": [[1], [1, 2], [], []]})
    rows["is_false_positive"] = [False, False, True, True]
    chances = np.array([0.2, 0.6, 0.9, 0.5])
    assert count_errors_at(rows, chances, 3, [0.1, 0.5, 0.55, 0.7, 1.01]) == [
        SegmentCounts(0, 3, 2, 2),  # all removed
        SegmentCounts(0, 2, 2, 1),  # a probability of .5 reaches .5; object 1 is left to segment 1
        SegmentCounts(1, 2, 1, 1),
        SegmentCounts(1, 1, 1, 0),
        SegmentCounts(2, 1, 0, 0),  # nothing removed
    ]
    assert count_errors_at(rows, None, 3, [1.01]) == [SegmentCounts(2, 1, 0, 0)]
    assert count_errors_at(rows[:0], None, 3, [1.01]) == [SegmentCounts(0, 3, 0, 0)]


def check_sums(shown: list[tuple[str, ShownSegment]], most: int) -> None:
    for _, segment in shown:
        assert segment.probability is not None
        assert segment.logit is not None
        assert segment.intercept is not None
        assert segment.rest is not None
        parts = [item.contribution for item in segment.contributions]
        assert len(parts) == most
        assert np.all(np.diff(np.abs(parts)) <= 0)
        total = segment.intercept + sum(parts) + segment.rest
        assert total == pytest.approx(segment.logit, abs=1e-6)
        assert float(expit(total)) == pytest.approx(segment.probability, abs=1e-7)
        if abs(total) < 20:  # beyond, a probability is too close to 1 for its logit
            assert float(logit(segment.probability)) == pytest.approx(total, abs=1e-6)


def test_contributions_are_those_of_the_classifier_that_held_the_image_out(explored_run: Path) -> None:
    exploration, table = Exploration.load(explored_run / FILE), read_segments(explored_run)
    rows = table[table["model"] == "before"].reset_index(drop=True)
    shown = shown_at(exploration, "before", 2)
    check_sums(shown, 8)
    check_sums(shown_at(exploration, "before", 1), 3)
    for frame in exploration.frames:
        kept = rows[rows["sample_id"] != frame.sample_id]
        classifier = MetaClassifier().fit(features_of(kept), kept["is_false_positive"])
        for segment in frame.segments["before"][2]:
            (row,) = rows[(rows["sample_id"] == frame.sample_id) & (rows["segment"] == segment.segment)].index
            of_row = features_of(rows).loc[[row]]
            assert segment.intercept == pytest.approx(classifier.intercept, abs=1e-6)
            assert segment.probability == pytest.approx(rows["meta_probability"][row], abs=1e-7)
            assert segment.is_false_positive == rows["is_false_positive"][row]
            assert segment.area == rows["size"][row]
            parts = classifier.explain(of_row).iloc[0]
            for item in segment.contributions:
                assert item.contribution == pytest.approx(parts[item.feature], abs=2e-5)
                assert item.value == pytest.approx(of_row[item.feature].iloc[0], rel=1e-4)
    assert all(segment.probability is None for _, segment in shown_at(exploration, "after", 2))
    assert all(segment.logit is None for _, segment in shown_at(exploration, "after", 2))


@pytest.mark.parametrize("preset", [None, "paper"])
@pytest.mark.parametrize("protocol", ["group", "leave-one-out"])
def test_reasons_of_every_fold(protocol: str, preset: str | None) -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 6)
    features = rng.normal(0, 1, (48, 5)) * [1, 10, 1, 1, 1]
    features[:, 3] = 2.0  # constant
    features[:, 4] = np.where(groups == 7, 1.0, 0.0)  # constant without the last group
    labels = features[:, 0] + rng.normal(0, 1, 48) > 0
    explain = np.arange(48) % 5 != 0
    found = cross_validate(features, labels, groups, protocol, preset, explain=explain)
    assert found.reasons is not None
    assert found.reasons.rows.tolist() == np.flatnonzero(explain).tolist()
    total = found.reasons.contributions.sum(axis=1) + found.reasons.intercepts
    np.testing.assert_allclose(expit(total), found.probabilities[explain], atol=1e-8)
    np.testing.assert_allclose(found.reasons.contributions[:, 3], 0.0, atol=1e-12)
    if preset is None:
        for place, row in enumerate(found.reasons.rows.tolist()):
            held = groups == groups[row] if protocol == "group" else np.arange(48) == row
            alone = MetaClassifier().fit(features[~held], labels[~held])
            parts = alone.explain(features[[row]]).to_numpy()[0]
            np.testing.assert_allclose(found.reasons.contributions[place], parts, atol=1e-6)
            assert found.reasons.intercepts[place] == pytest.approx(alone.intercept, abs=1e-6)


def test_reasons_of_bad_input() -> None:
    features, labels = np.arange(6.0)[:, None], np.arange(6) > 2
    with pytest.raises(UsageError, match=r"`explain` must hold one boolean for each of the 6 rows"):
        cross_validate(features, labels, protocol="leave-one-out", explain=np.ones(5, bool))
    with pytest.raises(UsageError, match='`explain` needs `classifier="linear"`'):
        cross_validate(
            features, labels, protocol="leave-one-out", classifier="neural", explain=np.ones(6, bool)
        )


def test_outlines_cover_their_segments(explored_run: Path) -> None:
    exploration = Exploration.load(explored_run / FILE)
    frames = [load_gallery_frame(path) for path in sorted((explored_run / runs.GALLERY).rglob("*.npz"))]
    assert [f.sample_id for f in frames] == [f.sample_id for f in exploration.frames]
    for frame, shown in zip(frames, exploration.frames, strict=True):
        assert (shown.height, shown.width) == frame.target.shape
        truth, count = label_components(frame.target == 1)
        assert len(shown.objects) == count  # the labels are not reduced here
        for item in shown.objects:
            inside = fill_outline(item.outline, frame.target.shape)
            assert inside[truth == item.ground_truth].mean() >= 0.99
        for model in ("before", "after"):
            assert shown.segments[model][2]
            for segment in shown.segments[model][2]:
                mask = frame.labels[model] == segment.segment
                inside = fill_outline(segment.outline, mask.shape)
                assert inside[mask].mean() >= 0.99
                assert inside[~mask].sum() <= max(0.5 * mask.sum(), 16)


def test_outlines_by_hand_and_of_any_shape() -> None:
    # . # # # .        8-connected, with a hole
    # . # . # .   .
    # . # # # .        and a single pixel
    labels = np.zeros((5, 9), np.int32)
    labels[0:3, 1:4], labels[1, 2], labels[3, 7] = 1, 0, 2
    outlines = outline_segments(labels, [1, 2, 3], {1: (1, 2), 2: (3, 7), 3: (4, 0)})
    assert len(outlines[1]) == 2  # outside and hole
    np.testing.assert_array_equal(fill_outline(outlines[1], labels.shape), labels == 1)
    assert outlines[2] == [[[2, 6], [4, 6], [4, 8], [2, 8]]]  # few pixels: a box that can be clicked
    assert outlines[3] == [[[3, 0], [4, 0], [4, 1], [3, 1]]]  # none is left in the picture: around its centre
    assert outline_segments(labels, [3]) == {3: []}
    rng = np.random.default_rng(1)
    for density in (0.2, 0.4, 0.6, 0.9):
        noise, count = label_components(rng.random((40, 60)) < density)
        for coarse, least in ((False, 0.99), (True, 0.95)):
            for key, outline in outline_segments(noise, range(1, count + 1), coarse=coarse).items():
                assert fill_outline(outline, noise.shape)[noise == key].mean() >= least


def check_frames(run: Path) -> None:
    """Drawn and left-out segments of a frame are together those of the segment table."""
    exploration, table = Exploration.load(run / FILE), read_segments(run)
    own = exploration.thresholds.index(exploration.threshold)
    at = exploration.probabilities.index(exploration.probability_threshold)
    for frame in exploration.frames:
        for model in ("before", "after"):
            rows = table[(table["model"] == model) & (table["sample_id"] == frame.sample_id)]
            shown, left = frame.segments[model][own], frame.unshown[model][own]
            assert set(rows[~rows["is_false_positive"]]["segment"]) <= {s.segment for s in shown}
            assert len(shown) + (left[-1] if left else 0) == len(rows)
            kept = sum(
                s.probability is None or s.probability < exploration.probability_threshold for s in shown
            )
            unshown_kept = (left[at] if len(left) > 1 else left[-1]) if left else 0
            assert kept + unshown_kept == (~rows["removed"]).sum()
            for segment in shown:
                (keys,) = rows[rows["segment"] == segment.segment]["ground_truth"]
                assert segment.ground_truth == list(keys)


@pytest.mark.parametrize(
    "meta",
    [
        MetaConfig(probability_threshold=0.33),
        MetaConfig(protocol="leave-one-out", probability_threshold=0.9),
        MetaConfig(preset="paper"),
    ],
)
def test_another_meta_classification_keeps_everything_consistent(copy: Path, meta: MetaConfig) -> None:
    older = Exploration.load(copy / FILE)
    filter_run(copy, meta)
    check_agreement(copy)
    check_frames(copy)
    exploration = Exploration.load(copy / FILE)
    assert meta.probability_threshold in exploration.probabilities
    assert [s.pixels for s in exploration.sweeps] == [s.pixels for s in older.sweeps]
    check_sums(shown_at(exploration, "before", 2), 8)
    filter_run(copy, MetaConfig())
    assert Exploration.load(copy / FILE) == older


def test_the_neural_classifier_is_explored_at_the_runs_threshold_only(copy: Path) -> None:
    filter_run(copy, MetaConfig(classifier="neural"))
    check_agreement(copy)
    exploration = Exploration.load(copy / FILE)
    assert exploration.sweeps[0].undefined[2] is None
    assert "refitted for every fold" in str(exploration.sweeps[0].undefined[1])
    assert len(exploration.sweeps[0].segments[1]) == 1
    for _, segment in shown_at(exploration, "before", 2):
        assert segment.probability is not None
        assert (segment.logit, segment.rest, segment.contributions) == (None, None, [])


def test_an_exploration_that_cannot_be_repeated_is_removed(copy: Path) -> None:
    shutil.rmtree(copy / runs.EXPLORATION)
    assert filter_run(copy, MetaConfig(probability_threshold=0.8)).meta_models
    assert not (copy / FILE).exists()


def test_switched_off_and_reduced_to_the_own_threshold(copy: Path, config: EvaluationConfig) -> None:
    evaluate_run(copy, dataclasses.replace(config, explore=[0.7], gallery_frames=1))
    check_agreement(copy)
    assert Exploration.load(copy / FILE).thresholds == [0.7]
    assert not (copy / runs.EXPLORATION).exists()
    evaluate_run(copy, dataclasses.replace(config, explore=[]))
    assert not (copy / FILE).exists()
    assert runs.read_config(copy, runs.EVALUATION)["explore"] == []


def test_default_thresholds_and_bad_ones() -> None:
    assert EvaluationConfig().explored((0.0, 1.0)) == list(EXPLORED)
    assert (len(EXPLORED), EXPLORED[0], EXPLORED[-1]) == (14, 0.3, 0.95)
    assert EvaluationConfig(threshold=0.72).explored((0.0, 1.0))[8:10] == [0.7, 0.72]
    assert EvaluationConfig(score="max_logit", threshold=-8).explored((-50.0, 50.0)) == [-8]
    given = EvaluationConfig(score="max_logit", threshold=-8, explore=[-9.0, 3.5])
    given.check()
    assert given.explored((-50.0, 50.0)) == [-9.0, -8, 3.5]
    assert EvaluationConfig(explore=[]).explored((0.0, 1.0)) == []
    with pytest.raises(UsageError, match=r"`explore` must lie in \[0, 1\]; got 1.5"):
        EvaluationConfig(explore=[0.5, 1.5]).check()
    with pytest.raises(UsageError, match=r"`explore` must hold finite numbers; got nan"):
        EvaluationConfig(score="max_logit", explore=[float("nan")]).check()
    with pytest.raises(UsageError, match=r"`explore` must not name a threshold twice; got \[0.5, 0.5\]"):
        EvaluationConfig(explore=[0.5, 0.5]).check()


def test_too_many_segments_are_counted_but_not_classified(
    config: EvaluationConfig, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = Exploration.load(copy / FILE).sweeps[0]
    most = older.num_segments[0] - 1
    monkeypatch.setattr(explore_frames, "MOST_SEGMENTS", most)
    monkeypatch.setattr("segood.evaluation.explore.MOST_SEGMENTS", most)
    evaluate_run(copy, config)
    sweep = Exploration.load(copy / FILE).sweeps[0]
    assert f"{older.num_segments[0]} segments; up to {most} are classified" in str(sweep.undefined[0])
    assert sweep.segments[0] == [older.segments[0][-1]]
    assert sweep.pixels == older.pixels
    check_agreement(copy)


def test_only_the_largest_false_alarms_are_drawn_where_there_is_little_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    square = [[[0, 0], [0, 1], [1, 1], [1, 0]]]
    # areas of segments 1 to 6; 2 and 5 touch an object
    areas = [5, 9, 1, 7, 2, 8]
    shown = [
        ShownSegment(k, square, a, k not in (2, 5), [1] if k in (2, 5) else [])
        for k, a in enumerate(areas, 1)
    ]
    frame = ShownFrame("d", "a", 8, 8, [], {"m": [shown, shown]})
    assert within_budget([frame], 0) == [frame]
    alone = ShownFrame("d", "a", 8, 8, [], {"m": [shown[:1], []]})
    assert within_budget([alone], 0) == [alone]
    # 100 characters for each that touches an object; with outline and reasons 440 or so:
    # 100 + 440 + 440 for one of each kind and the other one without outline
    monkeypatch.setattr(explore_shown, "BUDGET", (10**6, 1100))
    (cut,) = within_budget([frame], 0)
    assert cut.segments["m"][0] == shown
    assert [(s.segment, bool(s.outline)) for s in cut.segments["m"][1]] == [(2, True), (5, False), (6, True)]
    assert within_budget([cut], 0) == [cut]
    monkeypatch.setattr(explore_shown, "BUDGET", (0, 0))
    (none,) = within_budget([frame], 0)
    for step in none.segments["m"]:
        assert [(s.segment, s.outline) for s in step] == [(2, []), (5, [])]


def test_nothing_is_explored_without_a_folder(world: WorldPaths) -> None:
    dataset = open_dataset("fishyscapes_static", world.fishyscapes)
    measured = measure_dataset("s", dataset, {"a": uneven(1000)}, EvaluationConfig(gallery_frames=0))
    assert measured.swept is None


def test_segments_in_a_reduced_picture() -> None:
    # Labels of 2048 columns, a picture of 1024: every second row and column is seen.
    labels = np.zeros((64, 2048), np.int32)
    labels[10:30, 100:200], labels[41, 301] = 1, 2
    logits = np.zeros((2, 64, 2048), np.float32)
    logits[0, labels == 0] = 10
    found = extract_segments(logits=logits)
    picture = GalleryFrame("a", 64, 2048, np.zeros((32, 1024, 3), np.uint8), np.zeros((32, 1024), np.uint8))
    large, small = explore_shown.draw_segments(found, [[], [3]], picture)
    assert large.outline == [[[5, 50], [14, 50], [14, 99], [5, 99]]]
    assert small.outline == [[[19, 149], [21, 149], [21, 151], [19, 151]]]
    assert (large.area, small.area, small.is_false_positive, small.ground_truth) == (2000, 1, False, [3])
    (first, second) = explore_shown.draw_objects(labels, picture)
    assert (first.area, first.outline, second.outline) == (2000, large.outline, small.outline)


def test_the_file_is_compact_and_agrees_with_the_segment_table(explored_run: Path) -> None:
    text = (explored_run / FILE).read_text(encoding="utf-8")
    assert "\n" not in text.strip()
    check_frames(explored_run)
