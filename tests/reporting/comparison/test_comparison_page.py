"""The page of a comparison: complete in itself, escaped, true to its records; it says what is missing."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.reporting.comparison.example import NO_DROPOUT, NO_OOD, RESULTS, awkward
from tests.reporting.test_page import Page

from segood.errors import DataError, UsageError
from segood.evaluation.comparison.results import ComparisonResults, MethodInfo, Number, Row
from segood.evaluation.gallery import GalleryFrame, save_gallery_frame
from segood.evaluation.results import ModelInfo
from segood.reporting import build_any_report, build_comparison_report, write_any_figures
from segood.reporting.comparison.columns import COLUMNS
from segood.reporting.comparison.inputs import is_comparison, read_comparison
from segood.reporting.comparison.page_gallery import compared_gallery, outline_path
from segood.reporting.comparison.page_table import table_views

HOSTILE = "<img src=x onerror=alert(1)>"
EMPTY = ComparisonResults("c", "", "", 0, "0", None, "", [], [], [])


def write_frame(folder: Path, dataset: str, networks: tuple[str, ...], sample: str = "frame 1") -> None:
    """Store a frame of 20 × 40 pixels: one object of 4 × 4, one segment on it, one false alarm."""
    rng = np.random.default_rng(1)
    target = np.zeros((20, 40), np.uint8)
    target[10:14, 10:14] = 1
    target[:2] = 255
    labels = np.zeros((20, 40), np.int32)
    labels[10:12, 10:14] = 1
    labels[5:7, 30:34] = 2
    image = rng.integers(0, 255, (20, 40, 3), dtype=np.uint8)
    scores = {key: rng.integers(0, 255, (20, 40), dtype=np.uint8) for key in networks}
    frame = GalleryFrame(sample, 200, 400, image, target, scores, dict.fromkeys(networks, labels))
    save_gallery_frame(folder / "gallery" / dataset / "0001.npz", frame)


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Page]:
    """Write results as a comparison with a frame of its first data set; return its page."""

    def build(results: ComparisonResults = RESULTS, *, gallery: bool = True) -> Page:
        results.save(tmp_path / "results.json")
        if gallery:
            write_frame(tmp_path, "d", ("before", "after"))
        return Page(build_comparison_report(tmp_path))

    return build


def embedded(page: Page, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page.source, re.S)
    assert found is not None
    return json.loads(found[1])


def cells(page: Page, table: int) -> dict[tuple[str, str], dict[str, str | None]]:
    """Return the attributes of a table's cells by method and column."""
    found: dict[tuple[str, str], dict[str, str | None]] = {}
    method, inside = "", False
    for tag, attrs in page.tags:
        if tag == "table":
            inside = attrs.get("id") == f"table-{table}"
        elif tag == "tr" and inside:
            method = attrs.get("data-method") or ""
        elif tag == "td" and inside and attrs.get("data-column"):
            found[method, str(attrs["data-column"])] = attrs
    return found


def test_cells_carry_the_records_unrounded(build: Callable[..., Page]) -> None:
    page = build()
    for at, dataset in enumerate(RESULTS.datasets):
        found = cells(page, at)
        rows = {row.method: row for row in RESULTS.rows if row.dataset == dataset.info.key}
        assert {method for method, _ in found} == {method.key for method in RESULTS.methods}
        for (method, key), attrs in found.items():
            column = next(one for one in COLUMNS if one.key == key)
            number = column.number(rows[method]) if method in rows else Number(None)
            for name, value in (("value", number.value), ("low", number.low), ("high", number.high)):
                given = attrs.get(f"data-{name}")
                assert (None if given is None else float(given)) == value, (method, key, name)
            assert ("data-reason" in attrs) == (number.value is None)


def test_best_cells_by_hand(build: Callable[..., Page]) -> None:
    marked = {place for place, attrs in cells(build(), 0).items() if "top" in str(attrs["class"]).split()}
    assert marked == {
        ("after/entropy", "auroc"), ("after/max_logit", "average_precision"), ("after/entropy", "fpr95"),
        ("after/entropy", "false_positives"), ("after/max_logit", "false_negatives"),
        ("after/entropy", "errors"), ("after/entropy", "reduction"), ("after/entropy", "errors_meta"),
        ("after/entropy", "reduction_meta"), ("before/max_logit", "milliseconds"),
        ("after/max_logit", "milliseconds"),
    }  # fmt: skip


def test_every_empty_cell_has_its_reason_on_focus_and_in_text(build: Callable[..., Page]) -> None:
    page = build()
    first, second = cells(page, 0), cells(page, 1)
    assert first["before/mc_dropout", "auroc"]["data-reason"] == NO_DROPOUT
    assert second["before/mc_dropout", "false_positives"]["data-reason"] == NO_DROPOUT
    listed = [unescape(text) for text in re.findall(r'<li id="why-\d+-\d+">(.*?)</li>', page.source)]
    reasons = {str(a["data-reason"]) for a in (*first.values(), *second.values()) if "data-reason" in a}
    assert reasons <= set(listed)
    focused = re.findall(r'class="why" tabindex="0" role="note" aria-label="undefined: ([^"]*)"', page.source)
    assert {unescape(text) for text in focused} == reasons


def test_reasons_of_single_columns() -> None:
    full = RESULTS.rows[0]
    rows = [
        dataclasses.replace(full, siou=Number(None), ppv=Number(None), milliseconds=None, meta=None,
                            reduction=None, reduction_meta=None),
        dataclasses.replace(RESULTS.rows[1], errors=Number(0.0)),
        dataclasses.replace(RESULTS.rows[2], errors=Number(None), segments_undefined="no threshold"),
    ]  # fmt: skip
    view = table_views(dataclasses.replace(RESULTS, rows=rows))[0]
    said = {
        (row.method, cell.column.key): view.reasons[cell.reason - 1]
        for row in view.rows
        for cell in row.cells
        if cell.reason
    }
    assert said["before/entropy", "siou"] == "no object has 10 or more pixels: nothing to average"
    assert said["before/entropy", "ppv"] == "no predicted segment has 50 or more pixels: nothing to average"
    assert said["before/entropy", "milliseconds"] == "not timed"
    assert said["before/entropy", "errors_meta"] == "meta classification was not asked for (`meta: null`)"
    assert said["before/entropy", "reduction"].startswith("the best baseline makes no error")
    assert said["after/entropy", "errors"] == "no threshold"
    assert said["after/max_logit", "auroc"] == "not measured"


def test_embedded_data_hold_pairs_and_values(build: Callable[..., Page]) -> None:
    data = embedded(build(), "comparison")
    assert [(p["dataset"], p["metric"], p["a"], p["b"]) for p in data["pairs"]] == [
        (p.dataset, p.metric, p.a, p.b) for p in RESULTS.pairs
    ]
    assert [(p["value"], p["low"], p["high"], p["share"]) for p in data["pairs"]] == [
        (p.difference.value, p.difference.low, p.difference.high, p.share_better) for p in RESULTS.pairs
    ]
    values = {(v["dataset"], v["method"]): v for v in data["values"]}
    assert values["d", "after/entropy"] == {
        "dataset": "d", "method": "after/entropy", "auroc": 0.9, "average_precision": 0.6, "fpr95": 0.4,
        "errors": 7, "errors_meta": 4,
    }  # fmt: skip


def test_charts_hold_the_records(build: Callable[..., Page]) -> None:
    charts = embedded(build(), "charts")
    assert {"roc-0", "pr-0", "forest-0", "scatter-0", "errors-0", "violin-0/entropy", "lars-0"} <= set(charts)
    assert {"roc-1", "pr-1", "scatter-1", "errors-1", "lars-1"} & set(charts) == set()
    curves = {t["meta"]: t for t in charts["roc-0"]["data"] if t["mode"] == "lines" and "meta" in t}
    assert {row.method for row in RESULTS.rows if row.roc} == set(curves)
    assert curves["after/entropy"]["x"] == [0.0625, 0.25, 0.5, 1.0]
    marks = [t for t in charts["roc-0"]["data"] if t["mode"] == "markers"]
    assert (marks[0]["x"], marks[0]["y"]) == ([0.25], [0.75])  # 20 of 80, 15 of 20 at 0.5
    dots = {(t["meta"], t["panel"]): t["x"][0] for t in charts["forest-0"]["data"] if t["mode"] == "markers"}
    assert [dots["after/entropy", panel] for panel in range(3)] == [0.6, 0.4, 7]
    order = list(dict.fromkeys(t["meta"] for t in charts["forest-0"]["data"]))
    assert order == ["after/max_logit", "after/entropy", "before/max_logit", "before/entropy"]  # by AP
    sweep = charts["errors-0"]["data"]
    assert [(t["x"], t["y"]) for t in sweep if t.get("meta") == "after/entropy"] == [
        ([0.5, 0.7, 0.9], [20, 10, 15]),
        ([0.5, 0.7, 0.9], [10, 5, None]),
    ]
    assert [(t["x"], t["y"]) for t in charts["scatter-0"]["data"]][:2] == [([5.0], [0.65]), ([10.0], [0.6])]


def test_page_loads_nothing_and_is_well_made(build: Callable[..., Page]) -> None:
    page = build()
    assert page.loaded
    assert all(address.startswith("data:") for address in page.loaded)
    style = page.source.split("</style>")[0]
    assert not re.search(r"url\(|@import", style)
    assert len(page.ids) == len(set(page.ids))
    for tag, attrs in page.tags:
        if tag == "img":
            assert attrs.get("alt")
        if attrs.get("data-chart"):
            assert attrs.get("aria-label")
        if tag in ("input", "select", "button"):
            assert attrs.get("id") or attrs.get("class")
    anchors = {a["href"] for t, a in page.tags if t == "a"}
    assert anchors <= {f"#{name}" for name in page.ids}


def test_controls_have_their_ids(build: Callable[..., Page]) -> None:
    ids = set(build().ids)
    assert {
        "dataset", "method-picker", "method-count", "method-0", "network-0", "methods-all", "methods-none",
        "methods-main", "group-pixel", "group-smiyc", "group-errors", "group-cost", "show-intervals",
        "table-0", "table-1", "sort-0-method", "sort-0-network", "sort-0-auroc", "sort-1-false_positives",
        "tip", "pair-a", "pair-b", "pair-swap", "pair-verdict", "pair-missing", "pair-table", "all-pairs",
        "log-fpr", "violin-score", "gallery-layer", "gallery-left", "gallery-right", "gallery-outlines",
        "frame-0", "stage-0", "divider-0", "blink-0", "command", "verify", "copy-command", "copy-verify",
    } <= ids  # fmt: skip
    sections = {"compared", "best", "pairs", "curves", "forest", "scores", "thresholds", "meta", "cost"}
    assert sections | {"gallery", "reproduce"} <= ids


def test_names_are_escaped_everywhere(tmp_path: Path, build: Callable[..., Page]) -> None:
    hostile = dataclasses.replace(
        awkward(),
        name=HOSTILE,
        command=f"segood compare {HOSTILE}",
        networks=[dataclasses.replace(n, title=f"{n.key} {HOSTILE}") for n in RESULTS.networks],
        methods=[
            dataclasses.replace(m, title=f"{m.score} {HOSTILE}", notes=[HOSTILE], reference=HOSTILE,
                                undefined=HOSTILE if m.undefined else None)
            for m in RESULTS.methods
        ],
        datasets=[
            dataclasses.replace(d, info=dataclasses.replace(d.info, title=HOSTILE, protocol=HOSTILE))
            for d in RESULTS.datasets
        ],
        fitting={HOSTILE: HOSTILE},
        config={"x": HOSTILE},
        environment={"platform": HOSTILE},
    )  # fmt: skip
    write_frame(tmp_path, "d", ("before", "after"), sample=HOSTILE)
    page = build(hostile, gallery=False)
    assert HOSTILE in page.text
    assert not [attrs for tag, attrs in page.tags if tag == "img" and "onerror" in attrs]
    assert HOSTILE not in page.source
    for figure in embedded(page, "charts").values():  # Plotly reads tags in names, hovers and ticks
        assert "<img" not in json.dumps(figure)


def test_closed_set_and_meta_tables(build: Callable[..., Page]) -> None:
    page = build()
    costs = [a["data-value"] for t, a in page.tags if t == "td" and a.get("data-column") == "miou"]
    assert [float(str(value)) for value in costs] == [0.7, 0.69]
    assert "[0.690, 0.710]" in page.text
    assert "−0.010" in page.text
    assert "3/4 · 1/2" in page.text  # removed by size


def test_gallery_pairs_two_networks(tmp_path: Path, build: Callable[..., Page]) -> None:
    page = build()
    pictures = [a for t, a in page.tags if t == "img" and a.get("data-network")]
    layers = [(a["data-network"], a["data-layer"]) for a in pictures]
    assert layers == [(n, layer) for n in ("before", "after") for layer in ("score", "segments")]
    shown = {a["data-network"]: str(a["class"]).split() for a in pictures if str(a["class"]).strip()}
    assert shown == {"before": ["left"], "after": ["right"]}
    assert "0 of 1 objects missed, 1 false alarms" in page.text
    slider = next(a for _, a in page.tags if a.get("role") == "slider")
    assert (slider["aria-valuenow"], slider["tabindex"]) == ("50", "0")
    assert "M10.5 10.5L10.5 13.5L13.5 13.5L13.5 10.5z" in page.source


def test_gallery_of_one_network_has_nothing_to_blink(tmp_path: Path, build: Callable[..., Page]) -> None:
    write_frame(tmp_path, "d", ("after",))
    page = build(gallery=False)
    assert "there is no pair to blink or to split" in page.text
    assert not {"blink-0", "divider-0", "gallery-left"} & set(page.ids)


def test_gallery_keeps_within_its_budget(tmp_path: Path) -> None:
    RESULTS.save(tmp_path / "results.json")
    write_frame(tmp_path, "d", ("before", "after"))
    for number in range(2, 8):
        shutil.copy(tmp_path / "gallery/d/0001.npz", tmp_path / f"gallery/d/{number:04}.npz")
    (tmp_path / "gallery/d/0008.npz").write_text("no frame")
    parts = read_comparison(tmp_path)
    gallery = compared_gallery(parts, max_frames=5)
    assert len(gallery.frames) == 4
    assert gallery.notes[0] == "5 of 8 frames are shown, sampled evenly."
    assert "0008.npz: not a gallery frame" in gallery.notes[1]
    assert compared_gallery(parts, budget=1).frames[0].width <= 384


def test_outlines_have_holes_and_are_scaled() -> None:
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    assert outline_path(ring, 10, 10).count("M") == 2
    assert outline_path(np.zeros((3, 3), bool), 3, 3) == ""


def test_without_drawn_pairs_plain_differences_are_called_so(build: Callable[..., Page]) -> None:
    page = build(dataclasses.replace(RESULTS, pairs=[]))
    assert "No pairs were drawn here. Below are plain differences" in page.text
    assert "all-pairs" not in page.ids
    assert "only pairs with the main method, Entropy, Tuned, were drawn" in build().text


def test_missing_gallery_is_said(build: Callable[..., Page]) -> None:
    page = build(gallery=False)
    assert "gallery/ holds no frame of Obstacles, Streets: no pictures" in page.text
    assert "gallery" not in page.ids


def test_external_results(build: Callable[..., Page]) -> None:
    methods = [MethodInfo(f"external/{name}", name, "external", name) for name in ("mine", "theirs")]
    rows = [
        Row("external/mine", "d", average_precision=Number(0.9, 0.8, 0.95, 5, 100), siou=Number(0.5)),
        Row("external/theirs", "d", undefined="0001.hdf5 is missing"),
    ]
    results = dataclasses.replace(
        EMPTY, methods=methods, rows=rows, datasets=RESULTS.datasets[:1], num_draws=100,
        main="external/mine", networks=[ModelInfo("external", "score maps of others", "not known", [])],
    )  # fmt: skip
    page = build(results, gallery=False)
    assert "only score maps were given" in page.text
    assert "0001.hdf5 is missing" in page.text
    found = cells(page, 0)
    assert {column for _, column in found} == {"average_precision", "siou"}
    assert found["external/mine", "average_precision"]["data-value"] == "0.9"
    assert not {"thresholds", "meta", "cost", "gallery", "verify", "curves"} & set(page.ids)
    assert {"best", "forest"} <= set(page.ids)
    assert not {"pairs", "group-errors", "group-cost"} & set(page.ids)


def test_everything_undefined(build: Callable[..., Page]) -> None:
    rows = [Row(m.key, d, undefined=NO_OOD) for m in RESULTS.methods for d in ("d", "e")]
    results = dataclasses.replace(
        RESULTS, rows=rows, closed_set=[], pairs=[], sweep=[], paths=[], transfers=[]
    )
    page = build(results, gallery=False)
    assert page.text.count("No value is defined on this test set.") == 2
    assert len(re.findall(r"<li id=.why-", page.source)) == 4  # two reasons on two data sets
    assert "pairs" not in page.ids
    assert embedded(page, "charts") == {}
    assert "plotly.js v" not in page.source  # nothing to draw: not embedded


def test_nothing_at_all(build: Callable[..., Page]) -> None:
    page = build(EMPTY, gallery=False)
    assert "0 methods on 0 test sets" in page.text
    assert "no method was measured on any test set" in page.text


def test_either_kind_of_folder_is_reported(tmp_path: Path, run_dir: Path, build: Callable[..., Page]) -> None:
    build()
    assert is_comparison(tmp_path)
    assert not is_comparison(run_dir)
    assert "segood comparison" in build_any_report(tmp_path).read_text()
    assert "segood report" in build_any_report(run_dir).read_text()
    with pytest.raises(UsageError, match="is a comparison; `max_frames` can be given for a run only"):
        build_any_report(tmp_path, max_frames=3)
    assert build_any_report(tmp_path, max_frames=None).name == "report.html"


def test_a_run_with_score_maps_beside_it_stays_a_run(run_dir: Path) -> None:
    RESULTS.save(run_dir / "results.json")
    assert not is_comparison(run_dir)


def test_figures_of_either_kind(tmp_path: Path) -> None:
    EMPTY.save(tmp_path / "results.json")
    assert write_any_figures(tmp_path) == []


def test_interrupted_comparison(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("models: {}\nscores: {}\ndatasets: {}\n")
    assert is_comparison(tmp_path)
    with pytest.raises(DataError, match=r"interrupted before results\.json was written: nothing to show yet"):
        build_any_report(tmp_path)
    (tmp_path / "config.yaml").write_text("seed: [")
    assert not is_comparison(tmp_path)


@pytest.mark.parametrize(
    ("text", "rule"),
    [('{"format": 2}', "not a segood metrics file of format 1"), ("[1]", "not a segood metrics file"),
     ("{", "not a segood metrics file")],
)  # fmt: skip
def test_results_of_another_format(tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(DataError, match=rule) as caught:
        build_any_report(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder; give the folder that `segood compare` wrote"):
        build_comparison_report(tmp_path / "nowhere")
