"""What can be measured of each patch in the pixels that the model saw: colour, light, direction."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.captured import Capture

Float64 = NDArray[np.float64]
# (png, grid) -> (rows, columns, width)
Measure = Callable[[bytes, tuple[int, int]], Float64]

LUMINANCE = (0.2126, 0.7152, 0.0722)
LEAST_COLOUR = 0.02  # of the difference of the channels: below, a patch is grey and has no hue
# Of the root mean square change of light from pixel to pixel, and of the share of it that has one
# direction: below, a patch has no angle. A gradient over 224 pixels changes by 1/224 a pixel.
LEAST_CHANGE = 0.25 / 255
LEAST_COHERENCE = 0.3


def mean_colours(capture: Capture) -> Float64:
    """Return the (n_tokens, 3) mean colour of each patch, 0 .. 1; NaN for special tokens."""
    return _of_patches(capture, patch_means, 3)


def angles(capture: Capture) -> Float64:
    """Return the (n_tokens,) angle of each patch as a share of half a circle; NaN for none."""
    return _of_patches(capture, lambda png, grid: patch_angles(png, grid)[..., None], 1)[:, 0]


def brightness(colours: Float64) -> Float64:
    """Return the (n,) luminance of (n, 3) colours, 0 .. 1."""
    light: Float64 = colours @ np.array(LUMINANCE)
    return light


def hue(colours: Float64) -> Float64:
    """Return the (n,) hue of (n, 3) colours as a share of the circle; NaN for greys."""
    angle = np.arctan2(
        np.sqrt(3) * (colours[:, 1] - colours[:, 2]), 2 * colours[:, 0] - colours[:, 1:].sum(axis=1)
    )
    is_grey = colours.max(axis=1) - colours.min(axis=1) < LEAST_COLOUR
    return np.where(is_grey, np.nan, angle / (2 * np.pi) % 1)


def patch_means(png: bytes, grid: tuple[int, int]) -> Float64:
    """Return the (rows, columns, 3) mean colours of the patches of an image, 0 .. 1."""
    with Image.open(io.BytesIO(png)) as image:
        small = image.convert("RGB").resize((grid[1], grid[0]), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.float64) / 255


def patch_angles(png: bytes, grid: tuple[int, int]) -> Float64:
    """Return in which direction the light of each patch changes.

    The first axis of the structure tensor, the sum over a patch of g g' for the gradients g of its
    luminance: half the angle of (sum gx² - gy², sum 2 gx gy).

    Returns
    -------
    (rows, columns) float64, a share of half a circle: 0 where light changes to the side (upright
    stripes), 0.5 where it changes upwards (level stripes), 0.25 where it changes towards the upper
    right; NaN where it hardly changes, or in all directions alike.

    Source
    ------
    Bigün and Granlund 1987, "Optimal orientation detection of linear symmetry".
    """
    with Image.open(io.BytesIO(png)) as image:
        light = np.asarray(image.convert("RGB"), dtype=np.float64) / 255 @ np.array(LUMINANCE)
    if min(light.shape) < 2:
        return np.full(grid, np.nan)
    down, right = np.gradient(light)
    up = -down
    sums = [_patch_sums(values, grid) for values in (right**2 - up**2, 2 * right * up)]
    energy = _patch_sums(right**2 + up**2, grid)
    pixels = _patch_sums(np.ones_like(light), grid)
    directed = np.hypot(*sums)
    angle = np.arctan2(sums[1], sums[0]) / (2 * np.pi) % 1
    has_none = (energy < LEAST_CHANGE**2 * pixels) | (directed < LEAST_COHERENCE * energy)
    return np.where(has_none, np.nan, angle)


def _patch_sums(values: Float64, grid: tuple[int, int]) -> Float64:
    """Sum a (height, width) field over the patches of a grid, (rows, columns)."""
    for axis, count in enumerate(grid):
        edges = np.arange(count) * values.shape[axis] // count
        values = np.add.reduceat(values, edges, axis=axis)
    return values


def _of_patches(capture: Capture, measure: Measure, width: int) -> Float64:
    """Measure each image once; (n_tokens, width), NaN for special tokens."""
    tokens = capture.tokens
    grid = tokens.grid or (1, 1)
    found = np.full((capture.n_tokens, width), np.nan)
    offset = tokens.sequence_offset
    for sequence, start in enumerate(offset[:-1]):
        here = np.flatnonzero(tokens.row[start : offset[sequence + 1]] >= 0) + start
        of_image = measure(capture.image(sequence), grid)
        found[here] = of_image[tokens.row[here], tokens.column[here]]
    return found
