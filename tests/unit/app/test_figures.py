"""Charts are compared by what they mean."""

from __future__ import annotations

import numpy as np

from app.figures.head import N_SHOWN, draw_curve, draw_distances, draw_norms


def test_of_many_pairs_2000_are_drawn_over_the_density_of_all():
    distance = np.linspace(0, 1, 9_000)
    figure = draw_distances(distance, -distance, axis="d", palette="default", theme="light")
    density, shown = figure.data
    assert (density.type, shown.type) == ("histogram2d", "scatter")
    assert (len(density.x), len(shown.x)) == (9_000, N_SHOWN)
    assert np.array_equal(shown.y, -shown.x)


def test_no_chart_needs_webgl():
    few = np.arange(5.0)
    figures = [
        draw_distances(few, few, axis="d", palette="classic", theme="dark"),
        draw_curve(few + 1, few, 2.5, palette="default", theme="light"),
        draw_norms(few, few + 3, palette="default", theme="dark"),
    ]
    assert {trace.type for figure in figures for trace in figure.data} == {
        "histogram2d", "scatter", "bar",
    }  # fmt: skip


def test_the_chosen_scale_lies_on_the_curve():
    figure = draw_curve(
        np.array([1.0, 2.0, 4.0]), np.array([-0.2, -0.4, -0.6]), 3.0,
        palette="default", theme="light",
    )  # fmt: skip
    assert (figure.data[1].x, figure.data[1].y) == ((3.0,), (-0.5,))


def test_norms_of_both_types_are_counted_in_the_same_bins():
    queries, keys = np.array([1.0, 1.0, 2.0]), np.array([3.0, 5.0])
    figure = draw_norms(queries, keys, palette="default", theme="light")
    query, key = figure.data
    assert (query.name, key.name) == ("query", "key")
    assert (sum(query.y), sum(key.y)) == (3, 2)
    assert np.array_equal(query.x, key.x)


def test_equal_norms_make_a_chart_too():
    same = np.full(4, 2.0)
    assert sum(draw_norms(same, same, palette="default", theme="light").data[0].y) == 4
