"""Bytes from anybody -> pixels, under limits that hold before the decoder runs.

In: the bytes of one image. Out: uint8 (H,W,3), RGB. The format is told by the first bytes, never by a name or
a content type; four formats are let in, each with its own decoder and no other. Sizes are read off the
header first, so that an image that would unpack to gigabytes is refused while it is still small. Pixels are
taken as stored, as in `segood.data.images`: an EXIF orientation is not applied.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from segood.data.images import rgb_pixels
from segood.deployment.service.problems import ServiceError
from segood.errors import DataError

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/bmp": "BMP"}
"""Content type -> Pillow's name of the format."""

MAX_JPEG_SCANS = 100
"""More passes over the whole picture than any encoder writes; each costs a full pass of the decoder."""

_DAMAGES = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError),
    *(struct.error, zlib.error, MemoryError),
)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def sniff(data: bytes) -> str | None:
    """Return Pillow's name of the format that the first bytes tell, None for others.

    Example:
        >>> sniff(b"BM" + bytes(30)), sniff(b"GIF89a")
        ('BMP', None)
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM"):
        return "BMP"
    return None


def decode_image(data: bytes, *, max_pixels: int) -> np.ndarray:
    """Decode one image.

    Args:
        data: a PNG, JPEG, WebP or BMP file.
        max_pixels: rows × columns at most.

    Returns:
        uint8 (H,W,3), RGB; the caller owns the array.

    Raises:
        ServiceError: `empty_body`, `unsupported_format`, `too_many_pixels`, `damaged_image`.

    Example:
        >>> buffer = io.BytesIO()
        >>> Image.new("L", (3, 2), 128).save(buffer, format="PNG")
        >>> decode_image(buffer.getvalue(), max_pixels=6).shape
        (2, 3, 3)
    """
    if not data:
        raise ServiceError("empty_body", "the image has no bytes")
    name = sniff(data)
    if name is None:
        raise ServiceError(
            "unsupported_format",
            "the bytes are none of PNG, JPEG, WebP, BMP; convert the image to one of them",
        )
    _check_before_opening(name, data, max_pixels)
    try:
        with Image.open(io.BytesIO(data), formats=[name]) as image:
            _check_size(image.height, image.width, max_pixels)
            if name in ("PNG", "WEBP") and getattr(image, "is_animated", False):
                raise ServiceError("damaged_image", "the image is animated; send one frame")
            image.load()
            return rgb_pixels(image)
    except DataError as error:
        raise ServiceError("damaged_image", str(error)) from error
    except _BOMBS as error:
        raise ServiceError("too_many_pixels", f"at most {max_pixels} pixels are allowed") from error
    except _DAMAGES as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        if "<_io.BytesIO" in reason:  # Pillow names the buffer where it would name a file
            reason = "the header makes no sense"
        raise ServiceError("damaged_image", f"damaged or truncated {name} image ({reason})") from error


def _check_before_opening(name: str, data: bytes, max_pixels: int) -> None:
    """Refuse what would cost memory or time already while the decoder looks at it."""
    size = None
    if name == "PNG":
        if len(data) >= 24 and data[12:16] == b"IHDR":
            columns, rows = struct.unpack(">II", data[16:24])
            size = rows, columns
        if b"IEND" not in data[-4096:] and b"IEND" not in data:
            # decoders accept a small PNG whose last rows never arrived
            raise ServiceError("damaged_image", "damaged or truncated PNG image (its end is missing)")
    elif name == "WEBP":
        size = _webp_size(data)  # the decoder allocates the whole canvas when it opens
    elif name == "JPEG" and data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise ServiceError("damaged_image", f"a JPEG of more than {MAX_JPEG_SCANS} scans")
    if size is not None:
        _check_size(*size, max_pixels)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        columns = 1 + int.from_bytes(data[24:27], "little")
        return 1 + int.from_bytes(data[27:30], "little"), columns
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    if kind == b"VP8 " and len(data) >= 30:
        columns, rows = struct.unpack("<HH", data[26:30])
        return rows & 0x3FFF, columns & 0x3FFF
    return None


def _check_size(rows: int, columns: int, max_pixels: int) -> None:
    if rows * columns > max_pixels:
        raise ServiceError(
            "too_many_pixels", f"the image has {rows} × {columns} pixels; at most {max_pixels} are allowed"
        )
