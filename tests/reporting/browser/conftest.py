"""Pages that may load nothing, an evaluated run and a comparison to look at."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser
from tests.browsers import close_pages
from tests.reporting.browser.opened import OpenedPage

from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths, write_world
from segood.evaluation.comparison.config import (
    ComparisonConfig,
    FrameSource,
    ScoreConfig,
    TestSet,
    ValidationConfig,
)
from segood.evaluation.comparison.run import compare
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.exploration import FILE, Exploration
from segood.evaluation.run import evaluate_run
from segood.models import load_model, save_model
from segood.models.config import ModelConfig
from segood.reporting import build_comparison_report, build_report
from segood.reporting.page_template import plotly_script

LOADS = pytest.StashKey[dict[str, list[float]]]()
"""Seconds to the load event of every page that was opened, by its path."""


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., OpenedPage]]:
    """Open files; what they asked of the network and what they complained of must be nothing at the end."""
    opened: list[OpenedPage] = []

    def open_page(path: Path, **options: Any) -> OpenedPage:
        page = OpenedPage.open(browser, path, **options)
        opened.append(page)
        loads = request.config.stash.setdefault(LOADS, {})
        loads.setdefault(f"{path.parent.name}/{path.name}", []).append(page.seconds_to_load())
        return page

    yield open_page
    close_pages(request, opened)


@pytest.fixture
def load_limit(open_page: Callable[..., OpenedPage], tmp_path: Path) -> float:
    """Seconds to the load event that are quick here: four times those of a page with nothing but Plotly."""
    path = tmp_path / "plotly.html"
    path.write_text(f"<!doctype html><title>Plotly</title><script>{plotly_script()}</script>")
    return 4 * open_page(path).seconds_to_load()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for name, seconds in config.stash.get(LOADS, {}).items():
        middle = statistics.median(seconds)
        terminalreporter.write_line(f"{name} opens in {middle:.2f} s (median of {len(seconds)})")


@pytest.fixture(scope="session")
def pages_world(chromium_path: str, tmp_path_factory: pytest.TempPathFactory) -> WorldPaths:
    """Small frames, but more of them than the gallery shows at once; none where there is no browser."""
    return write_world(
        tmp_path_factory.mktemp("pages_world"),
        seed=1,
        size=(128, 256),
        num_train=3,
        num_val=2,
        num_proxies=4,
        num_lost_and_found=13,
        num_fishyscapes=13,
    )


@pytest.fixture(scope="session")
def sharp_networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelConfig]:
    """Two networks with random weights, scaled until some pixels are sure and others not."""
    folder = tmp_path_factory.mktemp("sharp")
    configs = {}
    for seed, key in enumerate(("before", "after")):
        torch.manual_seed(seed)
        model = load_model("unet", width=8)
        with torch.no_grad():
            model.network.head.weight.mul_(1000)
        save_model(model, folder / f"{key}.safetensors")
        configs[key] = ModelConfig(str(folder / f"{key}.safetensors"))
    return configs


@pytest.fixture(scope="session")
def evaluated_run(
    pages_world: WorldPaths,
    sharp_networks: dict[str, ModelConfig],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A run directory with everything that `segood evaluate` writes, and its report."""
    world = pages_world
    config = EvaluationConfig(
        datasets={
            "laf": DatasetConfig(
                "lost_and_found", str(world.lost_and_found), "test", options={"protocol": "smiyc"},
                title="Obstacles",
            ),
            "static": DatasetConfig("fishyscapes_static", str(world.fishyscapes), title="Overlays"),
        },
        closed_set={"city": DatasetConfig("cityscapes", str(world.cityscapes), "val")},
        threshold=0.5,
        gallery_frames=13,
        explore=[0.3, 0.45, 0.6, 0.7, 0.8, 0.95],
    )  # fmt: skip
    run = tmp_path_factory.mktemp("evaluated") / "run"
    evaluate_run(run, config, models=sharp_networks)
    build_report(run)
    return run


@pytest.fixture(scope="session")
def exploration(evaluated_run: Path) -> Exploration:
    """What the report's sliders move."""
    return Exploration.load(evaluated_run / FILE)


@pytest.fixture
def report(open_page: Callable[..., OpenedPage], evaluated_run: Path) -> OpenedPage:
    """The report of the evaluated run, ready to be used."""
    page = open_page(evaluated_run / "report.html")
    page.wait_for("document.documentElement.dataset.ready === 'yes'")
    return page


@pytest.fixture(scope="session")
def compared(
    pages_world: WorldPaths,
    sharp_networks: dict[str, ModelConfig],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The folder of a small comparison, two networks × three scores (one impossible), and its report."""
    world = pages_world
    street = FrameSource("cityscapes", str(world.cityscapes), "val")
    config = ComparisonConfig(
        models=sharp_networks,
        scores={
            "entropy": ScoreConfig(threshold=0.5),
            "msp": ScoreConfig(threshold=0.5),
            "mc_dropout": ScoreConfig(),
        },
        datasets={
            "laf": TestSet(
                "lost_and_found", str(world.lost_and_found), "test", options={"protocol": "smiyc"},
                title="Obstacles", num_frames=6,
            ),
            "static": TestSet("fishyscapes_static", str(world.fishyscapes), title="Overlays", num_frames=6),
        },
        baseline="before",
        validation=ValidationConfig(
            street=street,
            proxies=FrameSource("coco_proxies", str(world.coco), "train", num_frames=2),
            num_thresholds=9,
        ),
        closed_set={"city": street},
        sweep=[0.3, 0.6],
        gallery_frames=2,
        num_draws=100,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("compared") / "out"
    compare(config, folder)
    build_comparison_report(folder)
    return folder
