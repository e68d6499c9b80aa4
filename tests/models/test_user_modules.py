"""Networks from files outside of the package, and what can be wrong with them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segood.errors import CheckpointError, UsageError
from segood.models import load_model, read_header, save_model
from segood.models.config import ModelConfig, PreprocessingConfig
from segood.user_code import is_import_path

CODE = """
from dataclasses import dataclass

import torch
from torch import nn

from helpers import DEFAULT_WIDTH


@dataclass
class Sizes:
    width: int = DEFAULT_WIDTH


class Net(nn.Module):
    def __init__(self, num_classes: int, width: int = DEFAULT_WIDTH, multiple: int = 1):
        super().__init__()
        self.multiple = multiple
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, num_classes, 1))

    def forward(self, x):
        if x.shape[2] % self.multiple or x.shape[3] % self.multiple:
            raise RuntimeError("wrong size")
        return {"out": self.layers(x)}


class Nets:
    small = Net(4, 2)


def build(num_classes: int, width: int = Sizes().width, **options):
    return Net(num_classes, width, **options)


def five():
    return Net(5)


def wrapped(num_classes):
    import segood

    return segood.load_model(Net(num_classes), class_names=[f"thing {i}" for i in range(num_classes)])


def returns_number():
    return 3


def returns_classes(num_classes):
    class Classes(Net):
        def forward(self, x):
            return super().forward(x)["out"].argmax(1)

    return Classes(num_classes)


def raises():
    raise FileNotFoundError("no weights here")


number = 3
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nets" / "pkg").mkdir(parents=True)
    (tmp_path / "helpers.py").write_text("DEFAULT_WIDTH = 6\n")
    (tmp_path / "nets" / "my_model.py").write_text(CODE)
    (tmp_path / "nets" / "helpers.py").write_text("DEFAULT_WIDTH = 8\n")
    (tmp_path / "my_own_model.py").write_text(CODE)
    (tmp_path / "nets" / "pkg" / "__init__.py").write_text("")
    (tmp_path / "broken.py").write_text("def build(:\n")
    (tmp_path / "needs.py").write_text("import no_such_library\n")
    monkeypatch.chdir(tmp_path)
    for name in ("helpers", "my_own_model"):  # each test has its own folder
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (33, 50, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("import_path", "options"),
    [
        ("my_own_model:build", {}),
        ("my_own_model:Net", {"width": 4}),
        ("nets/my_model.py:build", {"width": 4, "multiple": 1}),
        ("./nets/my_model.py:Net", {}),
    ],
)
def test_functions_and_classes(import_path: str, options: dict[str, Any]) -> None:
    path = list(sys.path)
    model = load_model(import_path, num_classes=4, **options)
    assert (model.name, model.num_classes, model.options) == (import_path, 4, options)
    assert model.class_names[0] == "class_0"
    assert not model.training
    assert model.predict_logits(image()).shape == (4, 33, 50)
    assert sys.path == path


def test_absolute_paths_and_modules_themselves(here: Path) -> None:
    model = load_model(f"{here}/nets/my_model.py:Nets.small")
    assert model.num_classes == 4  # counted
    with pytest.raises(UsageError, match="is a module, not a function; it takes no options"):
        load_model("my_own_model:Nets.small", width=3)


def test_a_file_finds_the_modules_beside_it() -> None:
    assert load_model("nets/my_model.py:build", num_classes=4).network.layers[0].out_channels == 8


def test_a_changed_file_is_read_anew(here: Path) -> None:
    assert load_model("nets/my_model.py:five").num_classes == 5
    (here / "nets" / "my_model.py").write_text(CODE.replace("return Net(5)", "return Net(7)"))
    assert load_model("nets/my_model.py:five").num_classes == 7


def test_a_wrapped_model_keeps_what_it_says() -> None:
    assert load_model("my_own_model:wrapped", num_classes=3).class_names == ("thing 0", "thing 1", "thing 2")


def test_saved_weights_need_the_code_to_be_named(here: Path) -> None:
    torch.manual_seed(0)
    model = load_model("my_own_model:build", num_classes=4, width=5, preprocessing={"channel_order": "bgr"})
    save_model(model, here / "model.safetensors")
    header = read_header(here / "model.safetensors")
    assert header is not None
    assert (header["name"], header["options"]) == ("my_own_model:build", {"width": 5})
    del sys.modules["my_own_model"]
    with pytest.raises(
        CheckpointError, match=r"code of yours, which a checkpoint never runs.*--model.checkpoint"
    ):
        load_model(here / "model.safetensors")
    with pytest.raises(CheckpointError, match="holds weights of my_own_model:build, not of unet"):
        load_model("unet", here / "model.safetensors")
    assert "my_own_model" not in sys.modules
    for name in ("my_own_model:build", "nets/my_model.py:build"):  # code may have moved
        again = load_model(name, "model.safetensors")
        assert torch.equal(again.predict_logits(image()), model.predict_logits(image()))
        assert (again.options, again.preprocessing) == (model.options, model.preprocessing)


def test_preprocessing_and_classes_are_declared() -> None:
    config = ModelConfig(
        "my_own_model:build",
        classes=4,
        options={"multiple": 32},
        preprocessing=PreprocessingConfig(size_multiple=32, value_range=(0, 255)),
    )
    model = config.load()
    assert model.predict_logits(image()).shape == (4, 33, 50)
    assert model.preprocessing.std == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("import_path", "arguments", "message"),
    [
        ("my_modl:build", {}, "there is no module my_modl for the network my_modl; it is looked for in the"),
        ("my_own_model.sub:build", {}, "there is no module my_own_model.sub "),
        ("gone.py:build", {}, r"there is no file gone.py \(working directory: "),
        ("nets/my_model.py", {}, "say what builds the network in nets/my_model.py, for example nets/my_mod"),
        ("my_own_model:buld", {}, r"`name in my_own_model` must be one of .*did you mean 'build'"),
        ("my_own_model:number", {}, "must be a function, a class or a torch.nn.Module; it is of type int"),
        ("my_own_model:returns_number", {}, "must return a torch.nn.Module; it returned int"),
        (
            "my_own_model:raises",
            {},
            r"failed when called with no arguments: FileNotFoundError: no weights here",
        ),
        ("my_own_model:build", {}, "needs `num_classes`; give num_classes"),
        (
            "my_own_model:Net",
            {"num_classes": 4, "wdth": 3},
            "must be one of .*got 'wdth' .did you mean 'width'",
        ),
        ("my_own_model:five", {"width": 3}, "my_own_model:five takes no options; got width"),
        ("my_own_model:five", {"num_classes": 4}, r"got \(1, 5, 33, 49\), torch.float32; pass num_classes=5"),
        ("my_own_model:returns_classes", {"num_classes": 4}, "give logits, not predicted classes"),
        ("my_own_model:build", {"num_classes": 4, "multiple": 32}, "wrong size; declare .*size_multiple"),
        ("my_own_model:build", {"num_classes": 1}, "`num_classes` must be at least 2"),
        ("broken:build", {}, r"importing broken failed: SyntaxError: .*\(broken.py, line 1\)"),
        ("broken.py:build", {}, r"importing broken.py failed: SyntaxError: .*\(broken.py, line 1\)"),
        (
            "needs:build",
            {},
            r"importing needs failed: ModuleNotFoundError: .*no_such_library.*\(needs.py, line 1\)",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(import_path: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_model(import_path, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:b", True),
        ("a.b.c:d.e", True),
        ("/x/y z/net.py:Net", True),
        ("C:\\nets\\net.py:Net", True),
        ("net.py", False),
        ("unet", False),
        ("a:", False),
        ("runs/x/model.safetensors", False),
        ("C:\\runs\\model.safetensors", False),
    ],
)
def test_what_an_import_path_is(text: str, expected: bool) -> None:
    assert is_import_path(text) is expected
