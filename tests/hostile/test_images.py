"""Images and label images from anybody: damaged, of all modes, and of sizes that their header made up."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.hostile.fuzzing import FORMS, Attack, Case, survive
from tests.hostile.mutations import damaged

from segood.data.images import image_size, is_misnamed, read_image, read_labels
from segood.errors import DataError, SegoodError

MODES = ("1", "L", "P", "LA", "PA", "RGB", "RGBA", "I;16", "I", "F", "CMYK", "YCbCr", "LAB", "HSV", "RGBX")
SIDES = (0, 1, 2, 7, 16, 255, 4096, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)


def seeds() -> list[bytes]:
    """Return small good images of all formats and modes that Pillow writes, and some others."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    whole = Image.fromarray(pixels)
    found = []
    for mode in MODES:
        image = (
            whole.convert("L").convert(mode) if mode in ("I;16", "I", "F", "PA") else _converted(whole, mode)
        )
        for name in (
            "PNG",
            "JPEG",
            "WEBP",
            "BMP",
            "GIF",
            "TIFF",
            "PPM",
            "MPO",
            "ICO",
            "JPEG2000",
            "TGA",
            "EPS",
        ):
            for options in ({}, {"compression": "tiff_lzw"} if name == "TIFF" else {"progressive": True}):
                buffer = io.BytesIO()
                try:
                    image.save(buffer, format=name, **options)
                except (OSError, ValueError, KeyError):  # the format does not hold this mode
                    continue
                found.append(buffer.getvalue())
    return sorted(set(found))


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        return Image.merge("LAB", image.split())
    return image.convert(mode)


def png(draw: random.Random) -> bytes:
    """Return a PNG whose checksums are right and whose chunks need not fit each other."""
    rows, cols = (draw.choice(SIDES) if draw.random() < 0.2 else draw.randrange(1, 20) for _ in range(2))
    depth, colour = draw.choice((1, 2, 4, 8, 16, 3)), draw.choice((0, 2, 3, 4, 6, 1))
    header = struct.pack(
        ">IIBBBBB", cols, rows, depth, colour, *(draw.choice((0, 0, 0, 1)) for _ in range(3))
    )
    pixels = zlib.compress(bytes(draw.choice((0, 1, 50, 1000, 100_000))))
    palette = bytes(range(256)) * 3
    text = b"a\0" + (
        b"\0" + zlib.compress(bytes(draw.choice((10, 2**20, 2**24)))) if draw.random() < 0.1 else b"b"
    )
    others = [
        (b"PLTE", palette[: draw.choice((0, 1, 3, 6, 768))]),
        (b"tRNS", bytes(draw.choice((0, 1, 2, 6, 256, 300)))),
        (
            draw.choice(
                (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"sRGB", b"gAMA", b"pHYs", b"acTL", b"fcTL")
            ),
            text,
        ),
    ]
    chunks = [
        (b"IHDR", header),
        *(c for c in others if draw.random() < 0.4),
        (b"IDAT", pixels),
        (b"IEND", b""),
    ]
    if draw.random() < 0.1:
        draw.shuffle(chunks)
    return chunked(chunks)


def chunked(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """Return a PNG of these chunks, with their checksums."""
    made = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


def read(path: Path) -> None:
    """Read a file as everything it may be, and raise the last refusal if none succeeds."""
    is_misnamed(path)
    refusal = None
    for reader in (read_image, read_labels, image_size):
        try:
            found = reader(path)
        except SegoodError as error:
            refusal = error
        else:
            assert isinstance(found, tuple) or found.dtype == np.uint8
    if refusal is not None:
        raise refusal


def bytes_of_images(folder: Path) -> Case:
    """Damage good files."""
    good = seeds()
    path = folder / "a.png"

    def case(draw: random.Random) -> None:
        path.write_bytes(damaged(draw, draw.choice(good), good))
        read(path)

    return case


def headers_of_png(folder: Path) -> Case:
    """Make PNG files with right checksums and wrong contents."""
    path = folder / "a.png"

    def case(draw: random.Random) -> None:
        path.write_bytes(png(draw))
        read(path)

    return case


ATTACKS: dict[str, Attack] = {"images": bytes_of_images, "PNG headers": headers_of_png}


@pytest.mark.parametrize("cases", FORMS)
def test_whatever_an_image_holds(cases: int, tmp_path: Path) -> None:
    survive("test_images", cases, tmp_path)


def png_of(columns: int, rows: int, *chunks: tuple[bytes, bytes], colour: int = 2) -> bytes:
    """Return a PNG of a size that its pixels need not have."""
    header = struct.pack(">IIBBBBB", columns, rows, 8, colour, 0, 0, 0)
    return chunked([(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")])


def saved(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=name, **options)
    return buffer.getvalue()


ONCE_FAILED: dict[str, tuple[bytes, str]] = {
    # a warning of Pillow's was printed, and 300 MB were decoded
    "between warning and error": (png_of(10_000, 9_000), "has more than 89478485 pixels; scale it down"),
    "a bomb": (png_of(60_000, 60_000), "has more than 89478485 pixels; scale it down"),
    # ValueError: palette index out of range
    "palette of one colour": (
        png_of(2, 2, (b"PLTE", b"\1\2\3"), (b"tRNS", bytes(300)), colour=3),
        "pixels cannot be converted to RGB",
    ),
    # libtiff printed what it thought of it
    "TIFF": (saved(Image.new("L", (9, 9)), "TIFF", compression="tiff_lzw"), "cannot be read as an image"),
    # Pillow hands it to Ghostscript, a program that runs what the file says
    "EPS": (saved(Image.new("L", (9, 9)), "EPS"), "cannot be read as an image"),
}


@pytest.mark.parametrize("name", list(ONCE_FAILED))
def test_cases_that_once_failed(name: str, tmp_path: Path) -> None:
    content, message = ONCE_FAILED[name]
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.png: .*{message}"):
        read_image(path)


def test_a_jpeg_of_endless_scans(tmp_path: Path) -> None:
    """Each scan takes a pass over the whole picture: seconds for a few kilobytes."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8))
    content = saved(noise, "JPEG", progressive=True)
    start, end = content.rfind(b"\xff\xda"), content.rfind(b"\xff\xd9")
    path = tmp_path / "a.jpg"
    path.write_bytes(content[:start] + content[start:end] * 200 + content[end:])
    with pytest.raises(DataError, match=r"a\.jpg: damaged .*more than 100 scans"):
        read_image(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")  # reading it would wait for ever
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "one.png").symlink_to(tmp_path / "two.png")
    (tmp_path / "two.png").symlink_to(tmp_path / "one.png")
    (tmp_path / "folder.png").mkdir()
    with (tmp_path / "large.png").open("wb") as file:
        file.write(png_of(2, 2))
        file.truncate(2**40)  # takes no space
    cases = {
        "pipe.png": "is a pipe or a device",
        "zero.png": "is a pipe or a device",
        "one.png": "Too many levels of symbolic links",
        "folder.png": "Is a directory",
        "large.png": "is larger than 1 GiB",
        "x" * 300 + ".png": "File name too long",
        "\0.png": "embedded null byte",
    }
    for name, message in cases.items():
        for reader in (read_image, read_labels, image_size):
            with pytest.raises(DataError, match=message):
                reader(tmp_path / name)
