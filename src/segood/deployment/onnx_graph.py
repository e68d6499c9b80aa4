"""A segmentation network as an ONNX graph that takes images as they come from a camera.

In: a `SegmentationModel`. Out: the bytes of an ONNX file, with

    image            uint8 (N,H,W,3), RGB, any N, H, W
    entropy          float32 (N,H,W), normalised, in [0,1]
    classes          uint8 (N,H,W), predicted train id (int32 beyond 256 classes)
    logits           float32 (N,q,H,W)
    network_logits   float32 (N,q,h,w), at the network's own resolution: what segood's monitor reads

Normalisation, channel order, padding and upsampling lie within the graph; resizing to a working size does
not.
"""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from segood.deployment.networks import LOGITS
from segood.errors import CheckpointError, UsageError, one_line
from segood.models.adaptive_pooling import pooling_for_all_sizes
from segood.models.libraries import import_library
from segood.models.tiling import resize_logits

if TYPE_CHECKING:
    from segood.models import SegmentationModel

OPSET = 18
EXAMPLE = (2, 136, 184)
"""N, H, W of the images that the exporter looks at: no two sizes within the network are equal by chance."""


class ImageToEntropy(nn.Module):
    """What the graph computes.

    Args:
        model: any network; its `inference` is not followed.
    """

    def __init__(self, model: SegmentationModel) -> None:
        super().__init__()
        self.model = model
        self._scale = 1.0 / math.log(model.num_classes)
        self._class_type = torch.uint8 if model.num_classes <= 256 else torch.int32

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return entropy, classes, logits and the network's own logits of images (N,H,W,3)."""
        images = image.permute(0, 3, 1, 2).float() / 255.0
        coarse = self.model.network_logits(images)
        logits = resize_logits(coarse, (image.shape[1], image.shape[2]))
        log_probs = logits.log_softmax(1)
        entropy = (-(log_probs.exp() * log_probs).sum(1) * self._scale).clamp(0.0, 1.0)
        return entropy, logits.argmax(1).to(self._class_type), logits, coarse


def export_graph(model: SegmentationModel, size: tuple[int, int] | None = None) -> bytes:
    """Export a network.

    Args:
        model: on the CPU.
        size: the only (rows, columns) that the graph has to take; None for all. Networks that cut the image
            into windows, as Swin does, take many minutes to export for all sizes.

    Returns:
        The ONNX file.

    Raises:
        UsageError: the packages onnx and onnxscript are missing, or the network is an ONNX file already.
        CheckpointError: the network cannot be exported for all sizes; the reason is named.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_library(package, "onnx", "exporting")
    if not model.gives_gradients:
        raise UsageError(
            f"{model.label} is an ONNX file; export the PyTorch network it was made from, as normalisation "
            "and entropy have to go into the graph"
        )
    module = ImageToEntropy(model).eval()
    open_axes = range(3) if size is None else range(1)
    example = torch.zeros(EXAMPLE[0], *(size or EXAMPLE[1:]), 3, dtype=torch.uint8)
    try:
        with _quiet(), pooling_for_all_sizes(), torch.no_grad():
            program = torch.export.export(
                module,
                (example,),
                dynamic_shapes=(dict.fromkeys(open_axes, torch.export.Dim.DYNAMIC),),
                strict=False,
                # conditions on sizes that only decide between equal ways are no reason to refuse a size
                prefer_deferred_runtime_asserts_over_guards=True,
            )
            made = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=["image"],
                output_names=["entropy", "classes", "logits", LOGITS],
                verbose=False,
            )
        assert made is not None
        return made.model_proto.SerializeToString()
    except Exception as error:  # whatever the exporter and the network raise
        raise CheckpointError(f"{model.label} cannot be exported to ONNX: {one_line(error, 200)}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Mute what the exporter tells about its own inside."""
    # torch.__trace writes down every step for whoever listens, which costs more than the export itself
    names = ("torch.onnx", "torch.export", "torch.__trace", "onnxscript", "onnx_ir")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def check_graph(graph: bytes, model: SegmentationModel, sizes: tuple[tuple[int, int, int], ...]) -> float:
    """Compare all outputs of the graph with the network's, on noise.

    Args:
        graph: what `export_graph` returned.
        model: the network.
        sizes: N, H, W to try.

    Returns:
        The largest difference in entropy.

    Raises:
        CheckpointError: the graph does not run at one of them, or returns other shapes.
    """
    runtime: Any = import_library("onnxruntime", "onnx", "exporting")
    session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    module, worst = ImageToEntropy(model).eval(), 0.0
    draw = np.random.default_rng(0)
    for size in sizes:
        images = draw.integers(0, 256, (*size, 3), dtype=np.uint8)
        with torch.no_grad():
            expected = [value.numpy() for value in module(torch.from_numpy(images))]
        try:
            found = session.run(["entropy", "classes", "logits", LOGITS], {"image": images})
        except Exception as error:
            raise CheckpointError(
                f"the exported {model.label} fails on images {size}: {one_line(error, 200)}"
            ) from error
        shapes = [value.shape for value in found]
        # The network's own logits may come finer than PyTorch leaves them, where images are padded.
        if shapes[:3] != [value.shape for value in expected[:3]] or shapes[3][:2] != expected[3].shape[:2]:
            raise CheckpointError(f"the exported {model.label} returns {shapes} for images {size}")
        worst = max(worst, float(np.abs(found[0] - expected[0]).max()))
    return worst
