"""An ONNX file as a network, for scoring and evaluation; it has no gradients and cannot be trained.

Enters: a file whose graph maps (N,3,H,W) to logits (N,C,h,w), or to class and mask logits. Leaves: a
`torch.nn.Module` over onnxruntime. Sizes that the graph fixes stay fixed: a fixed image size becomes the
model's working size, a batch is run in pieces of the graph's batch size.

Source: onnxruntime (MIT licence), which the extra `onnx` installs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segood.errors import CheckpointError, UsageError, one_line
from segood.files import file_hash
from segood.models.libraries import import_library
from segood.models.onnx_session import open_session

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class OnnxNetwork(nn.Module):
    """Run an ONNX file on the CPU, with as many threads as PyTorch uses.

    Args:
        path: the file.

    Attributes:
        path: the file.
        image_size: (rows, columns) that the graph fixes; None where it takes any.
        file_sha256: (32,) uint8, so that the state dict tells files apart.
        gives_gradients, gives_features: no.

    Raises:
        UsageError: onnxruntime is missing, or the graph's inputs or outputs are of another kind.
        CheckpointError: the file cannot be read.
    """

    gives_gradients = False
    gives_features = False

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        if not self.path.is_file():
            raise CheckpointError(f"{path} does not exist; check the path")
        digest = bytes.fromhex(file_hash(self.path))
        self.file_sha256: Tensor
        self.register_buffer("file_sha256", torch.tensor(list(digest), dtype=torch.uint8))
        self._session: Any = None
        self._threads = 0
        self._read_graph(self._open())

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Tensor | dict[str, Tensor]:
        """Compute what the graph computes; its only output, or all by name.

        Raises:
            UsageError: gradients are wanted, or the images have another size than the graph fixes.
        """
        if images.requires_grad and torch.is_grad_enabled():
            raise UsageError(
                f"{self.path.name} is an ONNX file, which gives no gradients; use its PyTorch network"
            )
        if self.image_size not in (None, tuple(images.shape[2:])):
            raise UsageError(
                f"{self.path.name} takes images of {_by(self.image_size)} only; got {_by(images.shape[2:])}"
            )
        array = images.detach().cpu().numpy().astype(self._type, copy=False)
        step = self._batch or len(array)
        pieces = [self._run(array[i : i + step], step) for i in range(0, len(array), step)]
        found = {
            name: torch.from_numpy(np.concatenate([p[name] for p in pieces])).to(images.device)
            for name in self._outputs
        }
        return found if len(found) > 1 else next(iter(found.values()))

    def extra_repr(self) -> str:
        """Name the file."""
        return str(self.path)

    def _run(self, array: np.ndarray, step: int) -> dict[str, np.ndarray]:
        wanting = step - len(array)  # the graph's batch size is fixed: fill up, and cut again
        if wanting:
            array = np.concatenate([array, np.zeros((wanting, *array.shape[1:]), array.dtype)])
        try:
            values = self._open().run(self._outputs, {self._input: np.ascontiguousarray(array)})
        except Exception as error:  # onnxruntime has a class per status, none of them public
            reason = f"{self.path.name} failed on images {array.shape}: {one_line(error)}"
            raise UsageError(reason) from error
        return {name: v[: step - wanting] for name, v in zip(self._outputs, values, strict=True)}

    def _open(self) -> Any:
        """Return the session; a new one after copying, or where the number of threads has changed."""
        if self._session is None or self._threads != torch.get_num_threads():
            import_library("onnxruntime", "onnx", f"the network {self.path.name}")
            self._threads = torch.get_num_threads()
            try:
                self._session = open_session(str(self.path), self._threads)
            except Exception as error:
                raise CheckpointError(f"{self.path} cannot be read as ONNX: {one_line(error)}") from error
        return self._session

    def _read_graph(self, session: Any) -> None:
        inputs, outputs = session.get_inputs(), session.get_outputs()
        given = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
        rule = f"{self.path.name} must take one image (N,3,H,W), floating point; it takes {given}"
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _TYPES:
            raise UsageError(rule)
        batch, channels, *size = (d if isinstance(d, int) and d > 0 else None for d in inputs[0].shape)
        if channels not in (3, None):
            raise UsageError(rule)
        if (size[0] is None) != (size[1] is None):
            raise UsageError(f"{self.path.name} fixes only one of rows and columns; export it with both free")
        self._input, self._type, self._batch = inputs[0].name, _TYPES[inputs[0].type], batch
        self.image_size = None if size[0] is None else (size[0], size[1])
        maps = [o.name for o in outputs if o.type in _TYPES and len(o.shape) == 4]
        known = [n for n in ("out", "logits") if n in maps]
        self._outputs = [o.name for o in outputs]
        if known or (len(maps) == 1 and len(outputs) > 1 and "mask" not in maps[0]):
            self._outputs = (known or maps)[:1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}  # copies and other processes open the file again


def _by(size: Any) -> str:
    return "×".join(map(str, size))
