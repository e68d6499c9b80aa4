"""What every network has to do, whoever wrote it: named ones, other libraries', the user's, ONNX files.

All are real and small, with random weights. A new network joins with one line in `CASES`.
"""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import yaml

from segood.data.config import DatasetConfig
from segood.data.synthetic import WorldPaths
from segood.errors import CheckpointError, UsageError
from segood.evaluation.config import EvaluationConfig
from segood.evaluation.run import evaluate_run
from segood.models import SegmentationModel, load_model, read_header, save_model
from segood.models.config import ModelConfig
from segood.scores import get_score
from segood.segments import extract_segments

CLASSES = 5
SWIN = {
    **{"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 2], "window_size": 4},
    "drop_path_rate": 0.0,  # so that losses can be compared
}
DETR = {
    **{"model_type": "detr", "d_model": 32, "num_queries": 6, "encoder_layers": 1, "decoder_layers": 1},
    **{"decoder_ffn_dim": 16, "encoder_ffn_dim": 16, "dropout": 0.0},
    **{"encoder_attention_heads": 2, "decoder_attention_heads": 2},
}
MASK2FORMER = {
    **{"feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32, "encoder_feedforward_dim": 16},
    **{"dim_feedforward": 16, "encoder_layers": 1, "decoder_layers": 2, "num_attention_heads": 2},
    **{"num_queries": 6, "backbone_config": SWIN},
}
SEGFORMER = {
    **{"hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 4]},
    **{"decoder_hidden_size": 16},
}
UPERNET = {"hidden_size": 16, "backbone_config": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}}
USER_CODE = """
from torch import nn


def build(num_classes: int, width: int = 8) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, num_classes, 1),
    )
"""


@dataclass(frozen=True)
class Case:
    """One network.

    Attributes:
        config: as in a YAML file.
        untrained: parts of names of parameters that get no gradient, each with its reason in `CASES`.
        gives_masks: whether the score RbA is for it.
    """

    config: dict[str, Any]
    untrained: tuple[str, ...] = ()
    gives_masks: bool = False


CASES = {
    # Swin's last norm is for its pooled output, which no segmentation network looks at
    # the activation of a down-sampling block is part of the published weights, but unused
    "espnetv2": Case({"name": "espnetv2", "options": {"scale": 0.5}}, untrained=("eesp.module_act",)),
    "unet": Case({"name": "unet", "options": {"width": 8}}),
    "deeplabv3plus_wrn38": Case({"name": "deeplabv3plus_wrn38", "options": {"width": 4}}),
    "torchvision": Case({"name": "torchvision", "arch": "lraspp_mobilenet_v3_large"}),
    "smp Unet": Case({"name": "smp", "arch": "Unet", "encoder": "resnet18"}),
    "smp FPN, timm": Case({"name": "smp", "arch": "FPN", "encoder": "tu-mobilenetv3_small_050"}),
    "segformer": Case({"name": "transformers", "arch": "segformer", "options": {"arguments": SEGFORMER}}),
    "upernet": Case(
        {
            **{"name": "transformers", "arch": "upernet", "encoder": "convnext_tiny"},
            "options": {"arguments": UPERNET},
        }
    ),
    "maskformer": Case(
        {
            "name": "transformers",
            "arch": "maskformer",
            "options": {
                "arguments": {
                    **{"fpn_feature_size": 32, "mask_feature_size": 32},
                    **{"backbone_config": SWIN, "decoder_config": DETR},
                }
            },
        },
        untrained=("encoder.model.layernorm",),
        gives_masks=True,
    ),
    "mask2former": Case(
        {"name": "transformers", "arch": "mask2former", "options": {"arguments": MASK2FORMER}},
        untrained=("encoder.swin.layernorm",),
        gives_masks=True,
    ),
    "user": Case({"name": "my_model.py:build", "options": {"width": 6}}),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's working directory, with code of theirs."""
    (tmp_path / "my_model.py").write_text(USER_CODE)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    return tmp_path


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest, here: Path) -> Case:
    return CASES[request.param]


@pytest.fixture
def model(case: Case) -> SegmentationModel:
    return ModelConfig(num_classes=CLASSES, **case.config).load()


def image(rows: int = 65, columns: int = 97) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


def test_logits_of_any_size(model: SegmentationModel) -> None:
    assert not model.training
    assert model.num_classes == CLASSES
    for size in ((65, 97), (64, 96), (33, 50)):
        images = torch.rand(2, 3, *size)
        with torch.no_grad():
            logits, again = model(images), model(images)
        assert logits.shape == (2, CLASSES, *size)
        assert logits.dtype == torch.float32
        assert logits.is_contiguous()
        assert bool(torch.isfinite(logits).all())
        assert torch.equal(logits, again)  # evaluation is deterministic
        # what else is in the batch is of no account
        with torch.no_grad():
            alone = model(images[1:])
        torch.testing.assert_close(alone, logits[1:], rtol=0, atol=1e-3 * float(logits.std()))
    assert model.predict_logits(image(), size=(20, 30)).shape == (CLASSES, 20, 30)


def test_a_training_step_reaches_all_weights_and_lowers_the_loss(
    case: Case, model: SegmentationModel
) -> None:
    model.train()
    images = torch.rand(2, 3, 65, 97)
    target = torch.randint(0, CLASSES, (2, 65, 97))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.0)
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    losses = []
    for _ in range(5):
        loss = F.cross_entropy(model(images), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    without = [key for key, value in model.named_parameters() if value.grad is None]
    assert [key for key in without if not any(part in key for part in case.untrained)] == []
    assert all(any(part in key for key in without) for part in case.untrained)  # the list has no dead entries
    moved = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    unmoved = set(before) - moved - set(without)
    # a weight may sit where no gradient arrives (a dead ReLU, a bias before a norm); most must move
    assert len(unmoved) <= 0.1 * len(before), sorted(unmoved)
    # the first step of a DETR decoder leaves the point where all its queries are zero, which costs a little
    assert losses[-1] < max(losses[:2])


def test_saved_and_loaded_logits_are_identical(case: Case, model: SegmentationModel, here: Path) -> None:
    with torch.no_grad():  # not as initialised, running statistics included
        for value in [*model.network.parameters(), *model.network.buffers()]:
            if value.is_floating_point():
                value.mul_(1 + 0.01 * torch.rand_like(value))
    save_model(model, here / "model.safetensors")
    expected = model.predict_logits(image())
    if case.config["name"] == "my_model.py:build":
        with pytest.raises(
            CheckpointError, match=r"a checkpoint never runs.*load_model\('my_model.py:build'"
        ):
            load_model(here / "model.safetensors")
        again = load_model("my_model.py:build", here / "model.safetensors")
    else:
        again = load_model(here / "model.safetensors")
    assert torch.equal(again.predict_logits(image()), expected)
    assert again.random_weights is None
    for name in ("name", "options", "num_classes", "class_names", "preprocessing", "drop_channels"):
        assert getattr(again, name) == getattr(model, name), name


def test_a_configuration_comes_back_from_yaml(case: Case, model: SegmentationModel, here: Path) -> None:
    save_model(model, here / "model.safetensors")
    config = ModelConfig(num_classes=CLASSES, checkpoint="model.safetensors", **case.config)
    stored = yaml.safe_load(yaml.safe_dump(dataclasses.asdict(config)))
    again = ModelConfig(**stored)
    assert again == config
    assert torch.equal(again.load_trained().predict_logits(image()), model.predict_logits(image()))
    header = read_header(here / "model.safetensors")
    assert header is not None
    assert header["name"] == case.config["name"]


def test_scores_and_segments(case: Case, model: SegmentationModel) -> None:
    logits = model.predict_logits(image())
    assert model.gives_masks is case.gives_masks
    for name in ("entropy", "max_logit", *(["rba"] if case.gives_masks else [])):
        score = get_score(name)
        score.check_network(model)
        value = score(logits=logits[None])
        assert value.shape == (1, 65, 97)
        assert bool(torch.isfinite(value).all())
    if not case.gives_masks:
        with pytest.raises(UsageError, match="'rba' is for mask-classification networks"):
            get_score("rba").check_network(model)
    middle = float(get_score("entropy")(logits=logits[None]).median())
    found = extract_segments(logits=logits, threshold=middle)
    assert len(found) >= 1
    assert found.features.shape == (len(found), 37 + 2 * CLASSES)


def test_evaluated_on_a_test_set(case: Case, model: SegmentationModel, here: Path, world: WorldPaths) -> None:
    save_model(model, here / "model.safetensors")
    network = ModelConfig(checkpoint="model.safetensors", **case.config)
    static = DatasetConfig("fishyscapes_static", str(world.fishyscapes), resize=(64, 96))
    score = "rba" if case.gives_masks else "entropy"
    config = EvaluationConfig({"static": static}, score=score, threshold=0.5, gallery_frames=0)
    results = evaluate_run(here / "run", config, models={"net": network})
    assert results.pixel[0].num_ood > 0
    assert 0.0 <= results.pixel[0].auroc <= 1.0
    assert results.models[0].network == case.config["name"]
    assert (here / "run" / "metrics.json").exists()


def test_exported_program_gives_the_same_logits(model: SegmentationModel) -> None:
    images = torch.rand(1, 3, 64, 96)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other libraries' attributes that are set in their forward
        program = torch.export.export(model, (images,), strict=False).module()
        torch.testing.assert_close(program(images), model(images), rtol=1e-4, atol=1e-4)
