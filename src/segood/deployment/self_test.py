"""The monitor's first act: the frame it was exported with has to look as it did then.

In: a monitor, a stored frame and what the exporter saw on it. Out: nothing, or one error. A damaged file is
found by its hashes; this finds a machine, a runtime or a version that computes something else.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from segood.deployment.detection import Detection
from segood.errors import DataError

if TYPE_CHECKING:
    from segood.deployment.monitor import Monitor

STEP = 16
"""Every 16th row and column of the entropy is stored."""

MOST_PIXELS = 2**25
"""Of the stored frame: 8192 × 4096."""

_BOMBS = (Image.DecompressionBombError, UserWarning, RuntimeWarning)

TOLERANCE = {"float32": 1e-3, "int8": 0.1}
"""Largest difference in entropy by precision; processors round 8-bit products in different ways."""


@dataclass(frozen=True)
class SelfTest:
    """A frame and what is to be seen on it.

    Attributes:
        image: uint8 (H,W,3).
        entropy: (H/16, W/16) float32.
        objects: boxes (row0, col0, row1, col1) of the reported objects, in order.
        tolerance: largest difference in entropy.
    """

    image: np.ndarray = field(repr=False)
    entropy: np.ndarray = field(repr=False)
    objects: tuple[tuple[int, int, int, int], ...]
    tolerance: float

    @classmethod
    def of(cls, seen: Detection, precision: str) -> SelfTest:
        """Make the test from what a monitor says."""
        return cls(
            seen.image, seen.score[::STEP, ::STEP], tuple(o.box for o in seen.objects), TOLERANCE[precision]
        )

    def to_parts(self) -> tuple[dict[str, Any], bytes]:
        """Return plain data and the frame as PNG."""
        buffer = io.BytesIO()
        Image.fromarray(self.image).save(buffer, format="PNG")
        values = {
            "step": STEP,
            "entropy": np.round(self.entropy.astype(np.float64), 6).tolist(),
            "objects": [list(box) for box in self.objects],
            "tolerance": self.tolerance,
        }
        return values, buffer.getvalue()

    @classmethod
    def from_parts(cls, values: dict[str, Any], image: bytes) -> SelfTest:
        """Build from the result of `to_parts`.

        Raises:
            DataError: something else.
        """
        try:
            pixels = _decoded(image)
            with np.errstate(over="ignore"):
                entropy = np.array(values["entropy"], np.float32)
            objects = tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in values["objects"])
            tolerance = float(values["tolerance"])
            if entropy.shape != pixels[::STEP, ::STEP].shape[:2] or values["step"] != STEP:
                raise ValueError("the stored entropy has another size than the frame")
        except (KeyError, TypeError, ValueError, OverflowError, OSError, SyntaxError, *_BOMBS) as error:
            raise DataError(f"the self-test of the bundle is damaged ({error}); export it again") from error
        return cls(pixels, entropy, objects, tolerance)


def _decoded(image: bytes) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's, about large images
        with Image.open(io.BytesIO(image), formats=["PNG"]) as picture:
            if picture.height * picture.width > MOST_PIXELS:
                raise ValueError(f"the frame has more than {MOST_PIXELS} pixels")
            return np.asarray(picture.convert("RGB"))


def run_self_test(monitor: Monitor, test: SelfTest, bundle: Path) -> None:
    """Raise `DataError` unless the monitor sees on the stored frame what the exporter saw."""
    seen = monitor(test.image)
    difference = float(np.abs(seen.score[::STEP, ::STEP] - test.entropy).max())
    if not difference <= test.tolerance:  # also catches NaN
        raise DataError(
            f"{bundle}: self-test failed: the entropy differs by up to {difference:.2g} from where the "
            f"bundle was made (allowed {test.tolerance:g}); try another ONNX Runtime, or export it again here"
        )
    found, expected = len(seen.objects), len(test.objects)
    if abs(found - expected) > max(1, 0.05 * expected):  # one at the threshold may come or go
        raise DataError(
            f"{bundle}: self-test failed: {found} objects on the stored frame, {expected} where the bundle "
            "was made; export it again with this version"
        )
