"""Draws the sample corpora of synthetic images: gradients and waves. Pure arithmetic, no files."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.images import array_to_png, labels_to_png
from pipeline.records import Corpus, LabelMaps
from pipeline.samples import CorpusInfo

SIDE = 224
ANGLES = tuple(range(0, 360, 45))
# No multiple of 7, 14 or 16, the numbers of patches a side of the usual models: there, every patch
# along an upright wave would hold the same pixels.
FREQUENCIES = (2, 5, 10, 20)
# From red to magenta: a full circle would end in the red that it began with.
HUE_RANGE = 5 / 6
# What patches are labelled with: the colour of gradients, the direction of waves (0° upright).
COLOURS = ("red", "yellow", "green", "cyan", "blue", "magenta", "dark", "grey", "light")
DIRECTIONS = ("0°", "45°", "90°", "135°")
BY_CONSTRUCTION = "by construction: the pattern that was drawn there"

Float = NDArray[np.float64]


def measure_slope(angle: float) -> Float:
    """Measure how far each pixel lies along a direction, from the middle of the image.

    Parameters
    ----------
    angle : degrees; 0 is to the right, 90 upwards.

    Returns
    -------
    (SIDE, SIDE) float64, in sides of the image; negative on the near half.
    """
    x, y = _pixel_centres()
    turn = math.radians(angle)
    return x * math.cos(turn) + y * math.sin(turn)


def measure_distance(angle: float) -> Float:
    """Measure how far each pixel lies from a centre between the middle and the edge.

    Parameters
    ----------
    angle : degrees; in which direction the centre lies, a quarter of a side from the middle.

    Returns
    -------
    (SIDE, SIDE) float64, in sides of the image, at least 0.
    """
    x, y = _pixel_centres()
    turn = math.radians(angle)
    distance: Float = np.hypot(x - math.cos(turn) / 4, y - math.sin(turn) / 4)
    return distance


def build_gradients(info: CorpusInfo) -> Corpus:
    """Draw hue and brightness rising along eight directions and away from four centres.

    Returns
    -------
    A corpus of images of 224 x 224 pixels with the columns `kind` ("hue", "brightness",
    "radial hue", "radial brightness") and `angle` (degrees, as for `measure_slope` and
    `measure_distance`).
    """
    kinds, angles, images, maps = [], [], [], []
    shapes = (("", ANGLES, measure_slope), ("radial ", ANGLES[::2], measure_distance))
    for shape, shape_angles, measure in shapes:
        for colour, paint in (("hue", paint_hue), ("brightness", paint_grey)):
            for angle in shape_angles:
                field = measure(angle)
                values = (field - field.min()) / np.ptp(field)
                kinds.append(shape + colour)
                angles.append(float(angle))
                images.append(array_to_png(paint(values)))
                maps.append(labels_to_png(name_colours(values, is_hue=colour == "hue")))
    return Corpus(
        info.name,
        info.modality,
        info.source,
        info.licence,
        images=tuple(images),
        labels=tuple(f"{kind} {angle:.0f}°" for kind, angle in zip(kinds, angles, strict=True)),
        columns={"kind": tuple(kinds), "angle": tuple(angles)},
        label_maps=LabelMaps(tuple(maps), _numbered(COLOURS), BY_CONSTRUCTION),
    )


def build_waves(info: CorpusInfo) -> Corpus:
    """Draw grey sine waves: stripes along four directions, circles around two centres.

    Returns
    -------
    A corpus of images of 224 x 224 pixels with the columns `kind` ("stripes" or "circles"),
    `frequency` (cycles a side of the image) and `angle` (degrees, as for `measure_slope` and
    `measure_distance`).
    """
    kinds, frequencies, angles, images, maps = [], [], [], [], []
    shapes = (("stripes", ANGLES[:4], measure_slope), ("circles", ANGLES[1::4], measure_distance))
    for kind, shape_angles, measure in shapes:
        for frequency in FREQUENCIES:
            for angle in shape_angles:
                wave = np.sin(2 * np.pi * frequency * measure(angle))
                kinds.append(kind)
                frequencies.append(float(frequency))
                angles.append(float(angle))
                images.append(array_to_png(paint_grey((1 + wave) / 2)))
                maps.append(labels_to_png(name_directions(kind, angle)))
    labels = zip(kinds, frequencies, angles, strict=True)
    return Corpus(
        info.name,
        info.modality,
        info.source,
        info.licence,
        images=tuple(images),
        labels=tuple(f"{kind} {cycles:.0f} {angle:.0f}°" for kind, cycles, angle in labels),
        columns={"kind": tuple(kinds), "frequency": tuple(frequencies), "angle": tuple(angles)},
        label_maps=LabelMaps(tuple(maps), _numbered(DIRECTIONS), BY_CONSTRUCTION),
    )


def name_colours(values: Float, *, is_hue: bool) -> NDArray[np.uint16]:
    """Name the colour of each pixel: (height, width) in 0..1 to places in `COLOURS`, from 1."""
    if is_hue:
        return (np.rint(6 * HUE_RANGE * values) % 6 + 1).astype(np.uint16)
    return (np.minimum(values * 3, 2) // 1 + 7).astype(np.uint16)


def name_directions(kind: str, angle: float) -> NDArray[np.uint16]:
    """Name in which direction each pixel's wave runs, as a place in `DIRECTIONS`, from 1."""
    if kind == "stripes":
        direction = np.full((SIDE, SIDE), float(angle))
    else:
        x, y = _pixel_centres()
        turn = math.radians(angle)
        direction = np.degrees(np.arctan2(y - math.sin(turn) / 4, x - math.cos(turn) / 4))
    return (np.rint(direction / 45) % 4 + 1).astype(np.uint16)


def _numbered(names: tuple[str, ...]) -> dict[int, str]:
    return dict(enumerate(names, start=1))


def paint_grey(values: Float) -> NDArray[np.uint8]:
    """Paint 0 black and 1 white; (height, width) in 0..1 to (height, width, 3) uint8."""
    return np.repeat(_to_bytes(values)[..., None], 3, axis=2)


def paint_hue(values: Float) -> NDArray[np.uint8]:
    """Paint 0 red, 0.4 green, 0.8 blue, 1 magenta, all fully saturated.

    Each channel is a trapezium over the circle of hues, moved by a third from the one before.
    (height, width) in 0..1 to (height, width, 3) uint8.
    """
    sixths = 6 * HUE_RANGE * values[..., None] + np.array([5, 3, 1])
    return _to_bytes(1 - np.clip(np.minimum(sixths % 6, 4 - sixths % 6), 0, 1))


def _pixel_centres() -> tuple[Float, Float]:
    """Return x to the right and y upwards of each pixel, -0.5..0.5, shape (1, SIDE), (SIDE, 1)."""
    steps = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    return steps[None, :], -steps[:, None]


def _to_bytes(values: Float) -> NDArray[np.uint8]:
    return np.round(255 * values).astype(np.uint8)
