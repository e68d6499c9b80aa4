"""Pictures as files and as text inside a page.

In: uint8 RGB arrays. Out: image files written atomically, WebP bytes, `data:` URIs.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from segood.checks import check_choice
from segood.errors import UsageError
from segood.files import write_image

SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")


def shrink(image: np.ndarray, max_width: int) -> np.ndarray:
    """Return `image` with at most `max_width` columns, same aspect ratio, averaged over pixel areas.

    Args:
        image: uint8 (H,W,3) or (H,W).
        max_width: largest number of columns; smaller frames stay as they are.

    Example:
        >>> shrink(np.zeros((100, 200, 3), np.uint8), 50).shape
        (25, 50, 3)
    """
    height, width = image.shape[:2]
    if width <= max_width:
        return image
    size = (max_width, max(1, round(height * max_width / width)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def save_picture(path: str | Path, image: np.ndarray, *, quality: int = 85) -> Path:
    """Write an RGB picture to `path`; the suffix chooses PNG, WebP or JPEG.

    Args:
        path: file to write, atomically; its folder is created.
        image: uint8 (H,W,3), RGB.
        quality: 1..100, for WebP and JPEG.

    Returns:
        `path`, as a `Path`.

    Raises:
        UsageError: unknown suffix.
        OutputError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_picture(Path(folder) / "black.png", np.zeros((2, 3, 3), np.uint8)).name
        'black.png'
    """
    path = Path(path)
    check_choice("suffix", path.suffix.lower(), SUFFIXES)
    write_image(path, Image.fromarray(image), quality=quality)
    return path


def encode_webp(image: np.ndarray, *, max_width: int = 640, quality: int = 75) -> bytes:
    """Encode a picture as WebP.

    Args:
        image: uint8 (H,W,3), RGB, or (H,W), grey.
        max_width: largest number of columns, as for `shrink`.
        quality: 1..100.

    Returns:
        The bytes of a WebP file; the same picture gives the same bytes.

    Raises:
        UsageError: `image` has another type or shape.

    Example:
        >>> webp = encode_webp(np.zeros((200, 400, 3), np.uint8), max_width=40)
        >>> webp[:4], webp[8:12]
        (b'RIFF', b'WEBP')
    """
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise UsageError(f"`image` must be uint8 (H,W,3) or (H,W); got {image.dtype} {image.shape}")
    buffer = io.BytesIO()
    Image.fromarray(shrink(image, max_width)).save(buffer, format="WEBP", quality=quality, method=4)
    return buffer.getvalue()


def data_uri(webp: bytes) -> str:
    """Return WebP bytes as a `data:` URI for the `src` of an image."""
    return "data:image/webp;base64," + base64.b64encode(webp).decode("ascii")
