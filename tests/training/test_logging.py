"""TensorBoard's logs, read back: tags, steps, pixel counts by hand, pictures that decode."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from segood.data import open_dataset
from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.errors import UsageError
from segood.models.config import ModelConfig
from segood.training import TrainConfig, train
from segood.training.config import AugmentationConfig, LossConfig, OptimizerConfig, ProxyConfig
from segood.training.mixture import split_proxies
from segood.training.tensorboard_log import (
    HISTOGRAMS,
    NUM_BINS,
    PICTURE_WIDTH,
    BinnedEntropy,
    choose_examples,
    draw_example,
)
from segood.types import OOD

STEPS = 3  # of an epoch: 6 street images and 3 proxies, 3 in a batch


def config(world: WorldPaths, **changes: object) -> TrainConfig:
    base = TrainConfig(
        street=DatasetConfig("cityscapes", str(world.cityscapes), "train"),
        validation=DatasetConfig("cityscapes", str(world.cityscapes), "val"),
        model=ModelConfig("unet", num_classes=19, options={"width": 4}),
        proxies=ProxyConfig(
            DatasetConfig("coco_proxies", str(world.coco), "train"), 0.5, "images", validation_share=0.4
        ),
        augmentation=AugmentationConfig(crop_size=(64, 96)),
        optimizer=OptimizerConfig(lr=1e-3),
        epochs=2,
        batch_size=3,
        num_workers=0,
        trainer={"accelerator": "cpu"},
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def events(run: Path, name: str = "tensorboard") -> EventAccumulator:
    """Read all events of a log, none left out."""
    log = EventAccumulator(
        str(run / "logs" / name), size_guidance={"images": 0, "histograms": 0, "scalars": 0}
    )
    log.Reload()
    return log


@pytest.fixture(scope="module")
def run(world: WorldPaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("logged") / "run"
    train(config(world), out, progress=False)
    return out


def test_losses_are_logged_per_distribution(run: Path) -> None:
    log = events(run)
    tags = set(log.Tags()["scalars"])
    assert {"loss", "loss_in", "loss_ood", "miou", "entropy_in", "entropy_ood"} <= tags
    assert [event.step for event in log.Scalars("loss_in")] == list(range(2 * STEPS))


def test_histograms_hold_every_counted_pixel_once(run: Path, world: WorldPaths) -> None:
    street = open_dataset("cityscapes", world.cityscapes, "val")
    proxies = open_dataset("coco_proxies", world.coco, "train")
    held_out = split_proxies(len(proxies), 0.4, seed=0)[1]
    expected = {
        "street": sum(int((street[i].target < 19).sum()) for i in range(len(street))),
        "proxies": sum(int((proxies[i].target == OOD).sum()) for i in held_out),
    }
    log = events(run)
    assert set(log.Tags()["histograms"]) == set(HISTOGRAMS.values())
    means = {"street": "entropy_in", "proxies": "entropy_ood"}
    for kind, tag in HISTOGRAMS.items():
        shown = log.Histograms(tag)
        assert [event.step for event in shown] == [event.step for event in log.Scalars("miou")]
        for event, mean in zip(shown, log.Scalars(means[kind]), strict=True):
            value = event.histogram_value
            assert sum(value.bucket) == value.num == expected[kind] > 0
            assert value.bucket_limit[-1] == 1.0
            assert 0 <= value.min <= value.max <= 1
            assert value.sum / value.num == pytest.approx(mean.value, rel=1e-5)
            assert value.sum_squares <= value.sum


def test_the_same_four_frames_are_shown_in_every_epoch(run: Path) -> None:
    log = events(run)
    tags = log.Tags()["images"]
    assert sorted(tag.split("_")[0] for tag in tags) == ["examples/proxies"] * 2 + ["examples/street"] * 2
    for tag in tags:
        shown = log.Images(tag)
        assert [event.step for event in shown] == [STEPS - 1, 2 * STEPS - 1]
        for event in shown:
            picture = Image.open(io.BytesIO(event.encoded_image_string))
            assert picture.size == (event.width, event.height)
            assert np.asarray(picture.convert("RGB")).std() > 1  # something is on it


def test_a_resumed_training_goes_on_where_the_first_part_ended(
    run: Path, world: WorldPaths, tmp_path: Path
) -> None:
    train(config(world, epochs=1), tmp_path / "parts", progress=False)
    train(config(world, epochs=2), tmp_path / "parts", resume=True, progress=False)
    whole, second = events(run), events(tmp_path / "parts", "tensorboard_1")
    assert second.Tags()["images"] == whole.Tags()["images"]
    for tag in HISTOGRAMS.values():
        (event,), last = second.Histograms(tag), whole.Histograms(tag)[-1]
        assert event.step == last.step == 2 * STEPS - 1
        assert list(event.histogram_value.bucket) == list(last.histogram_value.bucket)
    for tag in whole.Tags()["images"]:
        (event,), last = second.Images(tag), whole.Images(tag)[-1]
        assert (event.step, event.encoded_image_string) == (last.step, last.encoded_image_string)


def test_fewer_frames_no_pictures_no_proxies(world: WorldPaths, tmp_path: Path) -> None:
    ordinary = config(
        world,
        proxies=None,
        loss=LossConfig(ood_weight=0.0),
        epochs=1,
        example_frames=5,
        trainer={"accelerator": "cpu", "limit_val_batches": 1},
    )
    train(ordinary, tmp_path / "one", progress=False)
    log = events(tmp_path / "one")
    assert log.Tags()["images"] == ["examples/street_0000"]  # the one frame there is
    assert log.Tags()["histograms"] == [HISTOGRAMS["street"]]
    train(config(world, epochs=1, example_frames=0), tmp_path / "none", progress=False)
    log = events(tmp_path / "none")
    assert log.Tags()["images"] == []
    assert len(log.Tags()["histograms"]) == 2


def test_without_a_tensorboard_logger_nothing_is_drawn(world: WorldPaths, tmp_path: Path) -> None:
    silent = config(world, epochs=1, trainer={"accelerator": "cpu", "logger": False})
    train(silent, tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "logs").exists()


def test_logging_changes_no_weight(run: Path, world: WorldPaths, tmp_path: Path) -> None:
    train(config(world, example_frames=0), tmp_path / "run", progress=False)
    first, second = (pd.read_csv(path / "logs" / "csv" / "metrics.csv") for path in (run, tmp_path / "run"))
    pd.testing.assert_frame_equal(first, second)


def test_negative_number_of_frames(world: WorldPaths, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`example_frames` must not be negative; got -1"):
        train(config(world, example_frames=-1), tmp_path / "run", progress=False)


def test_bins_against_numpy() -> None:
    values = np.random.default_rng(0).beta(0.3, 4, 10_000).astype(np.float32)
    values[:3] = 0.0, 1.0, 0.5
    entropy = BinnedEntropy()
    entropy.update(torch.empty(0))
    for part in np.array_split(values, 7):
        entropy.update(torch.from_numpy(part))
    edges = np.concatenate([[0.0], entropy.as_histogram()["bucket_limits"]])
    expected = np.histogram(values, edges)[0]
    # a value on an edge may round to either side
    assert np.abs(entropy.counts.numpy() - expected).sum() <= 4
    assert entropy.num == len(values) == sum(entropy.as_histogram()["bucket_counts"])
    assert len(entropy.counts) == NUM_BINS
    assert entropy.sum == pytest.approx(values.sum(dtype=np.float64))
    assert entropy.sum_squares == pytest.approx((values.astype(np.float64) ** 2).sum())
    assert (entropy.low, entropy.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("counts", "wanted", "shares"),
    [
        ([9, 9], 4, [2, 2]), ([9, 9], 3, [2, 1]), ([1, 9], 4, [1, 3]),
        ([2, 0], 4, [2, 0]), ([9], 0, [0]), ([], 4, []),
    ],
)  # fmt: skip
def test_examples_are_shared_out_in_turn(counts: list[int], wanted: int, shares: list[int]) -> None:
    chosen = choose_examples(counts, wanted, seed=3)
    assert [len(frames) for frames in chosen] == shares
    assert chosen == choose_examples(counts, wanted, seed=3)
    for frames, count in zip(chosen, counts, strict=True):
        assert frames == sorted(set(frames))
        assert all(0 <= frame < count for frame in frames)


def test_another_seed_shows_other_frames() -> None:
    assert len({str(choose_examples([500, 500], 4, seed=seed)) for seed in range(5)}) == 5


def test_example_by_hand() -> None:
    #  target 0 0 7   border . . #   entropy 0 everywhere but at the corner
    #         0 0 7          . . #
    target = np.array([[0, 0, 7], [0, 0, 7]], np.uint8)
    entropy = np.array([[1.0, 0, 0], [0, 0, 0]], np.float32)
    picture = draw_example(np.full((2, 3, 3), 50, np.uint8), entropy, target)
    assert picture.shape == (2, 6, 3)
    assert picture[:, [2, 5]].tolist() == [[[0, 255, 255]] * 2] * 2
    assert (picture[:, :2] == 50).all()
    assert picture[0, 3].sum() > 500  # the map's bright end
    assert picture[1, 3:5].sum() < 20


def test_wide_frames_are_reduced() -> None:
    picture = draw_example(np.zeros((90, 2048, 3), np.uint8), np.zeros((90, 2048)), np.zeros((90, 2048)))
    assert picture.shape == (22, 2 * PICTURE_WIDTH, 3)
