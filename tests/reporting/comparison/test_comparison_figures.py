"""Figures of a comparison: which there are, what they show, the same bytes for the same numbers."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.reporting.comparison.example import COEFFICIENTS, COUNTS, FEATURES, PR, RESULTS, ROC, awkward

from segood.errors import DataError
from segood.evaluation.comparison.results import ComparisonResults, MethodInfo
from segood.evaluation.gallery import GalleryFrame, save_gallery_frame
from segood.reporting import write_comparison_figures
from segood.reporting.comparison.meta_figures import _apart
from segood.reporting.comparison.style import COLORS, MARKERS, method_styles

PROXIES = [{"category": "dog", "pixel_share": 0.75}, {"category": "a_$1$", "pixel_share": 0.25}]
EXPECTED = {
    "violins_d", "violins_e", "roc_d", "pr_d", "forest_d", "errors_d", "overlay_d_1", "lars_d_after__entropy",
    "proxies",
}  # fmt: skip


def frame(sample_id: str) -> GalleryFrame:
    """Return 20 × 40 pixels with an object that `after` finds and a false alarm of `before`."""
    target = np.zeros((20, 40), np.uint8)
    target[12:16, 20:28] = 1
    target[19] = 255
    labels = {"before": np.zeros((20, 40), np.int32), "after": np.zeros((20, 40), np.int32)}
    labels["before"][2:4, 2:5] = 1
    labels["after"][12:16, 22:28] = 1
    scores = {
        "before": np.full((20, 40), 51, np.uint8),
        "after": np.where(target == 1, 255, 0).astype(np.uint8),
    }
    return GalleryFrame(sample_id, 20, 40, np.full((20, 40, 3), 90, np.uint8), target, scores, labels)


def write_folder(folder: Path, results: ComparisonResults, frames: Iterable[str] = ()) -> Path:
    results.save(folder / "results.json")
    for number, sample_id in enumerate(frames):
        save_gallery_frame(folder / "gallery" / "d" / f"{number:04d}.npz", frame(sample_id))
    return folder


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The figures of awkwardly named results, with a gallery and proxies."""
    folder = write_folder(tmp_path_factory.mktemp("comparison"), awkward(), ["<a> $b$ | _c"])
    (folder / "proxies.json").write_text(json.dumps(PROXIES))
    paths = write_comparison_figures(folder)
    assert len(paths) == len(set(paths)) == 4 * len(EXPECTED)
    assert sorted(paths) == sorted((folder / "figures").iterdir())
    return folder / "figures"


def numbers(figures: Path, stem: str) -> pd.DataFrame:
    return pd.read_csv(figures / f"{stem}.csv")


def test_every_figure_in_every_format(figures: Path) -> None:
    assert {path.stem for path in figures.iterdir()} == EXPECTED
    for stem in EXPECTED:
        assert ElementTree.parse(figures / f"{stem}.svg").getroot().tag.endswith("svg")
        assert (figures / f"{stem}.pdf").read_bytes().startswith(b"%PDF-")
        with Image.open(figures / f"{stem}.png") as picture:
            assert min(picture.size) > 300
            assert len(picture.convert("L").getcolors() or []) > 5  # not a blank page


def test_curves_show_the_records(figures: Path) -> None:
    methods = ["after/entropy", "after/max_logit", "before/max_logit", "before/entropy"]
    roc = numbers(figures, "roc_d")
    assert list(dict.fromkeys(roc["method"])) == methods  # by AUROC
    one = roc[roc.method == "before/entropy"]
    assert one[["fpr", "tpr", "threshold"]].to_numpy().T.tolist() == [ROC.x, ROC.y, ROC.thresholds]
    pr = numbers(figures, "pr_d")
    assert list(dict.fromkeys(pr["method"])) == [methods[1], methods[0], *methods[2:]]  # by AP
    one = pr[pr.method == "after/entropy"]
    assert one[["recall", "precision", "threshold"]].to_numpy().T.tolist() == [PR.x, PR.y, PR.thresholds]


def test_violins_and_intervals_show_the_records(figures: Path) -> None:
    violins = numbers(figures, "violins_d")
    for network in ("before", "after"):
        one = violins[violins.network == network]
        assert one["low"].tolist() == COUNTS.edges[:-1]
        assert one["in_distribution"].tolist() == COUNTS.in_distribution
        assert one["ood"].tolist() == COUNTS.ood
        assert set(one["threshold"]) == {0.5}
    forest = numbers(figures, "forest_d").set_index(["method", "metric"])
    assert len(forest) == 8
    for row in RESULTS.rows[:4]:
        for metric in ("average_precision", "fpr95"):
            number = getattr(row, metric)
            found = forest.loc[(row.method, metric), ["value", "low", "high"]].tolist()
            assert found == pytest.approx([number.value, number.low, number.high], abs=1e-12)


def test_errors_and_paths_show_the_records(figures: Path) -> None:
    errors = numbers(figures, "errors_d")
    found = errors[["method", "threshold", "errors", "false_positives", "false_negatives"]]
    assert found.to_numpy().tolist() == [
        [p.method, p.threshold, p.errors, p.false_positives, p.false_negatives] for p in RESULTS.sweep
    ]
    assert errors["errors_meta"].tolist()[:2] == [15.0, 10.0]
    assert np.isnan(errors["errors_meta"][2])
    path = numbers(figures, "lars_d_after__entropy")
    assert list(dict.fromkeys(path["feature"])) == FEATURES
    assert path["coefficient"].to_numpy().reshape(3, 4).tolist() == COEFFICIENTS
    assert numbers(figures, "proxies").to_numpy().tolist() == [["dog", 0.75], ["a_$1$", 0.25]]


def test_overlay_counts_the_segments_in_the_picture(figures: Path) -> None:
    rows = numbers(figures, "overlay_d_1").to_numpy().tolist()
    assert [row[:4] for row in rows] == [["before", 1, 6, 0], ["after", 1, 24, 24]]
    assert [row[4] for row in rows] == pytest.approx([0.2, 1.0])


def test_the_same_numbers_give_the_same_bytes(figures: Path, tmp_path: Path) -> None:
    few = dataclasses.replace(awkward(), paths=[], sweep=[], datasets=awkward().datasets[:1])
    (tmp_path / "again").mkdir()
    again = write_comparison_figures(write_folder(tmp_path / "again", few))
    assert {path.stem for path in again} == {"violins_d", "roc_d", "pr_d", "forest_d"}
    for path in again:
        assert path.read_bytes() == (figures / path.name).read_bytes(), path.name


def test_what_is_undefined_has_no_figure(tmp_path: Path) -> None:
    rows = [dataclasses.replace(row, distribution=None) for row in RESULTS.rows if row.dataset == "e"]
    nothing = dataclasses.replace(
        RESULTS, rows=rows, sweep=[], paths=[p for p in RESULTS.paths if not p.order]
    )
    assert write_comparison_figures(write_folder(tmp_path, nothing)) == []
    assert not (tmp_path / "figures").exists()


def test_one_network_without_intervals_thresholds_and_baseline(tmp_path: Path) -> None:
    row = dataclasses.replace(
        RESULTS.rows[2], average_precision=dataclasses.replace(RESULTS.rows[2].fpr95, low=None, high=None),
        threshold=None, meta=None,
    )  # fmt: skip
    alone = dataclasses.replace(
        RESULTS, baseline=None, rows=[row], networks=RESULTS.networks[1:], methods=RESULTS.methods[3:4],
        datasets=RESULTS.datasets[:1], paths=[], sweep=RESULTS.sweep[3:],
    )  # fmt: skip
    names = {path.stem for path in write_comparison_figures(write_folder(tmp_path, alone))}
    assert names == {"violins_d", "roc_d", "pr_d", "forest_d", "errors_d"}


def test_broken_inputs_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"results.json: cannot read results .*run `segood compare` first"):
        write_comparison_figures(tmp_path)
    empty = dataclasses.replace(RESULTS, rows=[], sweep=[], paths=[])
    write_folder(tmp_path, empty)
    (tmp_path / "proxies.json").write_text('[{"category": "dog"}]')
    with pytest.raises(DataError, match=r"proxies.json: not a list of .*remove it or prepare it again"):
        write_comparison_figures(tmp_path)
    (tmp_path / "gallery" / "d").mkdir(parents=True)
    (tmp_path / "gallery" / "d" / "0000.npz").write_bytes(b"no frame")
    with pytest.raises(DataError, match=r"0000.npz: not a gallery frame"):
        write_comparison_figures(tmp_path)


def test_figures_need_neither_pyplot_nor_torch(tmp_path: Path) -> None:
    few = dataclasses.replace(RESULTS, paths=[], datasets=RESULTS.datasets[:1], rows=RESULTS.rows[:1])
    write_folder(tmp_path, few)
    (tmp_path / "proxies.json").write_text(json.dumps(PROXIES))
    code = (
        "import sys, segood.reporting as r; r.write_comparison_figures(sys.argv[1]);"
        "assert 'matplotlib.pyplot' not in sys.modules; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env={**os.environ, "DISPLAY": ""})


def test_nine_scores_on_two_networks_look_different() -> None:
    methods = [
        MethodInfo(f"{net}/s{at}", f"s{at}", net, "entropy") for net in ("before", "after") for at in range(9)
    ]
    styles = method_styles(dataclasses.replace(RESULTS, methods=methods))
    assert len(set(COLORS)) == len(COLORS) == 9
    assert len(set(MARKERS)) == len(MARKERS) >= len(COLORS)
    assert len({(s.color, s.marker, str(s.dashes)) for s in styles.values()}) == 18
    assert {styles[f"before/s{at}"].dashes for at in range(9)} == {"--"}
    assert {styles[f"after/s{at}"].dashes for at in range(9)} == {"-"}
    assert all(styles[f"before/s{at}"].color == styles[f"after/s{at}"].color for at in range(9))


def test_labels_at_line_ends_do_not_touch() -> None:
    places = _apart([1.0, 0.0, 0.001, -0.001])
    assert places[0] == pytest.approx(1.0)
    assert places[3] < places[1] < places[2]
    assert min(places[1] - places[3], places[2] - places[1]) > 0.05
