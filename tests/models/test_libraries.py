"""Networks of other libraries by name: options, pretrained weights from local files, one-line failures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
import transformers
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from segood.errors import CheckpointError, UsageError
from segood.models import Preprocessing, load_model, save_model
from segood.models.config import ModelConfig
from segood.models.transformers_presets import PRESETS, configuration

TINY = {
    **{"hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 4]},
    **{"decoder_hidden_size": 16},
}


@pytest.fixture
def segformer(tmp_path: Path) -> Path:
    """A folder as `save_pretrained` writes it, with class names and an image processor's constants."""
    torch.manual_seed(0)
    names = {0: "road", 1: "sky", 2: "person"}
    network = SegformerForSemanticSegmentation(SegformerConfig(**TINY, id2label=names))
    network.save_pretrained(tmp_path / "segformer")
    transformers.SegformerImageProcessor(
        image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.3, 0.4]
    ).save_pretrained(tmp_path / "segformer")
    return tmp_path / "segformer"


def test_a_folder_of_transformers_tells_everything(segformer: Path) -> None:
    model = ModelConfig("transformers", pretrained=str(segformer)).load_trained()
    assert model.class_names == ("road", "sky", "person")
    assert model.preprocessing == Preprocessing((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    assert model.random_weights is None
    twin = SegformerForSemanticSegmentation.from_pretrained(segformer).eval()
    images = torch.rand(1, 3, 64, 96)
    normalized = (images - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([0.2, 0.3, 0.4]).view(
        3, 1, 1
    )
    with torch.no_grad():
        torch.testing.assert_close(model.network_logits(images), twin(normalized).logits)


def test_what_was_pretrained_is_rebuilt_without_the_folder(segformer: Path, tmp_path: Path) -> None:
    model = load_model("transformers", pretrained=str(segformer))
    save_model(model, tmp_path / "model.safetensors")
    segformer.rename(tmp_path / "elsewhere")
    images = torch.rand(1, 3, 65, 97)
    for again in (
        load_model(tmp_path / "model.safetensors"),
        load_model("transformers", tmp_path / "model.safetensors", pretrained=str(segformer)),
    ):
        assert torch.equal(again(images), model(images))
        assert (again.class_names, again.options) == (model.class_names, model.options)


def test_another_number_of_classes_has_a_new_head(segformer: Path) -> None:
    config = ModelConfig("transformers", pretrained=str(segformer), num_classes=5)
    model = config.load()
    assert model.num_classes == 5
    assert model.random_weights == "decode_head.classifier.bias, decode_head.classifier.weight"
    old = load_model("transformers", pretrained=str(segformer)).network.state_dict()
    for key, value in model.network.state_dict().items():
        assert key.startswith("decode_head.classifier") or torch.equal(value, old[key])
    with pytest.raises(UsageError, match=r"`model` transformers has random weights \(decode_head.*train it"):
        config.load_trained()


def test_torchvision_weights_where_the_classes_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision finds the files of its own cache; these hold random weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = torchvision.models.segmentation.LRASPP_MobileNet_V3_Large_Weights.DEFAULT
    published = torchvision.models.get_model(
        "lraspp_mobilenet_v3_large", num_classes=21, weights_backbone=None
    )
    backbone_weights = torchvision.models.MobileNet_V3_Large_Weights.IMAGENET1K_V1
    backbone = torchvision.models.mobilenet_v3_large()
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(published.state_dict(), cache / Path(weights.url).name)
    torch.save(backbone.state_dict(), cache / Path(backbone_weights.url).name)

    whole = ModelConfig("torchvision", pretrained=True).load_trained()
    assert (whole.num_classes, whole.class_names[0], whole.class_names[15]) == (21, "background", "person")
    assert all(torch.equal(v, published.state_dict()[k]) for k, v in whole.network.state_dict().items())
    named = load_model("torchvision", pretrained="COCO_WITH_VOC_LABELS_V1", num_classes=21)
    assert named.random_weights is None

    other = load_model("torchvision", pretrained=True, num_classes=5)
    assert other.random_weights == "all but the backbone (21 classes are pretrained, not 5)"
    assert torch.equal(other.network.backbone["0"][0].weight, backbone.features[0][0].weight)
    save_model(other, tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors").options == {"arch": "lraspp_mobilenet_v3_large"}


def test_deeplab_of_torchvision_comes_without_its_auxiliary_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    arch = "deeplabv3_mobilenet_v3_large"
    url = torchvision.models.get_model_weights(arch)["DEFAULT"].url
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    published = torchvision.models.get_model(arch, num_classes=21, weights_backbone=None, aux_loss=True)
    torch.save(published.state_dict(), tmp_path / "hub" / "checkpoints" / Path(url).name)
    model = load_model("torchvision", arch=arch, pretrained=True)
    save_model(model, tmp_path / "model.safetensors")
    images = torch.rand(1, 3, 33, 50)
    assert torch.equal(load_model(tmp_path / "model.safetensors")(images), model(images))


def test_weights_of_a_library_without_header(tmp_path: Path) -> None:
    """As the libraries save them; the number of classes is read off the head."""
    smp = load_model("smp", arch="FPN", encoder="tu-mobilenetv3_small_050", num_classes=4)
    torch.save(smp.network.state_dict(), tmp_path / "smp.pth")
    again = load_model("smp", tmp_path / "smp.pth", arch="FPN", encoder="tu-mobilenetv3_small_050")
    images = torch.rand(1, 3, 33, 50)
    assert again.num_classes == 4
    assert torch.equal(again(images), smp(images))
    segformer = load_model("transformers", num_classes=4, arguments=TINY)
    torch.save(segformer.network.state_dict(), tmp_path / "segformer.bin")
    again = load_model("transformers", tmp_path / "segformer.bin", arguments=TINY)
    assert torch.equal(again(images), segformer(images))


def test_networks_that_need_multiples_are_padded() -> None:
    model = load_model("smp", arch="DeepLabV3Plus", encoder="mobilenet_v2", num_classes=3)
    assert model.preprocessing.size_multiple == 16
    chosen = load_model("smp", encoder="mobilenet_v2", num_classes=3, preprocessing=Preprocessing((0, 0, 0)))
    assert (chosen.preprocessing.mean, chosen.preprocessing.size_multiple) == ((0.0, 0.0, 0.0), 32)


@pytest.mark.parametrize("arch", list(PRESETS))
def test_every_preset_is_a_configuration_of_the_library(arch: str) -> None:
    for encoder in PRESETS[arch]:
        config = transformers.AutoConfig.for_model(arch, **configuration(arch, encoder, {}))
        if encoder == "swin_tiny":
            assert config.backbone_config.num_heads == [3, 6, 12, 24]
    assert configuration("upernet", None, {"backbone_config": {"model_type": "resnet"}}) == {
        "backbone_config": {"model_type": "resnet"}
    }


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("smp", {"arch": "Unot"}, "`arch` must be one of Unet, .*did you mean 'Unet'"),
        (
            "smp",
            {"encoder": "resnot18"},
            "segmentation-models-pytorch has no 'resnot18' .did you mean 'resnet18'",
        ),
        ("smp", {"encoder": "tu-resnot18"}, "timm has no 'resnot18' .did you mean 'resnet18"),
        ("smp", {"arguments": {"decoder_chanels": [8]}}, "`arguments` of Unet has no 'decoder_chanels'"),
        ("smp", {"arguments": {"encoder_depth": 3}}, "smp cannot build Unet with the encoder resnet34: "),
        (
            "smp",
            {"encoder": "resnet18", "pretrained": "x"},
            "`pretrained for resnet18` must be one of imagenet",
        ),
        ("smp", {"encoder": "tu-resnet18", "pretrained": "x"}, "`pretrained` of tu-resnet18 must be true"),
        ("transformers", {"arch": "segforme"}, "`arch` must be one of .*did you mean 'segformer'"),
        ("transformers", {"encoder": "b9"}, "`encoder of segformer` must be one of b0, "),
        (
            "transformers",
            {"arch": "beit", "encoder": "b0"},
            "`encoder` is for segformer, .* describe beit by",
        ),
        (
            "transformers",
            {"arguments": {"dephts": [1]}},
            "`arguments` of segformer has no 'dephts' .*'depths'",
        ),
        (
            "transformers",
            {"arch": "upernet", "arguments": {"backbone_config": {"dephts": [1]}}},
            "`arguments` of upernet.backbone_config has no 'dephts'",
        ),
        (
            "transformers",
            {"arguments": {"depths": [1]}},
            "Transformers cannot build segformer from `arguments`: ",
        ),
        ("transformers", {"pretrained": True}, "must be a name on the hub or a folder; got True"),
        ("transformers", {"pretrained": "./gone"}, "there is no folder ./gone"),
        ("torchvision", {"pretrained": "x"}, "`pretrained of lraspp_mobilenet_v3_large` must be one of COCO"),
        ("unet", {"arch": "Unet"}, "`option of unet` must be one of width; got 'arch'"),
    ],
)
def test_bad_options_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_model(name, **options)
    assert "\n" not in str(caught.value)


def test_a_folder_that_holds_no_segmentation_network(tmp_path: Path) -> None:
    transformers.ResNetConfig(depths=[1, 1, 1, 1], embedding_size=4, hidden_sizes=[4] * 4).save_pretrained(
        tmp_path
    )
    with pytest.raises(CheckpointError, match="is a resnet, which is no segmentation network"):
        load_model("transformers", pretrained=str(tmp_path))


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [("segmentation_models_pytorch", "smp", "smp"), ("transformers", "transformers", "transformers")],
)
def test_a_missing_library_is_one_line(
    monkeypatch: pytest.MonkeyPatch, package: str, name: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(UsageError, match=rf"needs {package}, .*pip install 'segood\[{extra}\]'"):
        load_model(name)


OFFLINE = """
from segood import load_model
from segood.errors import CheckpointError

for name, options in (
    ("smp", {"encoder": "resnet18"}),
    ("smp", {"encoder": "tu-resnet18"}),
    ("transformers", {"pretrained": "nobody/such-a-network"}),
    ("torchvision", {}),
    ("torchvision", {"num_classes": 4}),
):
    try:
        load_model(name, **{"pretrained": True, **options})
    except CheckpointError as error:
        print(error)
"""


def test_offline_is_one_line_each(tmp_path: Path) -> None:
    blocked = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {
        **os.environ,
        **blocked,
        "HF_HUB_OFFLINE": "1",
        "TORCH_HOME": str(tmp_path),
        "HF_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 5, done.stdout
    for line, what in zip(
        lines,
        ("encoder resnet18", "encoder tu-resnet18", "nobody/such", "COCO_WITH_VOC", "ImageNet"),
        strict=True,
    ):
        assert line.startswith("cannot get ")
        assert what in line
        assert "; check the " in line


def test_libraries_are_imported_when_asked_for_only() -> None:
    code = (
        "import segood, sys; segood.load_model('unet', width=4); print([m for m in sys.modules if m in "
        "('transformers', 'segmentation_models_pytorch', 'timm', 'onnxruntime')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stdout.strip() == "[]"
