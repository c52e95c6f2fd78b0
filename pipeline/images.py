"""Turns picture files from anywhere into clean RGB PNG files and arrays; reads no paths.

A picture is judged by its content, never by its name. What comes out holds pixels and nothing else:
no position, no camera, no colour profile, no thumbnail.
"""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.errors import InputError

MAX_PIXELS = 20_000_000
MAX_SIDE = 1024
FORMATS = ("PNG", "JPEG", "WEBP")

# Four times as fast as Pillow's default level 6, for a tenth more bytes (1,024 px photographs).
COMPRESS_LEVEL = 1

# What Pillow raises on damaged files: the first four came up in 340,000 files changed at random,
# the others stand in its readers.
_DAMAGE = (OSError, SyntaxError, TypeError, ValueError, EOFError, struct.error)


def decode_image(data: bytes, *, name: str) -> bytes:
    """Check a picture and write it anew as an upright RGB PNG without metadata.

    The size in the header is checked before any pixel is decoded. Of an animation the first frame
    is taken. The longer side is reduced to at most 1,024 px, the EXIF orientation applied,
    transparency laid over white; 16 bits a channel become 8, grey and CMYK become RGB. Colour
    profiles are dropped, not applied.

    Parameters
    ----------
    data : content of a PNG, JPEG or WebP file, at most 20 million pixels.
    name : what to call the picture in an error.

    Returns
    -------
    A PNG file; equal bytes for equal input and the same Pillow.

    Raises
    ------
    InputError
        If the content is another format, too large, damaged or cut off.

    Cost
    ----
    At the limit 190 MB for PNG and JPEG, 310 MB for WebP (measured); about a second.
    """
    try:
        with _open(data, name) as image:
            image.load()
            opaque = _eight_bit(image)
            opaque.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
            upright = ImageOps.exif_transpose(opaque)
            return array_to_png(np.asarray(_over_white(upright)))
    except _DAMAGE as error:
        raise InputError(
            f"image {name!r} is damaged or cut off ({error}); expected a whole PNG, JPEG or WebP "
            "file: open it in a picture editor and save it again"
        ) from error


def png_to_array(png: bytes) -> NDArray[np.uint8]:
    """Read a PNG that `decode_image` or `array_to_png` wrote.

    Returns
    -------
    (height, width, 3) uint8, red, green and blue.
    """
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        return np.array(image.convert("RGB"))


def array_to_png(pixels: NDArray[np.uint8]) -> bytes:
    """Write an RGB picture as PNG.

    Parameters
    ----------
    pixels : (height, width, 3) uint8, red, green and blue; at least one pixel.

    Raises
    ------
    InputError
        If the array has another shape or dtype.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(
            f"pixels have shape {pixels.shape} and dtype {pixels.dtype}; "
            "expected (height, width, 3) uint8 with at least one pixel"
        )
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=COMPRESS_LEVEL)
    return file.getvalue()


def open_mask(data: bytes, *, name: str) -> Image.Image:
    """Check and decode a mask as it is: its values are class numbers, its palette means nothing.

    Raises
    ------
    InputError
        As for `decode_image`; also for another format than PNG.
    """
    try:
        with _open(data, name) as image:
            if image.format != "PNG":
                raise InputError(f"mask {name!r} is {image.format}; expected PNG, exact values")
            image.load()
            return image.copy()
    except _DAMAGE as error:
        raise InputError(f"mask {name!r} is damaged or cut off ({error})") from error


def upright_size(data: bytes, *, name: str) -> tuple[int, int]:
    """Return height and width of a picture as it is looked at, from its header."""
    try:
        with _open(data, name) as image:
            is_turned = image.getexif().get(0x0112, 1) >= 5
            return (image.width, image.height) if is_turned else (image.height, image.width)
    except _DAMAGE as error:
        raise InputError(f"image {name!r} is damaged or cut off ({error})") from error


def labels_to_png(labels: NDArray[np.uint16]) -> bytes:
    """Write a (height, width) uint16 map of class numbers as a grey PNG."""
    file = io.BytesIO()
    Image.fromarray(labels).save(file, "PNG", compress_level=COMPRESS_LEVEL)
    return file.getvalue()


def png_to_labels(png: bytes) -> NDArray[np.uint16]:
    """Read what `labels_to_png` wrote."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        return np.array(image, dtype=np.uint16)


def picture_size(png: bytes) -> tuple[int, int]:
    """Return height and width of a PNG that this room wrote, without decoding it."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        return image.height, image.width


def _open(data: bytes, name: str) -> Image.Image:
    """Read the header only, and refuse other formats and too many pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise InputError(
            f"image {name!r} is not a picture that can be read; expected PNG, JPEG or WebP "
            "content, whatever its name: convert it first"
        ) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_large(name, str(error)) from error
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(name, f"{image.width} x {image.height} pixels")
    return image


def _too_large(name: str, found: str) -> InputError:
    return InputError(
        f"image {name!r} is too large ({found}); expected at most {MAX_PIXELS / 1e6:.0f} million "
        "pixels: make it smaller first"
    )


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return the picture as RGB, or as RGBA where some of it may be transparent."""
    if image.mode.startswith("I"):
        # Pillow would cut 16-bit values off at 255, which turns the picture white.
        high_bytes = (np.asarray(image) >> 8).astype(np.uint8)
        grey = Image.fromarray(high_bytes)
        grey.info = image.info
        return grey.convert("RGB")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    # Converting to the same mode would copy 80 MB at the size limit.
    return image if image.mode == mode else image.convert(mode)


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")
