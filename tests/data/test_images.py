"""Reading images and label maps: content decides, every damage gives one line with the file's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segood.data.images import image_size, is_misnamed, read_image, read_labels, sniff_format
from segood.errors import DataError

RAMP = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 10


def save(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)  # type: ignore[arg-type]
    return path


def test_png_and_lossless_webp_give_back_every_pixel(tmp_path: Path) -> None:
    for name, options in (("a.png", {}), ("a.webp", {"lossless": True})):
        np.testing.assert_array_equal(read_image(save(tmp_path / name, RAMP, **options)), RAMP)


def test_content_wins_over_the_name(tmp_path: Path) -> None:
    grey = np.full((8, 8, 3), 77, np.uint8)
    path = save(tmp_path / "photo.png", grey, format="JPEG", quality=95)
    assert sniff_format(path) == "JPEG"
    assert is_misnamed(path)
    np.testing.assert_allclose(read_image(path), grey, atol=2)
    assert not is_misnamed(save(tmp_path / "PHOTO.JPG", grey, format="JPEG"))
    assert not is_misnamed(save(tmp_path / "other.webp", grey))


def test_alpha_is_dropped_and_colours_stay(tmp_path: Path) -> None:
    alpha = np.full((2, 3, 1), 7, np.uint8)
    np.testing.assert_array_equal(
        read_image(save(tmp_path / "a.png", np.concatenate([RAMP, alpha], 2))), RAMP
    )


def test_grey_palette_and_one_bit_images_become_rgb(tmp_path: Path) -> None:
    grey = RAMP[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_image(save(tmp_path / "l.png", grey)), expected)
    palette = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(tmp_path / "p.png", transparency=0)
    assert read_image(tmp_path / "p.png")[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png").tolist() == [[[255] * 3, [0] * 3]]


def test_sixteen_bits_keep_their_high_byte(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 65535]], np.uint16)
    path = save(tmp_path / "a.png", values)
    assert read_image(path)[0, :, 0].tolist() == [0, 0, 1, 255]


def test_floating_point_image_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.pfm", np.ones((2, 2), np.float32), format="PPM")
    with pytest.raises(DataError, match=r"a\.pfm: floating-point pixels .* store the image with 8 bits"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_truncated_image_is_named(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"cut.{suffix}", noise)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        DataError, match=rf"cut\.{suffix}: (damaged or truncated image|cannot be read as an image)"
    ):
        read_image(path)


def test_every_truncation_of_a_tiny_png_is_found(tmp_path: Path) -> None:
    """Pillow alone accepts these, filling missing rows with zeros."""
    content = save(tmp_path / "a.png", np.array([[7, 33, 0]], np.uint8)).read_bytes()
    path = tmp_path / "cut.png"
    for length in range(1, len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"cut\.png: "):
            read_labels(path)
    path.write_bytes(content + b"appended" * 1000)
    assert read_labels(path).tolist() == [[7, 33, 0]]


def test_flipped_bytes_never_escape_as_another_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    rng = np.random.default_rng(1)
    for suffix in ("png", "jpg", "webp"):
        content = bytearray(save(tmp_path / f"a.{suffix}", noise).read_bytes())
        for _ in range(60):
            damaged = content.copy()
            for position in rng.integers(0, len(content), 5):
                damaged[position] = rng.integers(256)
            path = tmp_path / f"b.{suffix}"
            path.write_bytes(damaged)
            try:
                assert read_image(path).dtype == np.uint8
            except DataError as error:
                assert f"b.{suffix}" in str(error)  # noqa: PT017  (both outcomes are fine)
                assert "\n" not in str(error)  # noqa: PT017


def test_text_missing_and_folder_are_named(tmp_path: Path) -> None:
    text = tmp_path / "notes.png"
    text.write_text("no image")
    with pytest.raises(DataError, match=r"notes\.png: cannot be read as an image"):
        read_image(text)
    with pytest.raises(DataError, match=r"gone\.png: no such file"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(DataError, match="Is a directory"):
        read_image(tmp_path)
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(DataError, match=r"link\.png: no such file .*link"):
        image_size(tmp_path / "link.png")
    with pytest.raises(DataError, match=r"notes\.png"):
        read_labels(text)
    assert sniff_format(tmp_path / "gone.png") is None


def test_labels_of_all_lossless_kinds_agree(tmp_path: Path) -> None:
    labels = np.array([[0, 7], [33, 255]], np.uint8)
    kinds = {
        "grey.png": Image.fromarray(labels),
        "wide.png": Image.fromarray(labels.astype(np.uint16)),
        "rgb.png": Image.fromarray(np.repeat(labels[..., None], 3, axis=2)),
        "rgba.png": Image.fromarray(np.repeat(labels[..., None], 4, axis=2)),
        "la.png": Image.fromarray(labels).convert("LA"),
    }
    palette = Image.fromarray(labels)
    palette.putpalette([i // 3 for i in range(768)])
    kinds["palette.png"] = palette
    for name, image in kinds.items():
        image.save(tmp_path / name)
        found = read_labels(tmp_path / name)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, labels, err_msg=name)
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bit.png")
    assert read_labels(tmp_path / "bit.png").tolist() == [[1, 0]]


def test_what_is_no_label_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"i\.png: label values must lie in 0\.\.255, found 26001.*instance map"
    ):
        read_labels(save(tmp_path / "i.png", np.array([[7, 26001]], np.uint16)))
    with pytest.raises(DataError, match=r"c\.png: a colour picture, not a label map"):
        read_labels(save(tmp_path / "c.png", RAMP))
    with pytest.raises(
        DataError, match=r"j\.png: label maps must be stored without loss, but this is a JPEG"
    ):
        read_labels(save(tmp_path / "j.png", RAMP[..., 0], format="JPEG"))
    with pytest.raises(DataError, match=r"f\.pfm: pixel type 'F' cannot hold labels"):
        read_labels(save(tmp_path / "f.pfm", np.ones((2, 2), np.float32), format="PPM"))


def test_size_comes_from_the_header(tmp_path: Path) -> None:
    assert image_size(save(tmp_path / "a.png", RAMP)) == (2, 3)


def test_no_changed_bit_of_a_png_goes_unnoticed(tmp_path: Path) -> None:
    file = tmp_path / "labels.png"
    Image.fromarray(np.eye(60, dtype=np.uint8)).save(file)
    content = file.read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 0x10
        file.write_bytes(changed)
        with pytest.raises(DataError, match=r"labels\.png: "):
            read_labels(file)
