"""Charts about one head: distance against dot product, the choice of c, norms."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.theme import CHART, SCALES

Float64 = NDArray[np.float64]

# An SVG chart takes a quarter of a second for 2,000 points and grows with their number.
N_SHOWN = 2_000
HEIGHT = 220


def draw_distances(
    distance: Float64, dot: Float64, *, axis: str, palette: str, theme: str
) -> go.Figure:
    """Draw at most 2,000 sampled pairs over the density of all of them.

    Parameters
    ----------
    distance, dot : (n_pairs,) of the same pairs.
    axis : what the distance is.
    """
    colour = SCALES[palette][theme]["query"][1]
    shown = np.linspace(0, distance.size - 1, min(N_SHOWN, distance.size)).astype(int)
    figure = go.Figure([
        go.Histogram2d(
            x=distance, y=dot, nbinsx=48, nbinsy=32, showscale=False, hoverinfo="skip",
            colorscale=[[0, "rgba(0,0,0,0)"], [1, CHART[theme]["shade"]]],
        ),
        go.Scatter(
            x=distance[shown], y=dot[shown], mode="markers",
            marker={"size": 3, "color": colour, "opacity": 0.35},
            hovertemplate="distance %{x:.2f}<br>dot product %{y:.2f}<extra></extra>",
        ),
    ])  # fmt: skip
    return dress(figure, theme, axis, "dot product")


def draw_curve(
    scales: Float64, curve: Float64, scale: float, *, palette: str, theme: str
) -> go.Figure:
    """Draw the correlation that each c would have given, with the one that was taken."""
    query, key = (SCALES[palette][theme][side][1] for side in ("query", "key"))  # type: ignore[index]
    figure = go.Figure([
        go.Scatter(x=scales, y=curve, mode="lines", line={"color": query, "width": 2},
                   hovertemplate="c %{x:.2f}: %{y:.3f}<extra></extra>"),
        go.Scatter(x=[scale], y=[float(np.interp(scale, scales, curve))], mode="markers",
                   marker={"color": key, "size": 9, "symbol": "diamond"},
                   hovertemplate="taken: c %{x:.2f}<extra></extra>"),
    ])  # fmt: skip
    figure.update_xaxes(type="log")
    return dress(figure, theme, "scale c", "correlation", height=160)


def draw_norms(
    queries: NDArray[np.float32], keys: NDArray[np.float32], *, palette: str, theme: str
) -> go.Figure:
    """Draw the distributions of query and key norms of a head over each other."""
    low = float(min(queries.min(), keys.min()))
    high = float(max(queries.max(), keys.max()))
    edges = np.linspace(low, high if high > low else low + 1, 41)
    figure = go.Figure()
    for name, norms in (("query", queries), ("key", keys)):
        counts, _ = np.histogram(norms, bins=edges)
        colour = SCALES[palette][theme][name][1]  # type: ignore[index]
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2, y=counts, name=name, opacity=0.6, marker_color=colour,
            hovertemplate=f"{name}: %{{y}} at norm %{{x:.2f}}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(barmode="overlay", bargap=0)
    return dress(figure, theme, "norm", "points")


def dress(figure: go.Figure, theme: str, x: str, y: str, height: int = HEIGHT) -> go.Figure:
    """Give a chart the quiet looks of the page."""
    colours = CHART[theme]
    figure.update_layout(
        height=height, margin={"l": 44, "r": 8, "t": 8, "b": 36}, showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 11, "color": colours["text"]},
    )  # fmt: skip
    figure.update_xaxes(title=x, gridcolor=colours["grid"], zeroline=False)
    figure.update_yaxes(title=y, gridcolor=colours["grid"], zeroline=False)
    return figure
