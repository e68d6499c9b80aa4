"""The page: complete in itself, escaped, true to metrics.json, and honest about what is missing."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from segood.errors import DataError
from segood.evaluation.results import Distribution, RunResults
from segood.reporting import build_report


class Page(HTMLParser):
    """What a page loads, says and shows."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.ids: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self._skip = False
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        self._skip = tag in ("script", "style")
        if tag != "a":
            self.loaded += [v for k in ("src", "href", "data", "poster", "srcset") if (v := values.get(k))]
        if values.get("id"):
            self.ids.append(str(values["id"]))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._skip = False

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def charts(self) -> dict:
        found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', self.source, re.S)
        assert found is not None
        return json.loads(found[1])

    def metrics(self, name: str) -> list[str]:
        cells = re.findall(rf'data-metric="{name}">([^<]*)<', self.source)
        return [cell.strip() for cell in cells]


def change_results(run: Path, **changes: object) -> None:
    results = RunResults.load(run / "metrics.json")
    dataclasses.replace(results, **changes).save(run / "metrics.json")


def test_page_loads_nothing(run_dir: Path) -> None:
    page = Page(build_report(run_dir))
    assert page.loaded
    assert all(address.startswith("data:") for address in page.loaded)
    assert not re.search(r"url\(\s*['\"]?(https?:)?//", page.source.split("</style>")[0])
    assert "@import" not in page.source.split("</style>")[0]


def test_page_is_well_made_for_everyone(run_dir: Path) -> None:
    page = Page(build_report(run_dir))
    assert len(page.ids) == len(set(page.ids))
    assert all(values.get("alt") is not None for tag, values in page.tags if tag == "img")
    assert all(values.get("aria-label") for tag, values in page.tags if "data-chart" in values)
    assert page.source.count("<table") == page.source.count("<caption>")
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert ("html", {"lang": "en"}) in page.tags
    targets = {str(values["href"])[1:] for tag, values in page.tags if tag == "a" and "href" in values}
    assert targets <= set(page.ids)


def test_sections_follow_the_order_of_questions(run_dir: Path) -> None:
    page = Page(build_report(run_dir))
    sections = [str(values["id"]) for tag, values in page.tags if tag == "section" and "id" in values]
    assert sections == ["run", "outcome", "where", "gallery", "why", "cost", "reproduce"]


def test_all_commands_that_made_the_run_are_given_in_order(run_dir: Path) -> None:
    (run_dir / "environment.json").write_text('{"command": "segood train --config mine.yaml"}')
    page = Page(build_report(run_dir))
    text = page.text.split("How to reproduce this")[1]
    assert text.index("segood train --config mine.yaml") < text.index("segood demo --out runs/demo --seed 0")


def test_numbers_equal_those_of_the_results(run_dir: Path) -> None:
    page, results = Page(build_report(run_dir)), RunResults.load(run_dir / "metrics.json")
    for name in ("auroc", "average_precision", "fpr95"):
        assert page.metrics(name) == [f"{getattr(item, name):.3f}" for item in results.pixel]
    for item in results.pixel:
        assert f"{item.num_in:,}" in page.text
        assert f"{item.num_ood:,}" in page.text
    for segment in results.segment:
        start = segment.before_meta
        assert segment.meta is not None
        assert segment.meta.after is not None
        end = segment.meta.after
        counts = [start.false_positives, start.false_negatives, start.errors]
        counts += [end.false_positives, end.false_negatives, end.errors]
        assert " ".join(map(str, counts)) in page.text
    for closed in results.closed_set:
        assert f"{closed.miou:.3f} {100 * closed.flagged_share:.2f} %" in page.text
    for entry in (*results.models, *results.datasets):
        assert entry.title in page.text
        assert str(getattr(entry, "sha256", None) or getattr(entry, "content_hash", None)) in page.text
    assert results.command in page.text
    assert "ood_weight: 0.9" in page.text


def test_charts_hold_the_stored_curves(run_dir: Path) -> None:
    charts, results = Page(build_report(run_dir)).charts(), RunResults.load(run_dir / "metrics.json")
    first = results.pixel[0]
    assert first.roc is not None
    curve = next(trace for trace in charts["roc-0"]["data"] if trace.get("name", "").startswith("Baseline"))
    assert curve["x"] == pytest.approx(first.roc.x, abs=1e-6)
    assert curve["y"] == pytest.approx(first.roc.y, abs=1e-6)
    marker = next(trace for trace in charts["roc-0"]["data"] if trace["mode"] == "markers")
    above = sum(first.distribution.ood[70:])
    assert marker["y"] == pytest.approx([above / first.num_ood])
    bars = charts["meta-0"]["data"][0]["x"]
    assert bars == sorted(bars, key=lambda value: -abs(value))
    assert bars[0] == next(iter(results.meta_models[0].coefficients.values()))


def test_names_with_html_are_escaped(run_dir: Path) -> None:
    evil = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    results = RunResults.load(run_dir / "metrics.json")
    change_results(
        run_dir,
        name=evil,
        command=f"segood evaluate --out '{evil}'",
        models=[dataclasses.replace(model, title=evil) for model in results.models],
        datasets=[dataclasses.replace(data, title=evil, protocol=evil) for data in results.datasets],
    )
    (run_dir / "config.yaml").write_text(f"name: {evil}\n")
    page = Page(build_report(run_dir))
    assert evil not in page.source
    assert "<img src=x" not in page.source
    assert evil in page.text
    assert all("onerror" not in values for _, values in page.tags)
    # Plotly reads a few tags in labels, so those are escaped once more.
    assert "<" not in page.charts()["roc-0"]["data"][1]["name"]


def test_folder_name_with_html_is_escaped(run_dir: Path) -> None:
    folder = run_dir.rename(run_dir.parent / "<b>run & co")
    (folder / "metrics.json").unlink()
    page = Page(build_report(folder))
    assert "<b>run" not in page.source
    assert "<b>run & co" in page.text


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("metrics.json", "metrics.json is missing: no numbers"),
        ("segments.parquet", "segments.parquet is missing: the gallery cannot say"),
        ("gallery", "gallery/ holds no frame"),
        ("config.yaml", "config.yaml is missing"),
        ("environment.json", "environment.json is missing"),
    ],
)
def test_missing_parts_are_stated(run_dir: Path, part: str, sentence: str) -> None:
    path = run_dir / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = Page(build_report(run_dir))
    assert sentence in page.text
    assert page.text.count("is missing") + page.text.count("holds no") >= 1
    assert "Parts of this run are missing" in page.text


@pytest.mark.parametrize("part", ["metrics.json", "segments.parquet", "environment.json"])
def test_damaged_parts_are_stated(run_dir: Path, part: str) -> None:
    (run_dir / part).write_bytes(b"{broken")
    assert f"{part} cannot be read" in Page(build_report(run_dir)).text


def test_damaged_frame_is_left_out(run_dir: Path) -> None:
    (run_dir / "gallery" / "lost_and_found" / "0001.npz").write_bytes(b"no archive")
    page = Page(build_report(run_dir))
    assert "A frame is left out" in page.text
    assert page.source.count("<article") == 5


def test_complete_run_misses_nothing(run_dir: Path) -> None:
    assert "Parts of this run are missing" not in Page(build_report(run_dir)).text


def test_undefined_metrics_show_a_dash_and_the_reason(run_dir: Path) -> None:
    results = RunResults.load(run_dir / "metrics.json")
    reason = "auroc, average_precision and fpr95 are undefined: no OoD pixel among 9 counted"
    empty = {"num_ood": 0, "auroc": None, "average_precision": None, "fpr95": None, "roc": None, "pr": None}
    pixel = [
        dataclasses.replace(
            item, **empty, undefined=reason, distribution=Distribution([0.0, 0.5, 1.0], [9, 0], [0, 0])
        )
        for item in results.pixel[:2]
    ]
    change_results(run_dir, pixel=[*pixel, *results.pixel[2:]])
    page = Page(build_report(run_dir))
    assert page.metrics("auroc")[:2] == ["–", "–"]
    assert page.metrics("auroc")[2] == f"{results.pixel[2].auroc:.3f}"
    assert page.text.count(reason) == 2
    assert "No curves: they are undefined here" in page.text
    assert "roc-0" not in page.charts()
    assert len(page.charts()["violin-0"]["data"]) == 6  # in-distribution halves only


def test_flagged_share_without_labelled_pixels_is_a_dash(run_dir: Path) -> None:
    results = RunResults.load(run_dir / "metrics.json")
    closed = [dataclasses.replace(item, flagged_share=None) for item in results.closed_set]
    change_results(run_dir, closed_set=closed)
    page = Page(build_report(run_dir))
    assert f"{closed[0].miou:.3f} – {closed[0].num_images}" in page.text


def test_title_says_what_was_compared_and_the_run_stands_beneath(run_dir: Path) -> None:
    page = Page(build_report(run_dir))
    assert "Unknown objects, Baseline and Entropy training" in page.text
    assert re.search(r"<dt>Run</dt><dd>demo</dd>", page.source)


def set_score_range(path: Path, low: float, high: float) -> None:
    with np.load(path) as stored:
        arrays = {**stored, "low": np.asarray(low), "high": np.asarray(high)}
    np.savez_compressed(path, **arrays)


def test_colour_bar_names_the_scores_at_its_ends(run_dir: Path) -> None:
    assert "entropy 0 1 mark: t = 0.7" in Page(build_report(run_dir)).text
    for path in (run_dir / "gallery").glob("*/*.npz"):
        set_score_range(path, -12.0, 3.25)
    page = Page(build_report(run_dir))
    assert "entropy −12 3.25 mark: t = 0.7" in page.text
    assert "left: 83.3%" in page.source  # (0.7 + 12) / (3.25 + 12)


def test_frames_of_different_score_ranges_name_their_own(run_dir: Path) -> None:
    for number, path in enumerate(sorted((run_dir / "gallery").glob("*/*.npz"))):
        set_score_range(path, -12.0 - number, 3.25)
    page = Page(build_report(run_dir))
    assert "entropy low high" in page.text
    assert "mark: t" not in page.text
    assert "entropy −13 to 3.25" in page.text


def test_one_model_has_no_change(run_dir: Path) -> None:
    results = RunResults.load(run_dir / "metrics.json")
    change_results(
        run_dir,
        models=results.models[:1],
        pixel=[item for item in results.pixel if item.model == "before"],
        segment=[item for item in results.segment if item.model == "before"],
        closed_set=results.closed_set[:1],
        meta_models=[],
    )
    page = Page(build_report(run_dir))
    assert "Change" not in page.text
    assert "Baseline reaches" in page.text
    assert "no fitted meta classifier" in page.text


def test_no_results_but_description(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("seed: 1\n")
    page = Page(build_report(tmp_path))
    assert "This run has no results yet." in page.text
    assert "seed: 1" in page.text
    assert page.charts() == {}


def test_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a run directory"):
        build_report(tmp_path)
    with pytest.raises(DataError, match="no such run directory"):
        build_report(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_many_frames_are_sampled_and_said(run_dir: Path) -> None:
    page = Page(build_report(run_dir, max_frames=4))
    assert page.source.count("<article") == 4
    assert "4 of 6 frames are shown" in page.text


def test_a_run_says_of_how_many_frames_it_keeps_pictures(run_dir: Path) -> None:
    datasets = RunResults.load(run_dir / "metrics.json").datasets
    kept = {path.name: len(list(path.glob("*.npz"))) for path in (run_dir / "gallery").iterdir()}
    change_results(
        run_dir, datasets=[dataclasses.replace(d, num_images=kept.get(d.key, d.num_images)) for d in datasets]
    )
    assert "keeps pictures of" not in Page(build_report(run_dir)).text
    change_results(run_dir, datasets=[dataclasses.replace(d, num_images=1234) for d in datasets])
    words = " and ".join(f"{kept[d.key]} of 1,234 frames of {d.title}" for d in datasets if d.key in kept)
    assert f"The run keeps pictures of {words}; numbers count all." in Page(build_report(run_dir)).text


def test_size_and_time(tmp_path: Path, fabricate: Callable[..., RunResults]) -> None:
    fabricate(tmp_path, size=(256, 512), num_frames=4)
    start = time.process_time()
    path = build_report(tmp_path)
    assert time.process_time() - start < 20
    assert path.stat().st_size < 25e6
    assert [p.name for p in tmp_path.iterdir() if ".part" in p.name] == []


def test_same_run_same_page(run_dir: Path) -> None:
    first = build_report(run_dir).read_bytes()
    assert build_report(run_dir).read_bytes() == first
