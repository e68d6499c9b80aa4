"""The network under a monitor: images -> logits, through PyTorch or through ONNX Runtime.

In: uint8 (H,W,3) images. Out: `Seen` per image: logits at whatever resolution, and a score map where the
score is not the entropy. Only `TorchNetwork` needs PyTorch, and imports it when it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from segood.compiled import kernels_enabled, num_threads
from segood.data.images import resize_image
from segood.errors import CheckpointError, UsageError, one_line
from segood.models.onnx_session import open_session

if TYPE_CHECKING:
    from torch import nn

    from segood.models import SegmentationModel
    from segood.scores import Score

ENTROPY = "entropy"
LOGITS = "network_logits"
"""The graph's output at the network's own resolution: all that a monitor asks a bundle for."""


@dataclass(frozen=True)
class Seen:
    """What a network says about an image.

    Attributes:
        logits: (C,h,w), of the image's size or coarser: an array, or a tensor where that is on a GPU or there
            are no kernels.
        score: (H,W) float32; None for the normalised entropy of the logits.
    """

    logits: Any
    score: np.ndarray | None = None


class Network(Protocol):
    """What a monitor needs of a network."""

    @property
    def label(self) -> str: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def score_name(self) -> str: ...

    def look(self, images: Sequence[np.ndarray]) -> list[Seen]:
        """Return what the network says, in the order of the images."""
        ...


class TorchNetwork:
    """A PyTorch network, with any score.

    Args:
        model: a network from `segood.load_model`, or any `torch.nn.Module`.
        score: by name, or made (and fitted, where it has to be).
    """

    def __init__(self, model: SegmentationModel | nn.Module, score: str | Score = ENTROPY) -> None:
        from segood.models import SegmentationModel, load_model
        from segood.scores import get_score

        self.model = model if isinstance(model, SegmentationModel) else load_model(model)
        self.model.eval()
        self.score = get_score(score) if isinstance(score, str) else score
        self.score.check_fitted()

    @property
    def label(self) -> str:
        """What messages call the network."""
        return self.model.label

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.model.class_names

    @property
    def score_name(self) -> str:
        """Name of the score."""
        return self.score.name

    def look(self, images: Sequence[np.ndarray]) -> list[Seen]:
        """Return what the network says, one image after the other."""
        return [self._look(image) for image in images]

    def _look(self, image: np.ndarray) -> Seen:
        from segood.models.observation import observe
        from segood.scores.arrays import kernel_array

        seen = observe(self.model, image, scores=[self.score])
        logits = seen.logits()
        # Extracting segments computes the entropy anyway, in the same pass.
        score = None if self.score_name == ENTROPY else self.score.of(seen).float().cpu().numpy()
        on_cpu = logits.device.type == "cpu" and kernels_enabled()
        return Seen(kernel_array(logits) if on_cpu else logits, score)


class OnnxMonitorNetwork:
    """The network of a bundle, run by ONNX Runtime on the CPU; its score is the entropy.

    Args:
        graph: the ONNX file's bytes, as `segood.deployment.onnx_graph` writes it.
        class_names: of the logits.
        working_size: (rows, columns) to which images are resized before the network; None keeps their size.
        label: what messages call it.

    Raises:
        UsageError: ONNX Runtime is missing.
        CheckpointError: the bytes are no such graph.
    """

    score_name = ENTROPY

    def __init__(
        self,
        graph: bytes,
        class_names: Sequence[str],
        working_size: tuple[int, int] | None = None,
        label: str = "network",
    ) -> None:
        self.class_names = tuple(class_names)
        self.working_size = working_size
        self.label = label
        self._graph = graph
        self._threads = 0
        self._session: Any = None
        self._options: Any = None
        try:
            outputs = {o.name: o.shape for o in self._open().get_outputs()}
            fits = outputs[LOGITS][1] == len(self.class_names)
        except UnicodeDecodeError as error:
            raise CheckpointError(
                f"the graph of {label} cannot be read as ONNX: {one_line(error)}"
            ) from error
        except (KeyError, IndexError, TypeError):
            fits = False
        if not fits:
            raise CheckpointError(
                f"the graph of {label} must have an output {LOGITS} of {len(self.class_names)} classes; "
                f"it has {outputs}"
            )

    def look(self, images: Sequence[np.ndarray]) -> list[Seen]:
        """Return what the network says; images of one size go through the network together.

        Raises:
            UsageError: ONNX Runtime cannot run the graph on an image of this size.
        """
        prepared = [self._prepare(image) for image in images]
        found: list[Seen | None] = [None] * len(images)
        for size in {p.shape for p in prepared}:
            places = [i for i, p in enumerate(prepared) if p.shape == size]
            logits = self._run(np.stack([prepared[i] for i in places]))
            for i, one in zip(places, logits, strict=True):
                found[i] = Seen(one)
        return [seen for seen in found if seen is not None]

    def _prepare(self, image: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(resize_image(image, self.working_size))

    def _run(self, images: np.ndarray) -> np.ndarray:
        session = self._open()
        try:
            logits: np.ndarray = session.run([LOGITS], {"image": images}, self._options)[0]
        except Exception as error:  # onnxruntime has a class per status, none of them public
            raise UsageError(f"{self.label} failed on images {images.shape}: {one_line(error)}") from error
        expected = (len(images), len(self.class_names))
        if logits.ndim != 4 or logits.shape[:2] != expected or not logits.size or logits.dtype.kind != "f":
            raise CheckpointError(
                f"the graph of {self.label} must return logits (N,{expected[1]},h,w) for images (N,H,W,3); "
                f"for {images.shape} it returned {logits.dtype} {logits.shape}"
            )
        return logits

    def _open(self) -> Any:
        """Return the session; a new one in another process, or where the number of threads has changed."""
        if self._session is not None and self._threads == num_threads():
            return self._session
        try:
            import onnxruntime as runtime
        except ImportError as error:
            raise UsageError(
                f"a monitor bundle needs ONNX Runtime ({error}); pip install 'segood[monitor]'"
            ) from None
        self._threads = num_threads()
        try:
            self._session = open_session(self._graph, self._threads)
        except Exception as error:
            raise CheckpointError(
                f"the graph of {self.label} cannot be read as ONNX: {one_line(error)}"
            ) from error
        self._options = runtime.RunOptions()
        self._options.only_execute_path_to_fetches = True  # the other outputs are for other users
        return self._session

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None, "_options": None}
