"""The network of a bundle in 8 bits: smaller, on some processors faster, and no longer quite the same.

In: a graph of `onnx_graph`, images like those it will see. Out: a graph whose convolutions compute on 8-bit
integers, weights per channel, activations with ranges taken from the images. Normalisation, resizing and
entropy stay float32.

Source: ONNX Runtime's static quantisation (MIT licence).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segood.errors import CheckpointError, UsageError, one_line
from segood.models.libraries import import_library

QUANTIZED = ("Conv",)
FEWEST_IMAGES = 8


def quantize_graph(graph: bytes, images: Sequence[np.ndarray]) -> bytes:
    """Quantise the convolutions of a graph.

    Args:
        graph: what `export_graph` returned.
        images: at least 8, uint8 (H,W,3), at the size the network sees; from the training set, not from one
            that numbers are measured on.

    Returns:
        The ONNX file.

    Raises:
        UsageError: too few images, or ONNX Runtime is missing.
        CheckpointError: ONNX Runtime cannot quantise this graph.
    """
    if len(images) < FEWEST_IMAGES:
        raise UsageError(
            f"quantising needs at least {FEWEST_IMAGES} images to take ranges from; got {len(images)}"
        )
    tools: Any = import_library("onnxruntime.quantization", "onnx", "quantising")
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises, for every graph, to optimise before
    try:
        with tempfile.TemporaryDirectory() as folder:
            given, prepared, made = (Path(folder) / name for name in ("a.onnx", "b.onnx", "c.onnx"))
            given.write_bytes(graph)
            tools.shape_inference.quant_pre_process(given, prepared, skip_symbolic_shape=True)
            tools.quantize_static(
                prepared,
                made,
                _Images(images),
                quant_format=tools.QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTIZED),
                per_channel=True,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
            )
            return made.read_bytes()
    except Exception as error:  # whatever the tool raises
        reason = f"{type(error).__name__} {one_line(error, 200)}"
        raise CheckpointError(f"the network cannot be quantised: {reason}") from error
    finally:
        logger.setLevel(level)


class _Images:
    """Images as ONNX Runtime asks for them, one by one."""

    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._left: Iterator[np.ndarray] = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next input, None after the last."""
        image = next(self._left, None)
        return None if image is None else {"image": np.ascontiguousarray(image)[None]}
