"""The panel of query and key weights: asks once, shows what is found, says why there is nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dash import dcc

from app.callbacks.weights import is_awaited, look, show_weights, tell_correlation, tell_symmetry
from app.figures.weights import draw_all_heads, draw_dimensions
from pipeline.jobs import JobTable
from pipeline.service import Service
from pipeline.store import Store
from pipeline.weight_stage import run_weights
from pipeline.weights import HeadWeights

LOOK_OF = {"palette": "default", "theme": "light"}
FOUND = HeadWeights(
    "layer.query", "layer.key", "", 0.6, -0.7, np.array([0.1, 0.9, -0.4]),
    np.ones((5, 2), np.float32), 12_288, np.array([[0.6, np.nan], [0.1, -0.2]]),
)  # fmt: skip


@pytest.fixture
def own_service(tmp_path: Path, tiny_store: Store, hub_cache: Path) -> Service:
    """The service of the tiny store with a queue of its own."""
    return Service(tiny_store, JobTable(Store(tmp_path)), hub_cache=hub_cache)


def test_the_worker_is_asked_once_and_then_the_weights_are_there(
    own_service: Service, tiny_store: Store, tiny_atlas: dict[str, Any], hub_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    reported = {"atlas": tiny_atlas["atlas"], "layer": 1, "head": 3}
    first = look(own_service, reported, owner="me")
    if isinstance(first, str):  # unless another test has looked already
        assert is_awaited(first)
        assert look(own_service, reported, owner="me") == first
        monkeypatch.setattr("pipeline.weight_stage.hub_cache", lambda: hub_cache)
        run_weights({"atlas": tiny_atlas["atlas"]}, tiny_store, lambda _: None)
    found = look(own_service, reported, owner="me")
    assert isinstance(found, HeadWeights)
    assert found.all_heads[1, 3] == found.correlation


def charts(panel: Any) -> list[Any]:
    return [child.figure for child in panel.children if isinstance(child, dcc.Graph)]


def words(panel: Any) -> str:
    return " ".join(str(getattr(child, "children", "")) for child in panel.children)


def test_the_panel_has_the_figures_and_their_charts() -> None:
    panel = show_weights(FOUND, (0, 0), LOOK_OF)
    assert "r 0.60" in words(panel)
    assert "5 of 12,288 entries" in words(panel)
    assert "layer.query" in words(panel)
    assert len(charts(panel)) == 3


def test_a_head_without_weights_says_why() -> None:
    panel = show_weights(replace(FOUND, reason="no linear module gives the keys"), (0, 0), LOOK_OF)
    assert "no linear module gives the keys" in words(panel)
    assert charts(panel) == []


@pytest.mark.parametrize(
    ("r", "expected"),
    [(0.01, "little"), (0.3, "something"), (0.8, "much"), (-0.3, "somewhat"), (-0.9, "strongly")],
)
def test_a_correlation_is_said_in_words(r: float, expected: str) -> None:
    assert expected in tell_correlation(r)


@pytest.mark.parametrize(
    ("symmetry", "expected"),
    [(0.9, "mostly mutual"), (0.3, "partly"), (0.0, "neither"), (-0.4, "change sign")],
)
def test_a_symmetry_is_said_in_words(symmetry: float, expected: str) -> None:
    assert expected in tell_symmetry(symmetry)


def test_dimensions_are_sorted_and_keep_their_numbers() -> None:
    [bars] = draw_dimensions(FOUND.by_dimension, **LOOK_OF).data
    assert list(bars.y) == [0.9, 0.1, -0.4]
    assert list(bars.customdata) == [1, 0, 2]


def test_all_heads_are_drawn_with_the_own_one_framed() -> None:
    figure = draw_all_heads(FOUND.all_heads, (1, 1), **LOOK_OF)
    assert figure.data[0].z[0][1] is None
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].y1) == (0.5, 1.5)
