"""The list of public weights, and from a name to a checked file."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch

from segood.errors import CheckpointError, UsageError
from segood.models import load_model
from segood.models.weights import (
    PUBLIC_WEIGHTS,
    PublicWeights,
    get_weights,
    resolve_weights,
    weights_folder,
    weights_path,
)
from segood.models.zoo import NETWORKS


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGOOD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("weights", PUBLIC_WEIGHTS.values(), ids=PUBLIC_WEIGHTS)
def test_every_entry_is_complete_or_says_what_is_missing(weights: PublicWeights) -> None:
    assert weights in NETWORKS[weights.network].weights
    assert weights.label_space == NETWORKS[weights.network].label_space
    assert weights.name not in NETWORKS
    for link in (weights.page, weights.url or weights.page):
        assert urlsplit(link).scheme == "https"
        assert urlsplit(link).hostname
    assert weights.licence
    assert weights.source.startswith("https://")
    if weights.sha256 is None:
        assert "SHA-256" in weights.note
        assert "not published" in weights.note
    else:
        assert re.fullmatch("[0-9a-f]{64}", weights.sha256)
        assert weights.size


def test_files_of_weights_have_names_of_their_own() -> None:
    assert len({weights.file for weights in PUBLIC_WEIGHTS.values()}) == len(PUBLIC_WEIGHTS)


@pytest.mark.parametrize("scale", ["2.0", "0.5"])
def test_fetched_weights_load_by_name(shared: Path, home: Path, scale: str) -> None:
    weights = get_weights(f"espnetv2_s_{scale}_city")
    original = shared / "weights" / weights.file
    with pytest.raises(CheckpointError, match=f"fetch them with `segood models fetch {weights.name}`"):
        load_model("espnetv2", checkpoint=weights.name)
    (home / "weights").mkdir(parents=True)
    path = shutil.copyfile(original, weights_path(weights))
    by_name = load_model("espnetv2", checkpoint=weights.name).state_dict()
    by_path = load_model("espnetv2", checkpoint=original).state_dict()
    assert all(torch.equal(by_name[key], by_path[key]) for key in by_path)

    damaged = bytearray(path.read_bytes())
    damaged[-1000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match=r"its SHA-256 is .*; fetch it again with `segood models fetch"):
        load_model("espnetv2", checkpoint=weights.name)
    path.write_bytes(damaged[:100])
    with pytest.raises(CheckpointError, match=r"100 bytes, espnetv2_s_.* has \d+; fetch it again"):
        load_model("espnetv2", checkpoint=weights.name)


def test_a_path_stays_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "espnetv2_s_0.5_city"
    Path(name).write_text("a file that is called like weights")
    assert resolve_weights(f"./{name}") == Path(name)
    assert resolve_weights(Path(name)) == Path(name)
    assert resolve_weights("some/where.pth") == Path("some/where.pth")
    with pytest.raises(CheckpointError, match="are not at"):
        resolve_weights(name)  # the name comes first


@pytest.mark.parametrize(
    "given",
    ["espnetv2_s_2.0_cty", "data/espnetv2_s_2.0_city_1024x512.pth", "espnetv2_s_2.0_city_1024x512.pth"],
)
def test_what_looks_like_weights_is_told_how_to_get_them(given: str) -> None:
    with pytest.raises(
        CheckpointError, match=r"does not exist; for the public weights, give 'espnetv2_s_2\.0_city'"
    ):
        load_model("espnetv2", checkpoint=given)


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'espnetv2_s_2\.0_city'\?"):
        get_weights("espnetv2_s_2.0")


def test_where_fetched_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights_folder() == tmp_path / "home" / "weights"
    monkeypatch.delenv("SEGOOD_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights_folder() == tmp_path / "cache" / "segood" / "weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert tmp_path in weights_folder().parents


def test_fetching_needs_no_pytorch() -> None:
    code = "import sys, segood.models.fetch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
