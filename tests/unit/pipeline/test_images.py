"""Decoding pictures from anywhere: what comes out, what is refused, what never crashes."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import InputError
from pipeline.images import MAX_PIXELS, MAX_SIDE, array_to_png, decode_image, png_to_array

RED, WHITE = [255, 0, 0], [255, 255, 255]
ORIENTATION, GPS, CAMERA = 0x0112, 0x8825, 0x0110


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decode(data: bytes) -> NDArray[np.uint8]:
    return png_to_array(decode_image(data, name="picture"))


def noise(height: int = 12, width: int = 20, channels: int = 3) -> NDArray[np.uint8]:
    generator = np.random.default_rng(5)
    return generator.integers(0, 256, (height, width, channels), dtype=np.uint8)


def header_only_png(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds almost nothing."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
              (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]  # fmt: skip
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_an_rgb_png_keeps_every_pixel() -> None:
    np.testing.assert_array_equal(decode(encode(Image.fromarray(noise()))), noise())


def test_an_array_survives_png_there_and_back() -> None:
    np.testing.assert_array_equal(png_to_array(array_to_png(noise())), noise())


def test_the_same_picture_gives_the_same_bytes() -> None:
    data = encode(Image.fromarray(noise()))
    assert decode_image(data, name="a") == decode_image(data, name="b")


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_other_formats_come_out_as_rgb_png(kind: str) -> None:
    png = decode_image(encode(Image.new("RGB", (9, 7), "red"), kind, quality=95), name="p")
    assert png.startswith(b"\x89PNG")
    # Lossy formats moved pure red by up to 3 levels.
    assert np.abs(png_to_array(png).astype(int) - RED).max() <= 6


def test_a_picture_is_judged_by_content_not_by_name() -> None:
    assert decode_image(encode(Image.new("RGB", (4, 4)), "JPEG"), name="x.png")


@pytest.mark.parametrize(("mode", "colour"), [
    ("1", 1), ("L", 255), ("LA", (0, 0)), ("RGBA", (9, 9, 9, 0)), ("I;16", 65535),
])  # fmt: skip
def test_white_or_clear_pixels_of_any_mode_become_white(mode: str, colour: Any) -> None:
    np.testing.assert_array_equal(decode(encode(Image.new(mode, (3, 2), colour)))[0, 0], WHITE)


def test_half_transparent_black_over_white_is_grey() -> None:
    pixel = decode(encode(Image.new("RGBA", (3, 2), (0, 0, 0, 128))))[0, 0]
    np.testing.assert_array_equal(pixel, [127, 127, 127])


def test_sixteen_bit_grey_keeps_its_middle() -> None:
    values = np.array([[0, 0x7FFF, 0xFFFF]], dtype=np.uint16)
    np.testing.assert_array_equal(decode(encode(Image.fromarray(values)))[0, :, 0], [0, 127, 255])


def test_a_palette_with_a_clear_colour_is_laid_over_white() -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 0, 0])
    np.testing.assert_array_equal(decode(encode(image, transparency=0)), [[WHITE, RED]])


def test_cmyk_becomes_rgb() -> None:
    pixel = decode(encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))[4, 4]
    assert pixel[0] > 240
    assert pixel[1:].max() < 15


def test_only_the_first_frame_of_an_animation_is_taken() -> None:
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    for kind in ("PNG", "WEBP"):
        options = {} if kind == "PNG" else {"lossless": True}
        data = encode(first, kind, save_all=True, append_images=[second], **options)
        np.testing.assert_array_equal(decode(data)[0, 0], RED)


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    turned = decode(encode(Image.fromarray(noise()), exif=exif))
    np.testing.assert_array_equal(turned, np.rot90(noise(), -1))


def test_exif_orientation_is_applied_to_sixteen_bits_too() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    values = np.array([[0, 0xFFFF]], dtype=np.uint16)
    np.testing.assert_array_equal(
        decode(encode(Image.fromarray(values), exif=exif))[0, :, 0], [255, 0]
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_no_metadata_comes_out(kind: str) -> None:
    exif = Image.Exif()
    exif[CAMERA], exif[GPS] = "secret camera", {1: "N", 2: (51.0, 30.0, 0.0)}
    data = encode(Image.fromarray(noise()), kind, exif=exif, icc_profile=b"secret" * 30)
    png = decode_image(data, name="p")
    assert b"secret" in data
    assert b"secret" not in png
    assert set(Image.open(io.BytesIO(png)).info) == set()


def test_the_longer_side_is_reduced_to_the_limit() -> None:
    assert decode(encode(Image.new("RGB", (3 * MAX_SIDE, 300)))).shape == (100, MAX_SIDE, 3)


def test_a_smaller_picture_keeps_its_size() -> None:
    assert decode(encode(Image.new("RGB", (MAX_SIDE, 3)))).shape == (3, MAX_SIDE, 3)


@pytest.mark.parametrize("side", [4_473, 9_500, 14_000])
def test_too_many_pixels_are_refused_by_the_header_alone(side: int) -> None:
    assert side * side > MAX_PIXELS
    with pytest.raises(InputError, match=r"too large.*at most 20 million"):
        decode_image(header_only_png(side, side), name="bomb")


def test_a_bomb_is_an_error_and_not_a_warning() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(InputError, match="too large"):
            decode_image(header_only_png(9_500, 9_500), name="bomb")
    assert seen == []


@pytest.mark.parametrize("data", [b"", b"hello", b"<svg/>", b"GIF89a" + b"\0" * 20])
def test_other_content_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"'x.png' is not a picture.*PNG, JPEG or WebP"):
        decode_image(data, name="x.png")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "BMP"])
def test_other_picture_formats_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match=r"is not a picture"):
        decode_image(encode(Image.new("RGB", (4, 4)), kind), name="x.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_that_is_cut_off_is_refused(kind: str) -> None:
    data = encode(Image.fromarray(noise(60, 60)), kind)
    with pytest.raises(InputError, match="damaged or cut off"):
        decode_image(data[: len(data) // 2], name="x")


def test_changed_bytes_are_decoded_or_refused_and_never_crash() -> None:
    generator = np.random.default_rng(8)
    exif = Image.Exif()
    exif[ORIENTATION], exif[GPS] = 6, {2: (51.0, 30.0, 0.0)}
    image = Image.fromarray(noise(channels=4))
    originals = [encode(image, "PNG", exif=exif), encode(image, "WEBP", exif=exif),
                 encode(image.convert("RGB"), "JPEG", exif=exif)]  # fmt: skip
    outcomes = {"decoded": 0, "refused": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow's remarks on damaged EXIF
        for number in range(600):
            data = bytearray(originals[number % 3])
            data[generator.integers(0, len(data))] = generator.integers(0, 256)
            try:
                decode(bytes(data))
                outcomes["decoded"] += 1
            except InputError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 50


@pytest.mark.parametrize("pixels", [
    np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)),
    np.zeros((0, 4, 3), np.uint8),
])  # fmt: skip
def test_an_array_of_another_form_is_refused(pixels: Any) -> None:
    with pytest.raises(InputError, match=r"expected \(height, width, 3\) uint8"):
        array_to_png(pixels)
