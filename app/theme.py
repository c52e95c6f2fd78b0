"""Colours of queries, keys and their encodings, per palette and theme. No layout, no drawing.

Surfaces and text colours stand in `assets/app.css` alone, as do copies of the query and key
colours; a test compares the copies with these.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError

Side = Literal["query", "key"]

THEMES = ("light", "dark")
PALETTES = ("default", "classic")
ENCODINGS = ("type", "position", "position_mod_5", "norm")  # in this order in every table
SIDES: tuple[Side, Side] = ("query", "key")

# Attribute values of a side are 0 .. 127 for queries and 128 .. 255 for keys.
VALUES_PER_SIDE = 128
HUES = 5

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
    """Return the colour of every attribute value of every encoding.

    Parameters
    ----------
    palette, theme : one of `PALETTES` and one of `THEMES`.

    Returns
    -------
    (4, 256, 4) uint8, RGBA: one row for each of `ENCODINGS`; values that an encoding does not
    have are transparent.

    Raises
    ------
    InputError : an unknown palette or theme; lists the known ones.
    """
    scales = _scales(palette, theme)
    table = np.zeros((len(ENCODINGS), 256, 4), dtype=np.uint8)
    for number, side in enumerate(SIDES):
        _, colour, _ = scales[side]
        table[ENCODINGS.index("type"), number] = _rgba(colour)
        discrete = slice(number * HUES, (number + 1) * HUES)
        table[ENCODINGS.index("position_mod_5"), discrete] = [_rgba(c) for c in DISCRETE[side]]
        values = slice(number * VALUES_PER_SIDE, (number + 1) * VALUES_PER_SIDE)
        for encoding in ("position", "norm"):
            table[ENCODINGS.index(encoding), values] = _scale_colours(scales[side])
    return table


def legend(encoding: str, palette: str, theme: str) -> list[tuple[str, str]]:
    """Return what the colours of an encoding mean, queries first.

    Returns
    -------
    (label, CSS colour) pairs. Between the three pairs that a sequential scale has for a side, its
    colours run in straight lines of sRGB, as those of a CSS gradient do.

    Raises
    ------
    InputError : an unknown encoding, palette or theme; lists the known ones.
    """
    _check("encoding", encoding, ENCODINGS)
    scales = _scales(palette, theme)
    if encoding == "type":
        return [(side, scales[side][1]) for side in SIDES]
    if encoding == "position_mod_5":
        return [
            (f"{side}, position {i}, {i + HUES}, {i + 2 * HUES}, …", DISCRETE[side][i])
            for side in SIDES
            for i in range(HUES)
        ]
    labels = {
        "position": ("first of its sequence", "half way", "last of its sequence"),
        "norm": ("smallest norm of the head", "half way", "largest norm of the head"),
    }[encoding]
    return [
        (f"{side}, {label}", colour)
        for side in SIDES
        for label, colour in zip(labels, scales[side], strict=True)
    ]


def _scales(palette: str, theme: str) -> dict[Side, tuple[str, str, str]]:
    _check("palette", palette, PALETTES)
    _check("theme", theme, THEMES)
    return SCALES[palette][theme]


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{name}: found {value!r}, expected one of {', '.join(known)}")


def _scale_colours(stops: tuple[str, str, str]) -> NDArray[np.uint8]:
    """Return the (128, 4) uint8 colours of a scale: straight lines between its stops, in sRGB."""
    positions = np.linspace(0, 2, VALUES_PER_SIDE)
    channels = np.array([_rgba(stop) for stop in stops]).T
    colours = [np.interp(positions, range(len(stops)), channel) for channel in channels]
    return np.stack(colours, axis=1).round().astype(np.uint8)


def _rgba(colour: str) -> tuple[int, ...]:
    return (*bytes.fromhex(colour.removeprefix("#")), 255)
