"""Figures for print, derived statistics, and Plotly's own check of the charts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image

from segood.errors import DataError
from segood.evaluation.results import Curve, Distribution, PixelResult, RunResults
from segood.reporting import write_figures
from segood.reporting.blocks import pixel_blocks
from segood.reporting.charts import coefficient_chart, pr_chart, roc_chart, violin_chart
from segood.reporting.statistics import density, feature_words, operating_point, quantile, thin_curve


def test_figures_are_written(run_dir: Path) -> None:
    paths = write_figures(run_dir)
    assert {path.parent for path in paths} == {run_dir / "figures"}
    names = {path.stem for path in paths}
    assert {"roc_lost_and_found", "pr_fishyscapes_static", "violin_lost_and_found"} <= names
    assert "meta_after_lost_and_found" in names
    for path in paths:
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
        elif path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF-")
        elif path.suffix == ".png":
            with Image.open(path) as picture:
                assert min(picture.size) > 300
    assert len(names) * 4 == len(paths)


def test_numbers_behind_the_figures_of_a_run(run_dir: Path) -> None:
    write_figures(run_dir)
    results = RunResults.load(run_dir / "metrics.json")
    item = next(p for p in results.pixel if (p.model, p.dataset) == ("after", "lost_and_found"))
    assert item.roc is not None
    roc = pd.read_csv(run_dir / "figures" / "roc_lost_and_found.csv").query("model == 'after'")
    assert roc["fpr"].to_numpy() == pytest.approx(item.roc.x)
    assert roc["tpr"].to_numpy() == pytest.approx(item.roc.y)
    counts = pd.read_csv(run_dir / "figures" / "violin_lost_and_found.csv").query("network == 'after'")
    assert counts["ood"].tolist() == item.distribution.ood
    bars = pd.read_csv(run_dir / "figures" / "meta_after_lost_and_found.csv")
    assert dict(zip(bars["feature"], bars["coefficient"], strict=True)) == pytest.approx(
        results.meta_models[0].coefficients
    )


def test_figures_leave_matplotlib_alone(run_dir: Path) -> None:
    code = (
        "import sys, segood.reporting as r; r.write_figures(sys.argv[1]);"
        "assert 'matplotlib.pyplot' not in sys.modules; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(run_dir)], check=True, env={**os.environ, "DISPLAY": ""})


def test_report_needs_no_torch(run_dir: Path) -> None:
    code = "import sys, segood.reporting as r; r.build_report(sys.argv[1]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, str(run_dir)], check=True)


def test_figures_need_numbers(run_dir: Path) -> None:
    (run_dir / "metrics.json").unlink()
    with pytest.raises(DataError, match=r"figures need numbers; metrics.json is missing"):
        write_figures(run_dir)


def resolved(value: Any) -> Any:
    """Replace the page's colour words by colours that Plotly knows."""
    if isinstance(value, str):
        return "#123456" if value.startswith("$") else value
    if isinstance(value, list | tuple):
        return [resolved(item) for item in value]
    return {key: resolved(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_charts_pass_the_validation_of_plotly(run_dir: Path) -> None:
    results = RunResults.load(run_dir / "metrics.json")
    charts = [chart(b, 0.7) for b in pixel_blocks(results) for chart in (roc_chart, pr_chart, violin_chart)]
    charts += [coefficient_chart(info, results.models[0].class_names) for info in results.meta_models]
    for chart in charts:
        assert chart is not None
        go.Figure(resolved(chart))


def test_level_lines_are_named_beside_the_axes(run_dir: Path) -> None:
    block = pixel_blocks(RunResults.load(run_dir / "metrics.json"))[0]
    for chart in (roc_chart, pr_chart, violin_chart):
        layout = (chart(block, 0.7) or {})["layout"]
        (label,) = layout["annotations"]
        assert (label["x"], label["xref"], label["xanchor"]) == (1, "paper", "left")
        assert label["xshift"] < layout["margin"]["r"]


def item(edges: list[float], num_in: list[int], num_ood: list[int], roc: Curve | None = None) -> PixelResult:
    counts = Distribution(edges, num_in, num_ood)
    return PixelResult("m", "d", "entropy", sum(num_in), sum(num_ood), 0.5, 0.5, 0.5, {}, roc, None, counts)


def test_operating_point_from_counts() -> None:
    point = operating_point(item([0, 0.25, 0.5, 0.75, 1], [6, 2, 1, 1], [0, 1, 1, 2]), 0.75)
    assert point is not None
    assert (point.fpr, point.tpr, point.precision) == pytest.approx((0.1, 0.5, 2 / 3))
    nothing = operating_point(item([0, 0.5, 1], [4, 0], [4, 0]), 0.5)
    assert nothing is not None
    assert nothing.precision is None


def test_operating_point_from_the_curve_only_if_it_is_dense_there() -> None:
    dense = Curve([0.0, 0.1, 0.4], [0.0, 0.6, 0.9], [0.9, 0.701, 0.699])
    point = operating_point(item([0, 0.5, 1], [5, 5], [5, 5], dense), 0.7)
    assert point is not None
    assert (point.fpr, point.tpr) == (0.1, 0.6)
    sparse = Curve([0.0, 0.1, 0.4], [0.0, 0.6, 0.9], [0.9, 0.8, 0.5])
    assert operating_point(item([0, 0.5, 1], [5, 5], [5, 5], sparse), 0.7) is None
    assert operating_point(item([0, 0.5, 1], [5, 5], [5, 5]), None) is None
    assert operating_point(item([0, 0.5, 1], [5, 5], [0, 0]), 0.5) is None


def test_quantiles_agree_with_numpy() -> None:
    values = np.random.default_rng(0).beta(2, 5, 20_000)
    edges = np.linspace(0, 1, 201)
    counts = np.histogram(values, edges)[0]
    for share in (0.05, 0.25, 0.5, 0.95):
        ours = quantile(edges.tolist(), counts.tolist(), share)
        assert ours == pytest.approx(np.quantile(values, share), abs=0.005)
    assert quantile([0, 0.25, 0.5, 0.75, 1.0], [0, 4, 0, 4], 0.25) == pytest.approx(0.375)


def test_density_keeps_uniform_counts_uniform_and_cuts_empty_ends() -> None:
    edges = np.linspace(0, 1, 101).tolist()
    centers, widths = density(edges, [7] * 100)
    assert len(centers) == 100
    assert widths == pytest.approx(np.ones(100))
    centers, widths = density(edges, [0] * 50 + [9] + [0] * 49)
    assert centers[np.argmax(widths)] == pytest.approx(0.505)
    assert centers[0] > 0.4
    assert centers[-1] < 0.6


def test_thinned_curve_keeps_points_and_ends() -> None:
    x = np.linspace(0, 1, 5000)
    curve = Curve(x.tolist(), (x**0.1).tolist(), (1 - x).tolist())
    thin_x, thin_y, thin_t = thin_curve(curve, 100)
    assert len(thin_x) == len(thin_y) == len(thin_t) <= 102
    assert (thin_x[0], thin_x[-1]) == (0, 1)
    assert np.asarray(thin_y) == pytest.approx(np.asarray(thin_x) ** 0.1, abs=0.02)


def test_unknown_features_keep_their_name() -> None:
    assert feature_words("entropy_mean", []) == "mean entropy over the segment"
    assert feature_words("my_own <feature>", []) == "my_own <feature>"
