"""Public weights by name: where they are, what they are, under which licence; and where they lie here.

Enters: a name, or the path of a checkpoint. Leaves: `PublicWeights`, or a checked local file. Nothing
is downloaded here (see `segood.models.fetch`), and PyTorch is not needed.

Every fact has its source in `PublicWeights.source` or `.note`; what could not be verified is None,
and the note says so.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from segood.checks import check_choice
from segood.errors import CheckpointError
from segood.files import file_hash


@dataclass(frozen=True)
class PublicWeights:
    """Weights that others have published.

    Attributes:
        name: what `load_model(network, checkpoint=...)` and `segood models fetch` take.
        network: name of the network they are for, see `segood.models.list_models`.
        summary: one line for a list.
        file: name of the file.
        url: direct link to the file; None where there is only a page for people.
        page: where a person finds the file.
        sha256: of the file, hexadecimal; None where nobody has published it.
        size: of the file, bytes; None where not known exactly.
        licence: the terms; read them at `source` before you use the weights.
        source: who says all this.
        label_space: what the outputs mean, see `segood.data.label_spaces`.
        num_classes: number of classes q.
        file_format: what is in the file.
        note: what else one has to know.
    """

    name: str
    network: str
    summary: str
    file: str
    url: str | None
    page: str
    sha256: str | None
    size: int | None
    licence: str
    source: str
    label_space: str
    num_classes: int
    file_format: str
    note: str = ""


_EDGENETS = "https://github.com/sacmehta/EdgeNets"
_EDGENETS_ZOO = "model/segmentation/model_zoo"
_SDCNET = "https://github.com/NVIDIA/semantic-segmentation/tree/sdcnet"
_META_OOD = "https://github.com/robin-chan/meta-ood"


def _espnetv2(scale: str, commit: str, sha256: str, size: int, miou: str) -> PublicWeights:
    file = f"espnetv2_s_{scale}_city_1024x512.pth"
    return PublicWeights(
        name=f"espnetv2_s_{scale}_city",
        network="espnetv2",
        summary=f"ESPNetv2 s={scale}, Cityscapes at 1024×512{miou}",
        file=file,
        # by commit: the file behind the link can never change
        url=f"https://raw.githubusercontent.com/sacmehta/EdgeNets/{commit}/{_EDGENETS_ZOO}/espnetv2/{file}",
        page=f"{_EDGENETS}/tree/master/{_EDGENETS_ZOO}",
        sha256=sha256,
        size=size,
        licence="MIT (Copyright (c) 2021 Sachin Mehta)",
        source=f"{_EDGENETS} (LICENSE, {_EDGENETS_ZOO}/README.md)",
        label_space="cityscapes",
        num_classes=19,
        file_format="PyTorch state dict, legacy container, CUDA tensors",
        note="20 output channels, of which load_model drops the last; size and SHA-256 are of a copy of the "
        "repository's file, the link was composed from its commit and path",
    )


PUBLIC_WEIGHTS: dict[str, PublicWeights] = {
    weights.name: weights
    for weights in (
        _espnetv2(
            "2.0",
            "5976d678ee754b846d09485f2fbd059e6f30883b",
            "a72d59699801c7ce8e8b89a53af9097eaaa60dc12180ecde86fd700ba1222fe8",
            3_376_094,
            ", 66.4 mIoU on val as its authors report",
        ),
        _espnetv2(
            "0.5",
            "5de7b80b17cdb9328a939d10638e9782f2854f77",
            "9412a86a30f137540ef945d08da3cb7191448956c56c41a64210dab443a9f65f",
            469_319,
            "",
        ),
        PublicWeights(
            name="deeplabv3plus_wrn38_city",
            network="deeplabv3plus_wrn38",
            summary="DeepLabv3+ WRN38, Cityscapes; what the paper starts from (NVIDIA)",
            file="cityscapes_best.pth",
            url=None,
            page="https://drive.google.com/file/d/1P4kPaMY-SmQ3yPJQTJ7xMGAB_Su-1zTl/view",
            sha256=None,
            size=None,
            licence="CC BY-NC-SA 4.0 (non-commercial; the repository's LICENSE, 2019)",
            source=f"{_SDCNET} (README.md: pre-trained models; LICENSE)",
            label_space="cityscapes",
            num_classes=19,
            file_format="PyTorch dict: `state_dict` with keys behind `module.`, and what its training kept",
            note="1071 MB as its README says; exact size and SHA-256 are not published; the page wants a "
            "browser, and asks some people for access (issue 201 of the repository)",
        ),
        PublicWeights(
            name="deeplabv3plus_wrn38_entropy_maximized",
            network="deeplabv3plus_wrn38",
            summary="DeepLabv3+ WRN38 after the paper's entropy maximisation (4 epochs, λ = 0.9)",
            file="DeepLabV3+_WideResNet38_epoch_4_alpha_0.9.pth",
            url="https://tubcloud.tu-berlin.de/s/sMj8Nr73a9djFGZ/download/"
            "DeepLabV3+_WideResNet38_epoch_4_alpha_0.9.pth",
            page=f"{_META_OOD}/issues/6",
            sha256=None,
            size=None,
            licence="not stated by the authors; made from weights under CC BY-NC-SA 4.0 (non-commercial)",
            source=f"{_META_OOD} (README.md, issues 1 and 6)",
            label_space="cityscapes",
            num_classes=19,
            file_format="PyTorch dict: `state_dict` with keys behind `module.`, optimiser state, epoch, loss",
            note="the link of May 2024, given by the first author in issue 6 after the one in the README had "
            "expired; size and SHA-256 are not published",
        ),
    )
}
"""All public weights segood knows, by name."""


def get_weights(name: str) -> PublicWeights:
    """Return the public weights of that name.

    Raises:
        UsageError: unknown name; the nearest one is given.

    Example:
        >>> get_weights("espnetv2_s_0.5_city").size
        469319
    """
    check_choice("weights", name, PUBLIC_WEIGHTS)
    return PUBLIC_WEIGHTS[name]


def weights_folder() -> Path:
    """Return the folder that fetched weights go to; it need not exist.

    `$SEGOOD_HOME/weights`; without that variable `segood/weights` in the user's cache folder:
    `$XDG_CACHE_HOME`, or `~/.cache` (Linux), `~/Library/Caches` (macOS), `%LOCALAPPDATA%` (Windows).
    """
    home = os.environ.get("SEGOOD_HOME")
    if home:
        return Path(home).expanduser() / "weights"
    given = os.environ.get("XDG_CACHE_HOME")
    if given:
        cache = Path(given).expanduser()
    elif sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path.home() / ".cache"
    return cache / "segood" / "weights"


def weights_path(weights: PublicWeights, folder: str | Path | None = None) -> Path:
    """Return where the file of these weights lies once it is fetched."""
    return Path(folder or weights_folder()) / weights.file


def resolve_weights(name_or_path: str | Path) -> Path:
    """Turn what a user gives as `checkpoint` into a file.

    Args:
        name_or_path: name of public weights, or a path. A text that is such a name means the
            weights; write `./name` for a file that is called so.

    Returns:
        The path as given, or the fetched file of the weights, its size and SHA-256 checked.

    Raises:
        CheckpointError: the weights are not fetched yet (says how), or the file is damaged; or the
            path does not exist, and looks like the name of weights.

    Example:
        >>> resolve_weights("runs/mine/checkpoints/model.safetensors").name
        'model.safetensors'
    """
    path = Path(name_or_path)
    if isinstance(name_or_path, Path) or name_or_path not in PUBLIC_WEIGHTS:
        if not path.exists():
            _suggest(path)
        return path
    weights = PUBLIC_WEIGHTS[name_or_path]
    path = weights_path(weights)
    again = f"`segood models fetch {weights.name}`"
    if not path.is_file():
        raise CheckpointError(f"the weights {weights.name} are not at {path}; fetch them with {again}")
    problem = file_problem(weights, path)
    if problem:
        raise CheckpointError(f"{path}: {problem}; fetch it again with {again}")
    return path


def _suggest(path: Path) -> None:
    """Raise where a file that does not exist is called nearly as public weights or their file are."""
    meant = [w.name for w in PUBLIC_WEIGHTS.values() if w.file == path.name]
    if not meant and len(path.parts) == 1:
        meant = get_close_matches(path.name, PUBLIC_WEIGHTS, n=1, cutoff=0.8)
    if meant:
        raise CheckpointError(
            f"{path} does not exist; for the public weights, give '{meant[0]}' instead of a path "
            f"(after `segood models fetch {meant[0]}`)"
        )


def file_problem(weights: PublicWeights, path: Path) -> str | None:
    """Say what tells this file apart from the published one; None if nothing that is known does."""
    size = path.stat().st_size
    if weights.size is not None and size != weights.size:
        return f"{size} bytes, {weights.name} has {weights.size}"
    if weights.sha256 is not None:
        found = file_hash(path)
        if found != weights.sha256:
            return f"its SHA-256 is {found}, that of {weights.name} is {weights.sha256}"
    return None
