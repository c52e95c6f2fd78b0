"""Colours of queries and keys on every ramp, per palette and theme. No layout, no drawing.

Surfaces and text colours stand in `assets/app.css` alone, as do copies of the query and key
colours; a test compares the copies with these.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Side = Literal["query", "key"]

THEMES = ("light", "dark")
PALETTES = ("default", "classic")
RAMPS = ("type", "sequential", "discrete", "cyclic", "picture")  # in this order in every table
SIDES: tuple[Side, Side] = ("query", "key")

# Attribute values of a side are 0 .. 127 for queries and 128 .. 255 for keys;
# the last of each side is for points that have no value.
VALUES_PER_SIDE = 128
N_LEVELS = VALUES_PER_SIDE - 1
HUES = 5
NO_VALUE = {"light": "#98A2B3", "dark": "#667085"}
# Charts: words and lines as in app.css, and the shade of where most pairs lie.
CHART = {
    "light": {"text": "#667085", "grid": "#E4E7EC", "shade": "#C4CAD4", "surface": "#FFFFFF"},
    "dark": {"text": "#98A2B3", "grid": "#2A303A", "shade": "#414A58", "surface": "#0F1216"},
}
# Of the circle of hues, which stands for the hue of a patch; keys are lighter than queries.
SATURATION = 0.65
LIGHTNESS: dict[str, dict[Side, float]] = {
    "light": {"query": 0.32, "key": 0.45}, "dark": {"query": 0.48, "key": 0.66},
}  # fmt: skip

# Three stops of a sequential scale: its faint end, the colour of the side, its strong end. A plain
# mix of 25 % of the colour with the surface, where the scale might begin, has a contrast of only
# 1.23 (classic query on white); these faint ends have at least 1.5 on their surface.
SCALES: dict[str, dict[str, dict[Side, tuple[str, str, str]]]] = {
    # After Okabe and Ito (2008): can be told apart with every common kind of colour blindness.
    "default": {
        "light": {
            "query": ("#A6CEE4", "#0072B2", "#003F63"),
            "key": ("#EEBF99", "#D55E00", "#7A3300"),
        },
        "dark": {
            "query": ("#244355", "#56B4E9", "#C4E6FA"),
            "key": ("#523D26", "#F0A04B", "#FBDDB9"),
        },
    },
    # The green and pink of AttentionViz (Yeh et al. 2023, arXiv 2305.03210).
    "classic": {
        "light": {
            "query": ("#A5D7AD", "#5FB96C", "#24602F"),
            "key": ("#F4AFD2", "#E3378F", "#7D1A4E"),
        },
        "dark": {
            "query": ("#274430", "#5FB96C", "#C5EBCB"),
            "key": ("#6A2049", "#E3378F", "#FAC3DF"),
        },
    },
}

# Blue, vermilion, bluish green, reddish purple and amber (Okabe and Ito): three quarters of each
# for queries, 60 % of each on white for keys. They show on both surfaces.
DISCRETE: dict[Side, tuple[str, str, str, str, str]] = {
    "query": ("#005686", "#A04600", "#007656", "#995B7D", "#AC7700"),
    "key": ("#66AAD1", "#E69E66", "#66C5AB", "#E0AFCA", "#F0C566"),
}


def lookup_table(palette: str, theme: str) -> NDArray[np.uint8]:
    """Return the colour of every attribute value of every ramp.

    Parameters
    ----------
    palette, theme : one of `PALETTES` and one of `THEMES`.

    Returns
    -------
    (5, 256, 4) uint8, RGBA: one row for each of `RAMPS`; values that a ramp does not have are
    transparent.

    Raises
    ------
    InputError : an unknown palette or theme; lists the known ones.
    """
    scales = _scales(palette, theme)
    table = np.zeros((len(RAMPS), 256, 4), dtype=np.uint8)
    for number, side in enumerate(SIDES):
        _, colour, _ = scales[side]
        table[RAMPS.index("type"), number] = _rgba(colour)
        discrete = slice(number * HUES, (number + 1) * HUES)
        table[RAMPS.index("discrete"), discrete] = [_rgba(c) for c in DISCRETE[side]]
        first = number * VALUES_PER_SIDE
        values = slice(first, first + N_LEVELS)
        table[RAMPS.index("sequential"), values] = _scale_colours(scales[side])
        table[RAMPS.index("cyclic"), values] = _hue_circle(LIGHTNESS[theme][side])
        for ramp in ("sequential", "cyclic"):
            table[RAMPS.index(ramp), first + N_LEVELS] = _rgba(NO_VALUE[theme])
    table[RAMPS.index("picture")] = _picture_colours()
    return table


def legend(
    ramp: str, palette: str, theme: str, words: Sequence[str] = ()
) -> dict[Side, list[tuple[str, str]]]:
    """Return what the colours of a ramp mean, for each side.

    Parameters
    ----------
    words : of `pipeline.encodings.Encoding.legend`; what the ramp "type" says is known.

    Returns
    -------
    side -> (words, CSS colour) pairs. Between the three pairs of a sequential ramp the colours run
    in straight lines of sRGB, as those of a CSS gradient do.

    Raises
    ------
    InputError : an unknown ramp, palette or theme; lists the known ones.
    """
    _check("ramp", ramp, RAMPS)
    scales = _scales(palette, theme)
    colours: dict[str, dict[Side, Sequence[str]]] = {
        "type": {side: [scales[side][1]] for side in SIDES},
        "sequential": {side: scales[side] for side in SIDES},
        "discrete": {side: DISCRETE[side] for side in SIDES},
        "cyclic": {
            side: [_css(_hue_colour(i / 6, LIGHTNESS[theme][side])) for i in range(6)]
            for side in SIDES
        },
        "picture": {},
    }
    named: dict[Side, Sequence[str]] = {s: [s] if ramp == "type" else words for s in SIDES}
    return {
        side: list(zip(named[side], found, strict=False)) for side, found in colours[ramp].items()
    }


def _scales(palette: str, theme: str) -> dict[Side, tuple[str, str, str]]:
    _check("palette", palette, PALETTES)
    _check("theme", theme, THEMES)
    return SCALES[palette][theme]


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{name}: found {value!r}, expected one of {', '.join(known)}")


def _hue_colour(hue: float, lightness: float) -> tuple[int, ...]:
    rgb = colorsys.hls_to_rgb(hue, lightness, SATURATION)
    return (*(round(255 * channel) for channel in rgb), 255)


def _hue_circle(lightness: float) -> NDArray[np.uint8]:
    """Return the (127, 4) uint8 colours once around the circle of hues."""
    return np.array([_hue_colour(i / N_LEVELS, lightness) for i in range(N_LEVELS)], dtype=np.uint8)


def _picture_colours() -> NDArray[np.uint8]:
    """Return (256, 4) uint8: three bits of red, three of green, two of blue."""
    value = np.arange(256)
    channels = [(value >> 5) / 7, (value >> 2 & 7) / 7, (value & 3) / 3, np.ones(256)]
    return np.rint(255 * np.stack(channels, axis=1)).astype(np.uint8)


def _css(rgba: tuple[int, ...]) -> str:
    return "#" + bytes(rgba[:3]).hex().upper()


def _scale_colours(stops: tuple[str, str, str]) -> NDArray[np.uint8]:
    """Return the (127, 4) uint8 colours of a scale: straight lines between its stops, in sRGB."""
    positions = np.linspace(0, 2, N_LEVELS)
    channels = np.array([_rgba(stop) for stop in stops]).T
    colours = [np.interp(positions, range(len(stops)), channel) for channel in channels]
    return np.stack(colours, axis=1).round().astype(np.uint8)


def _rgba(colour: str) -> tuple[int, ...]:
    return (*bytes.fromhex(colour.removeprefix("#")), 255)
