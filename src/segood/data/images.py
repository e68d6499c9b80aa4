"""Reading images and label maps from disk: content decides, the file's name does not.

In: a path. Out: uint8 arrays, RGB (H,W,3) for images and plain values (H,W) for label maps, or
one `DataError` that names the file and what to do.

Images are taken as stored: an EXIF orientation is not applied, because label maps and polygon
annotations refer to the stored pixels.

Files may come from anybody: only some formats are let in (for EPS Pillow would run another program, the
decoder of TIFF prints), an image of more than 89 million pixels (`PIL.Image.MAX_IMAGE_PIXELS`) is refused by
its header, and so are pipes and devices, which never end.
"""

from __future__ import annotations

import contextlib
import mmap
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from segood.errors import DataError, system_says

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""Suffixes of files taken for images, compared in lower case."""

_FORMAT_SUFFIXES = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "WEBP": (".webp",)}
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM")
_MOST_BYTES = 2**30
MAX_JPEG_SCANS = 100
"""More passes over the whole picture than any encoder writes; each costs a full pass of the decoder."""

_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# All that Pillow's decoders are known to raise on damaged files; DecompressionBombError derives from none.
_DECODING_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError),
    *(struct.error, zlib.error, MemoryError, *_BOMBS),
)
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N", "I")


def sniff_format(path: str | Path) -> str | None:
    """Return the format a file's first bytes tell: `PNG`, `JPEG`, `WEBP`, or `None` for others.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "photo.png"
        ...     Image.new("RGB", (4, 4)).save(file, format="JPEG")
        ...     sniff_format(file)
        'JPEG'
    """
    try:
        with Path(path).open("rb") as handle:
            head = handle.read(12)
    except OSError:
        return None
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "WEBP"
    return None


def is_misnamed(path: str | Path) -> bool:
    """Tell whether a file holds another known format than its suffix says."""
    found = sniff_format(path)
    return found is not None and Path(path).suffix.lower() not in _FORMAT_SUFFIXES[found]


def image_size(path: str | Path) -> tuple[int, int]:
    """Return (height, width) in pixels from a file's header, without decoding it.

    Raises:
        DataError: the file is missing or no image.
    """
    try:
        with _opened(path) as image:
            return image.height, image.width
    except _DECODING_ERRORS as error:
        raise _unreadable(path, error) from error


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as RGB.

    Grey, palette, CMYK and 16-bit images become 8-bit RGB (16 bits lose their low byte);
    transparency is dropped, the colours below it stay.

    Args:
        path: PNG, JPEG, WebP, BMP, GIF or PPM, under any name.

    Returns:
        uint8 (H,W,3), RGB, 0..255; the caller owns the array.

    Raises:
        DataError: missing, unreadable, truncated, or of a pixel type that has no 8-bit meaning.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "grey.png"
        ...     Image.new("L", (2, 1), 128).save(file)
        ...     read_image(file).tolist()
        [[[128, 128, 128], [128, 128, 128]]]
    """
    image = _decode(path)
    try:
        return rgb_pixels(image)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def rgb_pixels(image: Image.Image) -> np.ndarray:
    """Return a decoded image as uint8 (H,W,3), RGB; 16 bits lose their lower half.

    Raises:
        DataError: pixels without a defined brightness.
    """
    if image.mode in _SIXTEEN_BIT:
        values = np.asarray(image)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise DataError("32-bit grey values outside 0..65535; store the image with 8 or 16 bits")
        grey = (values >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode == "F":
        raise DataError("floating-point pixels have no defined brightness; store the image with 8 bits")
    try:
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")
        return np.array(image if image.mode == "RGB" else image.convert("RGB"), np.uint8)
    except ValueError as error:  # a palette that does not fit, colours without a way to RGB
        raise DataError(f"pixels cannot be converted to RGB ({error}); export the image again") from error


def resize_image(image: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Resize a frame, with Pillow's bilinear on uint8 (with antialiasing); itself where nothing is to do.

    Args:
        image: uint8 (H,W,3), RGB.
        size: (rows, columns); None keeps the size.

    Example:
        >>> resize_image(np.zeros((4, 6, 3), np.uint8), (2, 3)).shape
        (2, 3, 3)
    """
    if size is None or image.shape[:2] == tuple(size):
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def read_labels(path: str | Path) -> np.ndarray:
    """Read a label map: one value per pixel.

    Accepted are grey maps of 1, 8 or 16 bits, palette images (their indices are the labels) and
    colour images whose channels are equal.

    Args:
        path: PNG or another lossless file, under any name.

    Returns:
        uint8 (H,W), values as stored; the caller owns the array.

    Raises:
        DataError: missing, unreadable, truncated, JPEG (which alters values), values above 255,
            or a colour picture in place of labels.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "labels.png"
        ...     Image.new("L", (3, 1), 11).save(file)
        ...     read_labels(file).tolist()
        [[11, 11, 11]]
    """
    image = _decode(path)
    if image.format in ("JPEG", "MPO"):
        raise DataError(f"{path}: label maps must be stored without loss, but this is a JPEG; use PNG")
    if image.mode in ("L", "P", "1"):
        return np.array(image, np.uint8)
    if image.mode in _SIXTEEN_BIT:
        values = np.asarray(image)
        if values.min(initial=0) < 0 or values.max(initial=0) > 255:
            raise DataError(
                f"{path}: label values must lie in 0..255, found {values.max()}; "
                "is this an instance map? use the semantic labels"
            )
        return values.astype(np.uint8)
    if image.mode in ("LA", "RGB", "RGBA"):
        channels = np.asarray(image)
        if image.mode == "LA":
            return channels[..., 0].copy()
        if (channels[..., 0] == channels[..., 1]).all() and (channels[..., 0] == channels[..., 2]).all():
            return channels[..., 0].copy()
        raise DataError(
            f"{path}: a colour picture, not a label map; use the file that holds one label per pixel"
        )
    raise DataError(f"{path}: pixel type {image.mode!r} cannot hold labels; use an 8-bit grey PNG")


def _decode(path: str | Path) -> Image.Image:
    """Open and decode completely, so that a truncated file fails here and not later."""
    try:
        with _opened(path) as image:
            if image.format in ("JPEG", "MPO"):
                _check_scans(Path(path))
            image.load()
            if image.format == "PNG":
                _check_png(Path(path))
            return image
    except _DECODING_ERRORS as error:
        raise _unreadable(path, error) from error


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """Open what can be an image at all; Pillow's warnings are about what is taken, or refused, anyway."""
    status = Path(path).stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise DataError(f"{path}: is a pipe or a device; give an image file")
    if status.st_size > _MOST_BYTES:
        raise DataError(f"{path}: is larger than {_MOST_BYTES >> 30} GiB; give an image file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=_FORMATS) as image:
            yield image


def _check_scans(path: Path) -> None:
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
        position = -2
        for _ in range(MAX_JPEG_SCANS + 1):
            position = content.find(b"\xff\xda", position + 2)
            if position < 0:
                return
    raise OSError(f"a JPEG of more than {MAX_JPEG_SCANS} scans")


def _check_png(path: Path) -> None:
    """Follow the chunks to the closing one; decoders accept rows that never arrived, or arrived changed."""
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
        position, kind = 8, b""
        while kind != b"IEND":
            length, kind = struct.unpack(">I4s", content[position : position + 8].ljust(8, b"\0"))
            end = position + 8 + length
            if end + 4 > len(content):
                raise OSError("image file is truncated, its end is missing")
            if kind in (b"IDAT", b"IEND"):  # of the others those that matter were checked on opening
                with memoryview(content) as view, view[position + 4 : end] as covered:
                    checksum = zlib.crc32(covered)
                if checksum != int.from_bytes(content[end : end + 4], "big"):
                    raise OSError("a checksum of the PNG file does not match its content")
            position = end + 4


def _unreadable(path: str | Path, error: BaseException) -> DataError:
    if isinstance(error, UnidentifiedImageError):
        return DataError(f"{path}: cannot be read as an image; the file is damaged or holds something else")
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: no such file (or a link that leads nowhere)")
    if isinstance(error, OSError) and error.strerror:
        return DataError(f"{path}: {system_says(error)}")
    if isinstance(error, _BOMBS):
        return DataError(f"{path}: has more than {Image.MAX_IMAGE_PIXELS} pixels; scale it down")
    if isinstance(error, MemoryError):
        return DataError(f"{path}: decoding it needs more memory than there is")
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(f"{path}: damaged or truncated image ({reason}); fetch or export it again")
