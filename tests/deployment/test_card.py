"""What a model card says of the training, without a network."""

from __future__ import annotations

from typing import Any

import pytest

from segood.deployment.card import card_text, make_card
from segood.deployment.parity import Parity
from segood.evaluation.results import ModelInfo

STREETS = {"name": "folder", "split": "train", "options": {}}
PROXIES = {"dataset": {"name": "coco_proxies", "split": "train"}, "mode": "paste"}


def training_lines(config: dict[str, Any]) -> list[str]:
    card = make_card(
        model=ModelInfo("after", "after training", "unet", ["road", "car"]),
        config=config,
        results=None,
        calibration=None,
        parity=Parity(()),
        manifest={
            "threshold": 0.7,
            "probability_threshold": 0.5,
            "region_words": "the whole frame",
            "frame_size": None,
            "working_size": [64, 128],
            "precision": "float32",
        },
        meta=None,
        weights_licence=None,
        data_licence=None,
    )
    part = card_text(card).split("## Training")[1].split("##")[0]
    return [line for line in part.splitlines() if line]


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        ({"distillation": 1.0}, "labels of the known classes: not taught"),
        ({"distillation": 0.25}, "labels of the known classes: weight 0.75; what the network said"),
        ({"distillation": 0.0}, None),
        (None, None),
    ],
)
def test_the_part_that_labels_had(loss: dict[str, float] | None, told: str | None) -> None:
    lines = training_lines({"street": STREETS, "proxies": PROXIES, "loss": loss})
    assert lines[:2] == ["- street: folder (train)", "- proxies: coco_proxies (train)"]
    assert len(lines) == 2 + (told is not None)
    assert told is None or lines[2].startswith(f"- {told}")


def test_images_without_labels_are_named() -> None:
    lines = training_lines({"street": STREETS, "unlabeled": STREETS | {"name": "kitti"}, "proxies": PROXIES})
    assert "- unlabeled: kitti (train)" in lines


def test_nothing_is_known_of_a_training_elsewhere() -> None:
    assert training_lines({}) == ["- unknown: the network was not trained in this run"]
