"""Bytes to pixels, and what is refused before a decoder sees it."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image
from tests.deployment.service.red_monitor import encoded, picture

from segood.data.images import read_image
from segood.deployment.service.decoding import decode_image, sniff
from segood.deployment.service.problems import ServiceError


def png_header(columns: int, rows: int) -> bytes:
    """Return a PNG that announces a size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "BMP"])
def test_lossless_formats_come_back_exactly(image_format: str) -> None:
    data = encoded(image_format=image_format)
    assert sniff(data) == image_format
    assert np.array_equal(decode_image(data, max_pixels=32 * 64), picture())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pixels_are_those_of_the_command_line(mode: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    grey = Image.fromarray(picture()).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        image = Image.fromarray(picture()).convert(mode)
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    image.save(path)
    assert np.array_equal(decode_image(path.read_bytes(), max_pixels=10**6), read_image(path))


def test_transparent_palette_is_that_of_the_command_line(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "x.png"
    Image.fromarray(picture()).convert("P").save(path, transparency=0)
    assert np.array_equal(decode_image(path.read_bytes(), max_pixels=10**6), read_image(path))


@pytest.mark.parametrize(
    "data",
    [
        png_header(100_000, 100_000),
        encoded(np.zeros((40, 60, 3), np.uint8)),
        encoded(np.zeros((40, 60, 3), np.uint8), "JPEG"),
        encoded(np.zeros((40, 60, 3), np.uint8), "WEBP"),
        encoded(np.zeros((40, 60, 3), np.uint8), "BMP"),
        b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2,
    ],
    ids=["bomb", "png", "jpeg", "webp", "bmp", "webp_canvas"],
)
def test_too_many_pixels_are_refused_by_the_header(data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(ServiceError, match="at most 2399 are allowed") as caught:
        decode_image(data, max_pixels=2399)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (caught.value.code, caught.value.status) == ("too_many_pixels", 413)
    assert peak < 2**20


def test_a_bomb_within_the_limit_of_the_service_is_still_one_for_pillow() -> None:
    with pytest.raises(ServiceError, match="pixels are allowed") as caught:
        decode_image(png_header(20_000, 20_000), max_pixels=10**12)
    assert caught.value.code == "too_many_pixels"


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_truncated_images_are_refused(image_format: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    data = encoded(noise, image_format)
    with pytest.raises(ServiceError, match=r"damaged or truncated|pixels") as caught:
        decode_image(data[: int(share * len(data))], max_pixels=10**6)
    assert caught.value.status in (413, 422)


def test_png_whose_end_is_missing_is_refused() -> None:
    data = encoded()
    with pytest.raises(ServiceError, match="its end is missing"):
        decode_image(data[: data.index(b"IEND") - 4], max_pixels=10**6)


@pytest.mark.parametrize("image_format", ["GIF", "TIFF", "PPM", "ICO"])
def test_other_formats_have_no_decoder_here(image_format: str) -> None:
    with pytest.raises(ServiceError, match="none of PNG, JPEG, WebP, BMP") as caught:
        decode_image(encoded(image_format=image_format), max_pixels=10**6)
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_animations_are_refused(image_format: str) -> None:
    frames = [Image.fromarray(picture()), Image.fromarray(255 - picture())]
    buffer = io.BytesIO()
    frames[0].save(buffer, format=image_format, save_all=True, append_images=frames[1:])
    with pytest.raises(ServiceError, match="animated"):
        decode_image(buffer.getvalue(), max_pixels=10**6)


def test_jpeg_of_a_thousand_scans_is_refused() -> None:
    data = encoded(image_format="JPEG", progressive=True)
    start = data.index(b"\xff\xda")
    with pytest.raises(ServiceError, match="more than 100 scans"):
        decode_image(data[:start] + data[start:-2] * 200, max_pixels=10**6)


def test_text_that_unpacks_to_megabytes_is_refused() -> None:
    data = encoded()
    text = b"Comment\0\0" + zlib.compress(bytes(3 * 2**20))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    with pytest.raises(ServiceError, match="damaged or truncated PNG"):
        decode_image(data[:33] + chunk + data[33:], max_pixels=10**6)


def test_no_bytes() -> None:
    with pytest.raises(ServiceError, match="no bytes"):
        decode_image(b"", max_pixels=1)
