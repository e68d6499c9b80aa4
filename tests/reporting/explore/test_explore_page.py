"""What a reader can move: the page's records are those of the run, its numbers those of the metrics."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import html
import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reporting.explore.example import fabricate_exploration
from tests.reporting.test_page import Page, change_results

from segood.evaluation.exploration import FILE, Exploration
from segood.evaluation.gallery import load_gallery_frame, save_gallery_frame
from segood.evaluation.results import RunResults
from segood.reporting import build_report
from segood.reporting.explore.embed import embed
from segood.reporting.explore.full_size import FOLDER
from segood.reporting.explore.inputs import read_sliders
from segood.reporting.explore.numbers import NAMES, numbers_at, position
from segood.reporting.explore.overlay import draw_frame, unshown_segments
from segood.reporting.explore.page import explore

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def explored(run_dir: Path) -> Path:
    """A fabricated run with an exploration that agrees with its metrics."""
    fabricate_exploration(run_dir)
    return run_dir


def embedded(source: str, name: str = "exploration") -> Any:
    found = re.search(rf'<script type="([^"]+)" id="{name}">(.*?)</script>', source, re.S)
    assert found is not None
    if found[1] == "application/json":
        return json.loads(found[2])
    assert found[1] == "application/gzip;base64"
    return json.loads(gzip.decompress(base64.b64decode(found[2])))


def shown_numbers(source: str) -> dict[tuple[str, str, str], str]:
    """Return the raw values of the table of numbers by (name, data set, model)."""
    cells = re.findall(
        r'data-number="([^"]+)" data-dataset="([^"]+)" data-model="([^"]+)" data-value="([^"]*)"', source
    )
    return {(name, dataset, model): value for name, dataset, model, value in cells}


def test_embedded_record_is_that_of_the_run(explored: Path) -> None:
    source = build_report(explored).read_text("utf-8")
    assert embedded(source) == json.loads((explored / FILE).read_text("utf-8"))
    context = embedded(source, "exploration-context")
    assert (context["threshold"], context["probability"], context["model"]) == (2, 1, "after")
    assert context["words"]["after"]["neighbor_share_3"] == "share of pole among the neighbouring pixels"


def test_large_record_is_packed_and_the_same(explored: Path) -> None:
    exploration = Exploration.load(explored / FILE)
    dataclasses.replace(exploration, frames=exploration.frames[:1] * 400).save(explored / FILE)
    source = build_report(explored).read_text("utf-8")
    assert 'type="application/gzip;base64" id="exploration"' in source
    assert embedded(source) == json.loads((explored / FILE).read_text("utf-8"))


def test_numbers_at_the_runs_values_are_those_of_the_metrics(explored: Path) -> None:
    shown = shown_numbers(build_report(explored).read_text("utf-8"))
    results = RunResults.load(explored / "metrics.json")
    assert {name for name, _, _ in shown} == set(NAMES)
    for item in results.segment:
        assert item.meta is not None
        assert item.meta.after is not None
        for name in ("false_positives", "false_negatives", "errors"):
            assert shown[name, item.dataset, item.model] == str(getattr(item.meta.after, name))
        for name in ("removed_rightly", "removed_wrongly"):
            assert shown[name, item.dataset, item.model] == str(getattr(item.meta, f"num_{name}"))
    for pixel in results.pixel:
        tp, fp = (int(shown[name, pixel.dataset, pixel.model]) for name in ("tp", "fp"))
        flagged = (pixel.num_ood and tp) + fp
        shares = {
            "precision": tp / flagged,
            "recall": tp / pixel.num_ood,
            "flagged_share": flagged / (pixel.num_in + pixel.num_ood),
        }
        for name, share in shares.items():
            assert float(shown[name, pixel.dataset, pixel.model]) == pytest.approx(share, rel=1e-12)


def test_numbers_are_looked_up_and_keep_all_is_without_meta_classifier(explored: Path) -> None:
    exploration, results = Exploration.load(explored / FILE), RunResults.load(explored / "metrics.json")
    at = position(exploration.thresholds, exploration.threshold)
    for sweep in exploration.sweeps:
        item = next(s for s in results.segment if (s.model, s.dataset) == (sweep.model, sweep.dataset))
        last = numbers_at(sweep, at, len(exploration.probabilities) - 1)
        assert last["errors"] == item.before_meta.errors
        assert (last["removed_rightly"], last["removed_wrongly"]) == (0, 0)


def test_numbers_without_a_defined_meta_classifier_are_those_of_all_segments(explored: Path) -> None:
    sweep = Exploration.load(explored / FILE).sweeps[0]
    alone = dataclasses.replace(sweep, segments=[[entries[-1]] for entries in sweep.segments])
    assert numbers_at(alone, 1, 0) == numbers_at(sweep, 1, 3)


def test_nothing_flagged_has_no_precision() -> None:
    # num_ood = 0: recall divides by zero, too
    from segood.evaluation.exploration import ModelSweep, PixelCounts, SegmentCounts

    sweep = ModelSweep("m", "d", 5, 0, 0, [0], [PixelCounts(0, 0)], [[SegmentCounts(0, 0, 0, 0)]], [None])
    values = numbers_at(sweep, 0, 0)
    assert (values["precision"], values["recall"], values["flagged_share"]) == (None, None, 0.0)


def test_errors_of_the_frames_sum_to_those_of_the_data_set(explored: Path) -> None:
    source = build_report(explored).read_text("utf-8")
    shown = shown_numbers(source)
    for dataset in ("lost_and_found", "fishyscapes_static"):
        frames = re.findall(rf'<article [^>]*data-dataset="{dataset}"[^>]*data-errors="(\d+)"', source)
        assert sum(map(int, frames)) == int(shown["errors", dataset, "after"])


def test_overlay_is_drawn_from_the_outlines(explored: Path) -> None:
    exploration = Exploration.load(explored / FILE)
    page = Page(build_report(explored))
    drawn = [values for tag, values in page.tags if tag == "g" and values.get("class") == "segment"]
    segments = [s for frame in exploration.frames for s in frame.segments["after"][2]]
    assert len(drawn) == len(segments)
    removed = sum("removed" in str(values["data-state"]) for values in drawn)
    assert removed == sum((s.probability or 0) >= 0.5 for s in segments)
    first = next(s for s in segments)
    row, col = first.outline[0][0]
    assert f'd="M{col + 0.5:g} {row + 0.5:g}L' in page.source


def test_unshown_segments_count_as_false_alarms(explored: Path) -> None:
    exploration = Exploration.load(explored / FILE)
    frame = dataclasses.replace(exploration.frames[0], unshown={"after": [[0, 1, 2, 5]] * 4})
    before = draw_frame(exploration, exploration.frames[0], "after", truth=True).facts
    facts = draw_frame(exploration, frame, "after", truth=True).facts
    assert unshown_segments(frame, "after", 2, 1) == (5, 1)
    assert unshown_segments(frame, "before", 2, 1) == (0, 0)
    assert facts.kept_wrongly == before.kept_wrongly + 1
    assert facts.removed_rightly == before.removed_rightly + 4
    dataclasses.replace(exploration, frames=[frame, *exploration.frames[1:]]).save(explored / FILE)
    assert "the 5 smallest are not drawn" in Page(build_report(explored)).text


def test_every_control_is_there_once_and_named(explored: Path) -> None:
    page = Page(build_report(explored))
    labels = {values.get("for") for tag, values in page.tags if tag == "label"}
    for name in ("threshold", "probability", "model", "dataset"):
        assert page.ids.count(name) == 1
        assert name in labels
    for name in ("reset", "sort", "filter", "previous", "next", "details", "details-close", "view-violin",
                 "view-histogram", "state", "gallery-state"):  # fmt: skip
        assert page.ids.count(name) == 1
    assert "no-sliders" not in page.ids
    slider = next(values for _, values in page.tags if values.get("id") == "probability")
    assert (slider["min"], slider["max"]) == ("0", "3")


def test_charts_carry_what_the_sliders_move(explored: Path) -> None:
    charts, exploration = Page(build_report(explored)).charts(), Exploration.load(explored / FILE)
    sweep = next(s for s in exploration.sweeps if (s.model, s.dataset) == ("after", "lost_and_found"))
    marker = next(t for t in charts["roc-0"]["data"] if t.get("meta") == {"operating": "after"})
    assert marker["x"] == [sweep.pixels[2].fp / sweep.num_in]
    line = next(t for t in charts["sweep-0"]["data"] if t["meta"].get("sweep") == "after")
    assert line["x"] == exploration.thresholds
    assert line["y"] == [numbers_at(sweep, k, 1)["errors"] for k in range(4)]
    assert {"histogram-0", "violin-0", "iou-0", "lars-0"} <= set(charts)


def test_histogram_shares_and_iou_bars_are_the_stored_numbers(explored: Path) -> None:
    charts, results = Page(build_report(explored)).charts(), RunResults.load(explored / "metrics.json")
    counts = results.pixel[0].distribution.in_distribution
    line = charts["histogram-0"]["data"][0]
    assert line["y"][:-1] == [c / sum(counts) or None for c in counts]
    bars = charts["iou-0"]["data"]
    assert [b["x"] for b in bars] == [list(item.iou.values()) for item in results.closed_set]


def test_lars_path_names_features_in_words(explored: Path) -> None:
    page = Page(build_report(explored))
    assert "Which features come first" in page.text
    assert len(page.charts()["lars-0"]["data"]) == page.source.split('id="lars-0"')[1].split("</ol>")[
        0
    ].count("<li>")


def test_run_without_exploration_says_so_and_still_shows_pictures(run_dir: Path) -> None:
    page = Page(build_report(run_dir))
    assert "No sliders." in page.text
    assert "This run has no exploration.json" in page.text
    assert "threshold" not in page.ids
    assert 'id="exploration"' not in page.source
    assert {"sort", "filter"} <= set(page.ids)
    kinds = re.findall(r'<figure class="panel (\w+)">', page.source)
    assert kinds[:5] == ["image", "score", "score", "segments", "truth"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("{broken", "cannot be read"), ("{}", "cannot be read"), ('{"format": 99}', "cannot be read")],
)
def test_damaged_exploration_is_stated(explored: Path, text: str, words: str) -> None:
    (explored / FILE).write_text(text)
    page = Page(build_report(explored))
    assert f"{FILE} {words}" in page.text
    assert "Parts of this run are missing" in page.text
    assert "threshold" not in page.ids


def test_exploration_of_other_metrics_is_left_out(explored: Path) -> None:
    results = RunResults.load(explored / "metrics.json")
    first = results.segment[0]
    worse = dataclasses.replace(first.before_meta, false_positives=first.before_meta.false_positives + 1)
    change_results(explored, segment=[dataclasses.replace(first, before_meta=worse), *results.segment[1:]])
    page = Page(build_report(explored))
    assert "its errors differ from metrics.json for before on lost_and_found" in page.text
    assert "threshold" not in page.ids


def test_incomplete_exploration_is_left_out(explored: Path) -> None:
    exploration = Exploration.load(explored / FILE)
    cut = dataclasses.replace(exploration.sweeps[0], pixels=exploration.sweeps[0].pixels[:-1])
    dataclasses.replace(exploration, sweeps=[cut, *exploration.sweeps[1:]]).save(explored / FILE)
    reason = read_sliders(explored, None).reason
    assert reason is not None
    assert "numbers are missing for before on lost_and_found" in reason


def test_exploration_of_a_run_without_metrics(explored: Path) -> None:
    (explored / "metrics.json").unlink()
    page = Page(build_report(explored))
    assert "metrics.json is missing" in page.text
    assert {"threshold", "numbers"} <= set(page.ids)
    assert shown_numbers(page.source)


def test_exploration_without_pictures(explored: Path) -> None:
    shutil.rmtree(explored / "gallery")
    page = Page(build_report(explored))
    assert "gallery/ holds no frame" in page.text
    assert "threshold" in page.ids
    assert "gallery" not in page.ids
    assert embedded(page.source)["frames"] == []


def test_frame_that_the_exploration_does_not_know_is_drawn(explored: Path) -> None:
    exploration = Exploration.load(explored / FILE)
    dataclasses.replace(exploration, frames=exploration.frames[1:]).save(explored / FILE)
    source = build_report(explored).read_text("utf-8")
    assert source.count("<article") == 6
    assert source.count('<svg class="overlay"') == 5


def test_data_set_without_ground_truth_is_shown_without_right_or_wrong(explored: Path) -> None:
    for path in (explored / "gallery" / "lost_and_found").glob("*.npz"):
        frame = load_gallery_frame(path)
        save_gallery_frame(path, dataclasses.replace(frame, target=np.full_like(frame.target, 255)))
    results, exploration = RunResults.load(explored / "metrics.json"), Exploration.load(explored / FILE)
    kept = {"pixel": [p for p in results.pixel if p.dataset != "lost_and_found"]}
    change_results(
        explored,
        **kept,
        segment=[s for s in results.segment if s.dataset != "lost_and_found"],
        meta_models=[],
    )
    frames = [
        dataclasses.replace(f, objects=[]) if f.dataset == "lost_and_found" else f for f in exploration.frames
    ]
    sweeps = [s for s in exploration.sweeps if s.dataset != "lost_and_found"]
    dataclasses.replace(exploration, frames=frames, sweeps=sweeps).save(explored / FILE)
    page = Page(build_report(explored))
    assert "Nothing was measured on LostAndFound (synthetic): it has no ground truth" in page.text
    first = page.source.split("<article")[1]
    assert 'data-truth="no"' in first
    assert 'data-state="kept"' in first or 'data-state="removed"' in first
    assert 'data-state="false_alarm"' not in first
    assert "no ground truth" in first
    assert 'class="panel truth"' not in first


def test_names_with_html_are_escaped_everywhere(explored: Path) -> None:
    results = RunResults.load(explored / "metrics.json")
    change_results(
        explored,
        models=[
            dataclasses.replace(m, title=EVIL + m.key, class_names=[EVIL] * len(m.class_names))
            for m in results.models
        ],
        datasets=[dataclasses.replace(d, title=EVIL + d.key) for d in results.datasets],
        closed_set=[
            dataclasses.replace(c, iou={f"{EVIL}{k}": v for k, v in c.iou.items()})
            for c in results.closed_set
        ],
    )
    for path in (explored / "gallery").glob("*/*.npz"):
        frame = load_gallery_frame(path)
        save_gallery_frame(path, dataclasses.replace(frame, sample_id=EVIL + frame.sample_id))
    exploration = Exploration.load(explored / FILE)
    frames = [dataclasses.replace(f, sample_id=EVIL + f.sample_id) for f in exploration.frames]
    sweeps = [dataclasses.replace(s, undefined=[EVIL] * 4) for s in exploration.sweeps]
    dataclasses.replace(exploration, frames=frames, sweeps=sweeps).save(explored / FILE)
    (explored / "environment.json").write_text(json.dumps({EVIL: EVIL, "command": f"segood {EVIL}"}))
    page = Page(build_report(explored))
    assert "<img src=x" not in page.source
    assert all("onerror" not in values for _, values in page.tags)
    assert html.escape(EVIL) in page.source
    assert embedded(page.source)["frames"][0]["sample_id"].startswith(EVIL)
    assert embedded(page.source, "exploration-context")["models"]["after"] == f"{EVIL}after"
    for figure in page.charts().values():  # Plotly reads a few tags in labels
        assert EVIL not in json.dumps(figure)
    assert page.source.count('<svg class="overlay"') == 6


def test_embedded_text_cannot_end_its_script() -> None:
    packed = embed({"name": "</script><!--" + EVIL})
    assert not set("<>&") & set(packed.text)
    assert json.loads(packed.text) == {"name": "</script><!--" + EVIL}


def test_many_frames_are_sampled_with_their_records(tmp_path: Path, run_dir: Path) -> None:
    fabricate_exploration(run_dir)
    folder = run_dir / "gallery" / "lost_and_found"
    first = folder / "0000.npz"
    for number in range(3, 10_000):
        (folder / f"{number:04d}.npz").hardlink_to(first)
    start = time.perf_counter()
    page = Page(build_report(run_dir))
    assert time.perf_counter() - start < 60
    assert page.source.count("<article") == 100
    assert "100 of 10,003 frames are shown, sampled evenly." in page.text
    assert {f["sample_id"] for f in embedded(page.source)["frames"]} <= {
        values["data-sample"] for tag, values in page.tags if tag == "article"
    }


def test_records_that_would_not_fit_leave_frames_out(explored: Path) -> None:
    exploration, results = Exploration.load(explored / FILE), RunResults.load(explored / "metrics.json")
    gallery = {path.name: sorted(path.glob("*.npz")) for path in sorted((explored / "gallery").iterdir())}
    everything = explore(exploration, gallery, results, 100)
    assert everything.embedded is not None
    part = explore(exploration, gallery, results, 100, embed_limit=len(everything.embedded.text) * 2 // 3)
    assert part.embedded is not None
    count = sum(map(len, part.paths.values()))
    assert count == len(json.loads(part.embedded.text)["frames"]) < 6
    assert part.picture_budget > everything.picture_budget


def test_full_size_pictures_lie_beside_the_page(explored: Path) -> None:
    page = Page(build_report(explored, full_size=True))
    links = [str(v["href"]) for tag, v in page.tags if tag == "a" and str(v.get("href")).startswith(FOLDER)]
    assert len(links) == 6 * 5  # frame, two scores, two segmentations
    assert all((explored / link).stat().st_size > 0 for link in links)
    assert "frame (192 × 96)" in re.sub(r"</?a[^>]*>", "", page.source)
    assert not (explored / FOLDER / "..").samefile(explored / FOLDER)


def test_without_the_flag_nothing_lies_beside_the_page(explored: Path) -> None:
    build_report(explored)
    assert not (explored / FOLDER).exists()


def test_same_run_same_page(explored: Path) -> None:
    assert build_report(explored).read_bytes() == build_report(explored).read_bytes()


def test_size_of_a_small_report(tmp_path: Path, fabricate: Callable[..., RunResults]) -> None:
    fabricate(tmp_path, size=(128, 256), num_frames=6)
    fabricate_exploration(tmp_path)
    assert build_report(tmp_path).stat().st_size < 25e6


def multiply_frames(run: Path, count: int) -> None:
    """Make `count` frames per data set out of those of a run, each picture and id another."""
    exploration = Exploration.load(run / FILE)
    frames = []
    for folder in sorted((run / "gallery").iterdir()):
        stored = [load_gallery_frame(path) for path in sorted(folder.glob("*.npz"))]
        shown = [frame for frame in exploration.frames if frame.dataset == folder.name]
        for number in range(count):
            source, name = stored[number % len(stored)], f"test/{number:04d}"
            image = np.roll(source.image, 7 * number, axis=1)
            save_gallery_frame(
                folder / f"{number:04d}.npz", dataclasses.replace(source, image=image, sample_id=name)
            )
            frames.append(dataclasses.replace(shown[number % len(shown)], sample_id=name))
    dataclasses.replace(exploration, frames=frames).save(run / FILE)


@pytest.mark.long
def test_size_and_time_of_a_hundred_frames(tmp_path: Path, fabricate: Callable[..., RunResults]) -> None:
    # A gallery frame of a 2048×1024 image is stored with 1024 columns.
    fabricate(tmp_path, size=(512, 1024), num_frames=2)
    fabricate_exploration(tmp_path)
    multiply_frames(tmp_path, 50)
    start = time.perf_counter()
    path = build_report(tmp_path)
    assert time.perf_counter() - start < 60
    assert path.stat().st_size < 25e6
    assert path.read_text("utf-8").count("<article") == 100
