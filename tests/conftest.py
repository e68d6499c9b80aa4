"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser
from tests.browsers import chromium, find_chromium

from segood.cli import main
from segood.compiled import set_num_threads
from segood.data.synthetic import WorldPaths, write_world
from segood.demo import DemoResult, run_demo
from segood.models import load_model, save_model

settings.register_profile("segood", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("segood")  # a machine may be busy: what an example takes is no part of a test


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    """What a test chose for kernels, itself or by what it called, ends with it."""
    yield
    set_num_threads(None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with real data, weights and golden files; tests that need it are skipped elsewhere."""
    folder = os.environ.get("SEGOOD_SHARED")
    if not folder:
        pytest.skip("SEGOOD_SHARED is not set: no real data, weights or golden files here")
    return Path(folder)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    return find_chromium()


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A Chromium of this module.

    While it is open its loop runs in this thread, where no other can; and its driver ends only when nobody
    holds its pipe any more, which processes forked by later tests would do.
    """
    yield from chromium(chromium_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    """Tell fixtures whether their test has failed."""
    report = yield
    if report.when == "call":
        item.failed = report.failed  # type: ignore[attr-defined]
    return report


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> WorldPaths:
    """A small synthetic world in the layouts of Cityscapes, COCO, LostAndFound and Fishyscapes."""
    return write_world(
        tmp_path_factory.mktemp("world"),
        seed=1,
        size=(128, 256),
        num_train=6,
        num_val=2,
        num_proxies=8,
        num_lost_and_found=5,
        num_fishyscapes=5,
    )


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two networks with random weights, on disk."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {}
    for seed, key in enumerate(("before", "after")):
        torch.manual_seed(seed)
        model = load_model("unet", width=8)
        with torch.no_grad():  # surer than random weights are, so that scores spread
            model.network.head.weight.mul_(20)
        paths[key] = folder / f"{key}.safetensors"
        save_model(model, paths[key])
    return paths


@pytest.fixture(scope="session")
def full_demo(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """What `make demo` leaves; takes minutes."""
    return run_demo(tmp_path_factory.mktemp("full_demo") / "demo")


@pytest.fixture(scope="session")
def real_run(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's run on real data, trained and evaluated; takes minutes."""
    run = tmp_path_factory.mktemp("real") / "run"
    weights = shared / "weights" / "espnetv2_s_2.0_city_1024x512.pth"
    train = ("train", "--config", "espnetv2_camvid_coco", "--data_root", shared / "data", "--out", run)
    roots = ("--model.checkpoint", weights, "--proxies.dataset.root", "coco_subset")
    assert main([str(a) for a in (*train, *roots)]) == 0
    assert main(["evaluate", str(run)]) == 0
    return run
