"""Colour tables follow the attribute values of docs/architecture.md and can be seen."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from app.theme import (
    CHART,
    DISCRETE,
    PALETTES,
    RAMPS,
    SCALES,
    SIDES,
    THEMES,
    legend,
    lookup_table,
)
from pipeline.errors import InputError

APP_CSS = (Path(__file__).parents[3] / "assets" / "app.css").read_text(encoding="utf-8")
BOTH = pytest.mark.parametrize(("palette", "theme"), list(itertools.product(PALETTES, THEMES)))


def hex_of(rgba: np.ndarray) -> str:
    return "#" + bytes(rgba[:3].tolist()).hex().upper()


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG 2.2 defines it, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def css_variables(selector: str) -> dict[str, str]:
    """Return the colour variables of the first rule of app.css with this selector."""
    rule = re.search(re.escape(selector) + r"\s*\{([^}]*)\}", APP_CSS)
    assert rule is not None, f"app.css has no rule {selector}"
    return {
        name: value.upper()
        for name, value in re.findall(r"(--qk-[a-z0-9-]+):\s*(#[0-9a-fA-F]{6});", rule[1])
    }


def theme_variables(theme: str) -> dict[str, str]:
    light = css_variables("html")
    return light if theme == "light" else light | css_variables('html[data-bs-theme="dark"]')


def surface(theme: str) -> str:
    return theme_variables(theme)["--qk-surface"]


@BOTH
def test_the_table_has_a_row_per_ramp_and_opaque_colours_where_values_are(
    palette: str, theme: str
) -> None:
    table = lookup_table(palette, theme)
    assert table.shape == (5, 256, 4)
    assert table.dtype == np.uint8
    n_values = {"type": 2, "sequential": 256, "discrete": 10, "cyclic": 256, "picture": 256}
    for row, ramp in zip(table, RAMPS, strict=True):
        alpha = np.zeros(256, np.uint8)
        alpha[: n_values[ramp]] = 255
        np.testing.assert_array_equal(row[:, 3], alpha)


def test_type_0_is_the_query_and_1_the_key() -> None:
    assert [hex_of(c) for c in lookup_table("default", "light")[0, :2]] == ["#0072B2", "#D55E00"]
    assert [hex_of(c) for c in lookup_table("default", "dark")[0, :2]] == ["#56B4E9", "#F0A04B"]
    for theme in THEMES:
        found = [hex_of(c) for c in lookup_table("classic", theme)[0, :2]]
        assert found == ["#5FB96C", "#E3378F"]


@BOTH
def test_sequential_scales_run_from_the_faint_to_the_strong_end_of_each_side(
    palette: str, theme: str
) -> None:
    row = lookup_table(palette, theme)[RAMPS.index("sequential")]
    for side, start in zip(SIDES, (0, 128), strict=True):
        scale = SCALES[palette][theme][side]
        assert (hex_of(row[start]), hex_of(row[start + 126])) == (scale[0], scale[2])
        contrasts = np.array(
            [contrast(hex_of(c), surface(theme)) for c in row[start : start + 127]]
        )
        assert (np.diff(contrasts) > 0).all()


@BOTH
def test_the_discrete_ramp_has_five_hues_darker_for_queries(palette: str, theme: str) -> None:
    row = lookup_table(palette, theme)[RAMPS.index("discrete")]
    colours = [hex_of(c) for c in row[:10]]
    assert len(set(colours)) == 10
    for query, key in zip(colours[:5], colours[5:], strict=True):
        assert luminance(query) < luminance(key)


@BOTH
def test_every_colour_shows_on_the_surface(palette: str, theme: str) -> None:
    table = lookup_table(palette, theme)[: RAMPS.index("picture")]  # pictures have any colour
    shown = {hex_of(colour) for colour in table.reshape(-1, 4) if colour[3]}
    assert len(shown) > 250
    for colour in shown:
        assert contrast(colour, surface(theme)) >= 1.5, colour


def test_a_plain_quarter_of_the_colour_would_not_show() -> None:
    """The control: the rule of 1.5 tells a good faint end from a bad one."""
    quarter = np.round(0.25 * np.array([0x5F, 0xB9, 0x6C]) + 0.75 * 255).astype(np.uint8)
    assert contrast(hex_of(quarter), surface("light")) < 1.5


@BOTH
@pytest.mark.parametrize("ramp", [ramp for ramp in RAMPS if ramp != "picture"])
def test_the_legend_shows_colours_of_the_table(ramp: str, palette: str, theme: str) -> None:
    row = lookup_table(palette, theme)[RAMPS.index(ramp)]
    sides = legend(ramp, palette, theme, ("a", "b", "c", "d", "e", "f"))
    assert list(sides) == ["query", "key"]
    known = row[row[:, 3] == 255, :3].astype(int)
    n_colours = {"type": 1, "sequential": 3, "discrete": 5, "cyclic": 6}[ramp]
    for entries in sides.values():
        assert len(entries) == n_colours
        for _, colour in entries:
            rgb = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8)
            # The stops lie between two of the 127 steps; a step is at most 8 units wide.
            assert np.abs(known - rgb).max(axis=1).min() <= 4


def test_the_legend_of_the_type_names_both_sides() -> None:
    assert legend("type", "default", "light") == {
        "query": [("query", "#0072B2")],
        "key": [("key", "#D55E00")],
    }


def test_a_legend_has_the_words_of_its_encoding() -> None:
    entries = legend("discrete", "default", "light", ("word", "number"))
    assert entries["key"] == [("word", DISCRETE["key"][0]), ("number", DISCRETE["key"][1])]


def test_pictures_need_no_legend_of_colours() -> None:
    assert legend("picture", "default", "light") == {}


@pytest.mark.parametrize(
    ("ramp", "palette", "theme", "known"),
    [
        ("colour", "default", "light", "sequential"),
        ("type", "pastel", "light", "classic"),
        ("type", "default", "sepia", "dark"),
    ],
)
def test_unknown_names_are_refused_and_the_known_ones_listed(
    ramp: str, palette: str, theme: str, known: str
) -> None:
    with pytest.raises(InputError, match=known):
        legend(ramp, palette, theme)


@pytest.mark.parametrize("theme", THEMES)
def test_text_has_a_contrast_of_at_least_4_5(theme: str) -> None:
    variables = theme_variables(theme)
    for text in (
        "--qk-text",
        "--qk-text-2",
        "--qk-accent",
        "--qk-good",
        "--qk-doubtful",
        "--qk-bad",
    ):
        for ground in ("--qk-surface", "--qk-chrome"):
            found = contrast(variables[text], variables[ground])
            assert found >= 4.5, f"{text} on {ground}: {found:.2f}"


@BOTH
def test_the_style_sheet_has_the_same_query_and_key_colours(palette: str, theme: str) -> None:
    variables = theme_variables(theme)
    if palette == "classic":
        variables |= css_variables('html[data-qk-palette="classic"]')
    for side in SIDES:
        assert variables[f"--qk-{side}"] == SCALES[palette][theme][side][1]


@pytest.mark.parametrize("theme", THEMES)
def test_charts_have_the_colours_of_the_style_sheet(theme: str) -> None:
    variables = theme_variables(theme)
    assert CHART[theme]["text"] == variables["--qk-text-2"]
    assert CHART[theme]["grid"] == variables["--qk-hairline"]
