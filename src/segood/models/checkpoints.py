"""Weights on disk: read safely, written with everything needed to build the network again.

Enters: `.safetensors`, or PyTorch files (`.pth`, `.pt`, Lightning's `.ckpt`, old and new container),
always read without running code. Leaves: tensors by key, and the header if segood wrote the file.

The header is one JSON object in the safetensors metadata, under `segood`; see `segood.models.header`.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from threading import Lock
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from segood.errors import CheckpointError, UsageError, one_line, system_says
from segood.files import atomic_path
from segood.models.adapter import SegmentationModel
from segood.models.header import HEADER_KEY, checked_header, model_header
from segood.models.onnx_network import OnnxNetwork

_WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "network")


class _Dropped:
    """Stands in for a NumPy number (a metric beside the weights), which nobody needs here."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


# what pickles of NumPy 1 and 2 call to rebuild one number; here, nothing of NumPy's is called
_NUMPY_NUMBER: list[Any] = [
    (_Dropped, name)
    for name in ("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
]
_SAFE_GLOBALS_LOCK = Lock()  # PyTorch keeps the list for the whole process


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file.

    Attributes:
        path: the file.
        tensors: weights by key, on the CPU; keys as in the file, wrappers such as `module.` included.
        header: what `model_header` wrote, or None if the file is not segood's.
    """

    path: Path
    tensors: dict[str, Tensor]
    header: dict[str, Any] | None = None


def load_state_dict_file(path: str | Path) -> dict[str, Tensor]:
    """Read the weights of a checkpoint file without running code from it.

    Takes a bare state dict or one wrapped in a dict (`state_dict`, `model`, ...); what else the
    file holds (optimiser, epoch) is left out.

    Args:
        path: `.safetensors` or a PyTorch file.

    Returns:
        Tensors by key, on the CPU.

    Raises:
        CheckpointError: the file is missing, empty, truncated, no checkpoint at all, or would run code.
    """
    return read_checkpoint(path).tensors


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read weights and header; see `load_state_dict_file` for what is taken and what is refused."""
    path = Path(path)
    try:
        with path.open("rb") as handle:
            head = handle.read(64)
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist; check the path, or fetch the weights first") from None
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {system_says(error, 'a checkpoint is one readable file')}"
        ) from error
    _refuse_other_files(path, head)
    # content, not suffix: 8 bytes with the length of a JSON object, then the object
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        return _read_safetensors(path)
    return _read_pytorch(path)


def read_header(path: str | Path) -> dict[str, Any] | None:
    """Read only the header of a file that segood wrote; None for files of others.

    Raises:
        CheckpointError: the file cannot be read.
    """
    path = Path(path)
    if path.suffix != ".safetensors" or not path.is_file():
        return read_checkpoint(path).header
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            written = file.metadata() or {}
        header = json.loads(written[HEADER_KEY]) if HEADER_KEY in written else None
    except (safetensors.SafetensorError, OSError, ValueError):
        return read_checkpoint(path).header  # which says what is wrong
    return checked_header(path, header)


def save_model(
    model: SegmentationModel, path: str | Path, *, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write weights and header to a safetensors file, atomically; `load_model(path)` is the inverse.

    A module that was passed is read back with `load_model(module, path)`, code of the user's with
    `load_model("my_pkg.my_model:build", path)`.

    Args:
        model: the model; its keys in the file are those of `model.network`.
        path: file to write, `.safetensors`.
        metadata: JSON values to keep in the header; paths are written as text.

    Raises:
        UsageError: the suffix is another, `metadata` is not JSON, or the network is an ONNX file.
        OutputError: the file cannot be written; an older one stays as it was.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise UsageError(f"`path` must end in .safetensors; got {path}")
    if isinstance(model.network, OnnxNetwork):
        raise UsageError(f"the network is the ONNX file {model.network.path}; copy that file instead")
    try:
        header = json.dumps(model_header(model, metadata), allow_nan=False, default=_path_as_text)
    except (TypeError, ValueError) as error:
        raise UsageError(f"`metadata` must hold JSON values only, no NaN: {error}") from error
    # copies: safetensors takes neither shared memory (tied weights) nor other memory layouts
    tensors = {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in model.network.state_dict().items()
        if isinstance(value, Tensor)
    }
    content = safetensors.torch.save(tensors, metadata={HEADER_KEY: header})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _path_as_text(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _refuse_other_files(path: Path, head: bytes) -> None:
    """Name the usual results of a download gone wrong, which a reader would only call corrupt."""
    if not head:
        raise CheckpointError(f"{path} is empty; fetch it again")
    if head.lstrip()[:1] == b"<":
        raise CheckpointError(f"{path} is an HTML page, not a checkpoint; download the file behind the page")
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a Git LFS pointer, not the weights; run `git lfs pull`")


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            written = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        header = json.loads(written[HEADER_KEY]) if HEADER_KEY in written else None
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no complete safetensors file ({one_line(error, 120)}); fetch or save it again"
        ) from error
    return Checkpoint(path, tensors, checked_header(path, header))


def _read_pytorch(path: Path) -> Checkpoint:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; what matters is raised
            with _SAFE_GLOBALS_LOCK, torch.serialization.safe_globals(_NUMPY_NUMBER):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise _refusal(path, error) from error
    except Exception as error:  # broken files raise whatever the damaged byte leads to
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path} is a TorchScript program, not weights; save its state_dict() instead"
            ) from error
        raise CheckpointError(
            f"{path} is truncated or no PyTorch checkpoint ({one_line(error, 120) or type(error).__name__}); "
            "fetch it again"
        ) from error
    tensors = _find_tensors(content)
    if not tensors:
        keys = [_named(key) for key in content] if isinstance(content, Mapping) else [_named(content)]
        raise CheckpointError(f"{path} holds no state dict of tensors; it holds {shorten(keys)}")
    header = content.get(HEADER_KEY) if isinstance(content, Mapping) else None
    return Checkpoint(path, tensors, checked_header(path, header if isinstance(header, dict) else None))


def _refusal(path: Path, error: UnpicklingError) -> CheckpointError:
    """Tell a pickle that names code from one that is simply broken."""
    named = re.search(r"(?:GLOBAL|class|global:?) ([A-Za-z_][\w.]*\.\w+)", str(error))
    if named:
        return CheckpointError(
            f"{path} is refused: reading it would run code (`{named.group(1)}`); "
            "ask its author for a plain state_dict, or a .safetensors file"
        )
    return CheckpointError(
        f"{path} cannot be read as plain weights: it is damaged, no PyTorch checkpoint, or a pickle that "
        "would run code; fetch it again, or ask for a plain state_dict or .safetensors file"
    )


def _find_tensors(content: Any) -> dict[str, Tensor]:
    """Return the outermost mapping that holds tensors, looking through the usual wrappers."""
    if not isinstance(content, Mapping):
        return {}
    for key in _WRAPPERS:
        inner = _find_tensors(content.get(key))
        if inner:
            return inner
    return {key: v for key, v in content.items() if isinstance(key, str) and isinstance(v, Tensor)}


def _named(key: Any) -> str:
    # not `str` of whatever a pickle holds: some of PyTorch's own things warn when they are printed
    return key if isinstance(key, str) else type(key).__name__


def shorten(names: list[Any], limit: int = 5) -> str:
    """Join names, leaving out those beyond `limit`.

    Example:
        >>> shorten(["a", "b", "c"], limit=2)
        'a, b, … (1 more)'
    """
    shown = ", ".join(str(n) for n in names[:limit])
    return shown if len(names) <= limit else f"{shown}, … ({len(names) - limit} more)"
