"""Charts about the query and key weights of a head: entries, dimensions, all heads."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from app.figures.head import dress
from app.theme import CHART, SCALES

Float64 = NDArray[np.float64]


def draw_entries(sampled: NDArray[np.float32], *, palette: str, theme: str) -> go.Figure:
    """Draw entries of W_K over those of W_Q at the same places.

    Parameters
    ----------
    sampled : (n, 2) float32.
    """
    figure = go.Figure([
        go.Scatter(
            x=sampled[:, 0], y=sampled[:, 1], mode="markers",
            marker={"size": 3, "opacity": 0.35, "color": SCALES[palette][theme]["query"][1]},
            hovertemplate="W_Q %{x:.3f}<br>W_K %{y:.3f}<extra></extra>",
        )
    ])  # fmt: skip
    return dress(figure, theme, "entry of W_Q", "entry of W_K")


def draw_dimensions(by_dimension: Float64, *, palette: str, theme: str) -> go.Figure:
    """Draw the correlation of each dimension of the head, the greatest first.

    Parameters
    ----------
    by_dimension : (head_dim,) float64.
    """
    order = np.argsort(-by_dimension)
    values = by_dimension[order]
    scales = SCALES[palette][theme]
    colours = [scales["query" if value >= 0 else "key"][1] for value in values]
    figure = go.Figure([
        go.Bar(x=np.arange(values.size), y=values, customdata=order, marker_color=colours,
               hovertemplate="dimension %{customdata}: r %{y:.2f}<extra></extra>")
    ])  # fmt: skip
    figure.update_layout(bargap=0.15)
    figure.update_xaxes(showticklabels=False)
    return dress(figure, theme, "dimensions of the head, sorted", "correlation", height=160)


def draw_all_heads(
    correlations: Float64, place: tuple[int, int], *, palette: str, theme: str
) -> go.Figure:
    """Draw the correlation of every head of the model, with one head framed.

    Parameters
    ----------
    correlations : (n_layers, n_heads) float64, NaN where there is no head.
    place : layer and head that are looked at.
    """
    scales = SCALES[palette][theme]
    layer, head = place
    shown = [[None if np.isnan(r) else round(float(r), 4) for r in row] for row in correlations]
    figure = go.Figure([
        go.Heatmap(
            z=shown, zmin=-1, zmax=1, xgap=1, ygap=1, hoverongaps=False,
            colorscale=[[0, scales["key"][1]], [0.5, CHART[theme]["surface"]],
                        [1, scales["query"][1]]],
            colorbar={"thickness": 8, "outlinewidth": 0, "tickvals": [-1, 0, 1], "len": 1},
            hovertemplate="L%{y} H%{x}: r %{z:.2f}<extra></extra>",
        )
    ])  # fmt: skip
    figure.add_shape(
        type="rect", x0=head - 0.5, x1=head + 0.5, y0=layer - 0.5, y1=layer + 0.5,
        line={"color": CHART[theme]["text"], "width": 2},
    )  # fmt: skip
    n_layers, n_heads = correlations.shape
    height = int(np.clip(60 + 300 * n_layers / n_heads, 150, 420))
    dress(figure, theme, "head", "layer", height=height)
    figure.update_yaxes(autorange="reversed", showgrid=False, dtick=1 if n_layers <= 16 else 4)
    figure.update_xaxes(showgrid=False, dtick=1 if n_heads <= 16 else 4)
    return figure
