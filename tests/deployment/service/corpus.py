"""More than 500 inputs that are no good, the same ones every time.

In: nothing but seeds. Out: `Bad` inputs by kind. The kinds `flipped` may still be images: a decoder need not
notice a bit that changed; they are counted apart. All others have to be refused.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from tests.deployment.service.client import form

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "BMP": "image/bmp"}


@dataclass(frozen=True)
class Bad:
    """A request that should not get a result.

    Attributes:
        kind: what is wrong with it.
        body: as sent.
        headers: of the request.
        path: with query.
        raw: the whole request, in place of all that.
    """

    kind: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "image/png"})
    path: str = "/v1/detect"
    raw: bytes | None = None

    @property
    def may_pass(self) -> bool:
        """Whether a decoder may take it for an image."""
        return self.kind.startswith("flipped")


def street(rows: int = 48, columns: int = 64) -> np.ndarray:
    """Return a picture with structure and noise, so that encoders have something to encode."""
    rng = np.random.default_rng(5)
    ramp = np.add.outer(np.arange(rows) * 2, np.arange(columns))[..., None]
    picture: np.ndarray = (ramp + rng.integers(0, 90, (rows, columns, 3))).astype(np.uint8)
    return picture


def files() -> dict[str, bytes]:
    """Return good images by the kind of their encoding."""
    image = Image.fromarray(street())
    found = {}
    for name, image_format, options in (
        ("png", "PNG", {}),
        ("png_palette", "PNG", {}),
        ("jpeg", "JPEG", {"quality": 80}),
        ("jpeg_progressive", "JPEG", {"quality": 80, "progressive": True}),
        ("webp_lossy", "WEBP", {"quality": 70}),
        ("webp_lossless", "WEBP", {"lossless": True}),
        ("bmp", "BMP", {}),
    ):
        buffer = io.BytesIO()
        (image.convert("P") if name == "png_palette" else image).save(buffer, image_format, **options)
        found[name] = buffer.getvalue()
    return found


def corpus() -> Iterator[Bad]:
    """Yield all inputs."""
    yield from truncated()
    yield from flipped()
    yield from headers_that_lie()
    yield from bombs()
    yield from no_images()
    yield from wrong_types()
    yield from wrong_forms()
    yield from wrong_queries()
    yield from no_http()


def truncated() -> Iterator[Bad]:
    for name, data in files().items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        # The tail of some formats holds nothing of the picture: a cut there leaves a whole image.
        for cut in sorted({1, 2, 4, 8, 12, 16, 20, *rng.integers(21, int(0.9 * len(data)), 12).tolist()}):
            yield Bad("truncated", data[:cut], {"Content-Type": f"image/{name.partition('_')[0]}"})


def flipped() -> Iterator[Bad]:
    for name, data in files().items():
        rng = np.random.default_rng(zlib.crc32(name.encode()) + 1)
        kind = {"Content-Type": f"image/{name.partition('_')[0]}"}
        for _ in range(25):
            changed = bytearray(data)
            changed[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
            yield Bad("flipped bit", bytes(changed), kind)
        for _ in range(10):
            changed = bytearray(data)
            start = int(rng.integers(2, len(data) - 16))
            changed[start : start + 16] = rng.integers(0, 256, 16, np.uint8).tobytes()
            yield Bad("flipped run", bytes(changed), kind)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(columns: int, rows: int, data: bytes = b"", *, depth: int = 8, color: int = 2) -> bytes:
    """Return a PNG whose header says this and whose data is that."""
    header = struct.pack(">IIBBBBB", columns, rows, depth, color, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", png_chunk(b"IHDR", header)]
    return b"".join([*parts, png_chunk(b"IDAT", zlib.compress(data)), png_chunk(b"IEND", b"")])


def headers_that_lie() -> Iterator[Bad]:
    huge = (2**31 - 1, 2**24, 100_000, 65_535, 20_000, 4_000)
    for side in huge:
        for columns, rows in ((side, side), (side, 1_000_000), (1_000_000, side)):
            yield Bad("huge png", png(columns, rows))
    for columns, rows in ((0, 0), (0, 5), (5, 0), (2**32 - 1, 1), (1, 2**32 - 1)):
        yield Bad("odd png", png(columns, rows))
    for depth, color in ((3, 2), (8, 1), (32, 2), (0, 0), (255, 255), (16, 3)):
        yield Bad("odd png", png(8, 8, bytes(400), depth=depth, color=color))
    yield Bad("short png", png(64, 64, bytes(100)))
    good = files()
    for columns, rows in ((65_500, 65_500), (60_000, 40_000)):
        jpeg = bytearray(good["jpeg"])
        at = jpeg.index(b"\xff\xc0")
        jpeg[at + 5 : at + 9] = struct.pack(">HH", rows, columns)
        yield Bad("huge jpeg", bytes(jpeg), {"Content-Type": "image/jpeg"})
        bmp = bytearray(good["bmp"])
        bmp[18:26] = struct.pack("<ii", columns, rows)
        yield Bad("huge bmp", bytes(bmp), {"Content-Type": "image/bmp"})
    for columns, rows in ((-64, 48), (0, 0), (2**31 - 1, 2**31 - 1), (64, -(2**31))):
        bmp = bytearray(good["bmp"])
        bmp[18:26] = struct.pack("<ii", columns, rows)
        yield Bad("odd bmp", bytes(bmp), {"Content-Type": "image/bmp"})
    canvas = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2
    yield Bad("huge webp", canvas, {"Content-Type": "image/webp"})
    yield Bad("huge webp", canvas[:24] + b"\xff\xff\xff" * 2, {"Content-Type": "image/webp"})
    lossy = bytearray(good["webp_lossy"])
    lossy[26:30] = b"\xff\x3f\xff\x3f"
    yield Bad("huge webp", bytes(lossy), {"Content-Type": "image/webp"})


def bombs() -> Iterator[Bad]:
    yield Bad("bomb", png(4096, 4096, bytes((1 + 3 * 4096) * 4096)))  # 50 MB in 50 kB
    yield Bad("bomb", png(30_000, 30_000, bytes(10**7), depth=1, color=0))
    text = b"Comment\0\0" + zlib.compress(bytes(5 * 2**20))
    good = files()["png"]
    yield Bad("bomb", good[:33] + png_chunk(b"zTXt", text) + good[33:])
    yield Bad("bomb", png(100_000, 100_000)[:33] + png_chunk(b"iCCP", text) + good[33:])
    scans = files()["jpeg_progressive"]
    start = scans.index(b"\xff\xda")
    yield Bad("bomb", scans[:start] + scans[start:-2] * 150, {"Content-Type": "image/jpeg"})
    yield Bad("bomb", b"PK\x03\x04" + zlib.compress(bytes(10**7)))
    yield Bad("bomb", b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + zlib.compress(bytes(10**7)))
    frames = [Image.fromarray(street()) for _ in range(50)]
    for image_format in ("PNG", "WEBP"):
        frames[1] = Image.fromarray(255 - street())
        buffer = io.BytesIO()
        frames[0].save(buffer, image_format, save_all=True, append_images=frames[1:])
        yield Bad("animation", buffer.getvalue(), {"Content-Type": FORMATS[image_format]})
    for image_format in FORMATS:
        buffer = io.BytesIO()
        Image.new("L", (2000, 2000)).save(buffer, image_format)
        yield Bad("too many pixels", buffer.getvalue(), {"Content-Type": FORMATS[image_format]})
    yield Bad("too many bytes", files()["png"] + bytes(2**20))


def no_images() -> Iterator[Bad]:
    rng = np.random.default_rng(9)
    for length in (1, 2, 3, 10, 100, 1_000, 10_000):
        for kind in FORMATS.values():
            yield Bad("noise", rng.integers(0, 256, length, np.uint8).tobytes(), {"Content-Type": kind})
    magics = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\xff\0\0\0WEBPVP8 ", b"BM")
    for magic in magics:
        for length in (0, 1, 7, 60, 3_000):
            yield Bad("noise after a signature", magic + rng.integers(0, 256, length, np.uint8).tobytes())
    values: list[object] = [{}, [], {"image": "x"}, {"image": None}, "text", 1e308, [[[0] * 3] * 4] * 4]
    for value in values:
        yield Bad("json", json.dumps(value).encode())
    for text in (
        b"{",
        b"[" * 20_000,
        b'{"a":' * 5_000,
        b"<svg onload='x'/>",
        b"<?xml?><!DOCTYPE a [",
        b"\0" * 500,
    ):
        yield Bad("garbage", text)
    for image_format in ("GIF", "TIFF", "PPM", "ICO", "TGA", "JPEG2000", "PCX", "DDS", "PDF", "EPS"):
        buffer = io.BytesIO()
        Image.fromarray(street()).save(buffer, image_format)
        yield Bad("other format", buffer.getvalue())
    yield Bad("empty")
    noise = Image.fromarray(rng.random((8, 8), np.float32))
    buffer = io.BytesIO()
    noise.save(buffer, "TIFF")
    yield Bad("other format", buffer.getvalue())


def wrong_types() -> Iterator[Bad]:
    good = files()["png"]
    for kind in (
        "", " ", "image", "image/", "image/gif", "image/svg+xml", "image/tiff", "image/*", "*/*", "text/html",
        "application/json", "application/x-www-form-urlencoded", "application/octet-stream",
        "multipart/mixed",
        "multipart/form-dat", "image/png/png", "imagé/png", "image/png,image/png", "a" * 5_000,
    ):  # fmt: skip
        yield Bad("content type", good, {"Content-Type": kind.encode("latin-1").decode("latin-1")})
    for encoding in ("gzip", "deflate", "br", "zstd", "identity, gzip", "x"):
        yield Bad("content encoding", good, {"Content-Type": "image/png", "Content-Encoding": encoding})
    yield Bad("content type", json.dumps({"file": "a"}).encode(), {"Content-Type": "application/json"})


def wrong_forms() -> Iterator[Bad]:
    good = files()["png"]
    body, kind = form([("file", "a.png", good)])
    for header in (
        "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=other",
        "multipart/form-data; boundary=" + "x" * 300, 'multipart/form-data; boundary="', f"{kind}z",
        "multipart/form-data; charset=utf-99; boundary=é",
    ):  # fmt: skip
        yield Bad("boundary", body, {"Content-Type": header})
    rng = np.random.default_rng(11)
    for cut in sorted({0, 1, 5, *rng.integers(6, len(body) - 50, 25).tolist()}):
        yield Bad("truncated form", body[:cut], {"Content-Type": kind})
    nasty = (
        "../../../../etc/passwd", "..\\..\\windows\\system32", "/dev/zero", "C:\\con", "\\\\host\\share",
        "%00",
        "a" * 4_000, "%2e%2e%2f", "file:///etc/passwd", "http://127.0.0.1/", "; rm -rf", "$(reboot)",
        "'\\\"", "\t",
    )  # fmt: skip
    for name in nasty:
        broken, its_kind = form([("file", name.replace('"', "%22"), good[:100])])
        yield Bad("path-like name", broken, {"Content-Type": its_kind})
    for fields in (
        [("image", "a.png", good)],
        [("file", "a.png", good), ("file", "b.png", good)],
        [("file", "a.png", good), ("other", "b.png", good)],
        [("", "a.png", good)],
        [("file", "a.png", b"")],
        [("file", "a" * 5_000, good[:9])],
        [(f"f{i}", "a.png", b"x") for i in range(3_000)],
        [("x" * 10_000, "a.png", good)],
    ):
        wrong, its_kind = form(fields)
        yield Bad("fields", wrong, {"Content-Type": its_kind})
        yield Bad("fields", wrong, {"Content-Type": its_kind}, "/v1/detect/batch")
    boundary = {"Content-Type": "multipart/form-data; boundary=b"}
    for part in (
        b"", b"Content-Disposition: form-data\r\n", b"Content-Disposition: attachment; filename=a\r\n",
        b"Content-Disposition: form-data; name=file\r\n", b"Garbage\r\n", b"\xff\xfe: \xff\r\n", b": \r\n",
        b"Content-Disposition: form-data; name=\"file\r\n",
        b"Content-Disposition: form-data; name=\0; filename=\0\r\n",
        b"A: " + b"b" * 100_000 + b"\r\n", b"A: b\r\n" * 5_000,
    ):  # fmt: skip
        yield Bad("part headers", b"--b\r\n" + part + b"\r\n" + good[:50] + b"\r\n--b--\r\n", boundary)
    yield Bad("no batch", good, {"Content-Type": "image/png"}, "/v1/detect/batch")


def wrong_queries() -> Iterator[Bad]:
    good = files()["png"]
    for query in (
        "threshold=-1", "threshold=1.0000001", "threshold=nan", "threshold=inf", "threshold=1e999",
        "threshold=0x1",
        "threshold=", "threshold=0,5", "threshold=%00", "threshold[]=1", "threshold=" + "9" * 3_000,
        "Threshold=0.5",
        "probability_threshold=-0.0001", "probability_threshold=two", "format=JSON", "format=",
        "format=../../x",
        "detail=everything", "picture=svg", "masks=perhaps", "unknown=1", "=1", "threshold=0.5&threshold=two",
        "__proto__=1", "%ff=%ff",
    ):  # fmt: skip
        yield Bad("query", good, path=f"/v1/detect?{query}")
    for path in (
        "/v1/detect/../../etc/passwd",
        "/v1/%2e%2e/x",
        "//v1/detect",
        "/v1/detect%00",
        "/v2/detect",
        "/v1/detect/1",
    ):
        yield Bad("path", good, path=path)


def no_http() -> Iterator[Bad]:
    good = files()["png"]
    head = b"POST /v1/detect HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
    length = b"Content-Length: %d\r\n" % len(good)
    for raw in (
        b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"GARBAGE / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost a\r\n\r\n", b"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n",
        b"GET / HTTP/1.1\r\n : x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v1/detect HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        head + b"Content-Length: -5\r\n\r\n" + good, head + b"Content-Length: x\r\n\r\n" + good,
        head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + good,
        head + b"Transfer-Encoding: gzip\r\n\r\n" + good,
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + good,
        head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        head + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n0\r\n\r\n", head + b"\r\n",
        head + b"Content-Length: 1000\r\n\r\nabc",
        head.replace(b"POST", b"PUT") + length + b"\r\n" + good,
        head.replace(b"POST", b"TRACE") + b"\r\n", head.replace(b"POST", b"OPTIONS") + b"\r\n",
        b"GET /v1/detect HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ):  # fmt: skip
        yield Bad("http", raw=raw)
