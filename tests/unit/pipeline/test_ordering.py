"""How well patches are ordered: near 1 by construction, near 0 at random, whatever the property."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.ordering import SIGNIFICANT, Asked, Order, Property

GRID = (6, 6)
N_IMAGES = 12
SEED = 3


def table() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return sequence, row and column of a special token and 36 patches an image."""
    place = np.indices(GRID).reshape(2, -1)
    row, column = (np.concatenate([[-1], axis]) for axis in place)
    n = row.size
    return np.repeat(np.arange(N_IMAGES), n), np.tile(row, N_IMAGES), np.tile(column, N_IMAGES)


def asked_for(*properties: Property) -> Asked:
    return Asked(*table(), GRID, properties, seed=SEED)


def smooth_values(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a value a token, rising over each image in a direction of its own; special: NaN."""
    sequence, row, column = table()
    turn = rng.uniform(0, 2 * np.pi, N_IMAGES)[sequence]
    values = (row * np.cos(turn) + column * np.sin(turn)) / 12 + 0.5
    values[row < 0] = np.nan
    return values


def units_of(*features: NDArray[np.float64]) -> NDArray[np.float32]:
    points = np.nan_to_num(np.stack(features, axis=1), nan=1.0)
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def on_arc(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return points on half a circle, in the order of the values."""
    return units_of(np.cos(np.pi * values), np.sin(np.pi * values))


def random_points(seed: int) -> NDArray[np.float32]:
    return units_of(*np.random.default_rng(seed).normal(size=(16, table()[0].size)))


def test_an_embedding_in_the_order_of_a_property_scores_near_one():
    values = smooth_values(np.random.default_rng(0))
    [order] = asked_for(Property("light", values[:, None])).measure(on_arc(values)).values()
    assert order.score > 0.98
    assert order.figure == pytest.approx(order.score)


def test_a_property_that_goes_in_a_circle_is_measured_around_it():
    values = smooth_values(np.random.default_rng(0)) * 2 % 1  # twice around: many across the end
    round_about = units_of(np.cos(2 * np.pi * values), np.sin(2 * np.pi * values))
    hue = asked_for(Property("hue", values[:, None], period=1.0)).measure(round_about)["hue"]
    assert hue.score > 0.98


@pytest.mark.parametrize("within", [False, True])
def test_random_embeddings_are_not_taken_for_ordered(within: bool):
    _, row, column = table()
    place = np.stack([row, column], axis=1).astype(float)
    place[row < 0] = np.nan
    values = smooth_values(np.random.default_rng(1))[:, None]
    wanted = Property("place", place, within=True) if within else Property("light", values)
    asked = asked_for(wanted)
    orders = [asked.measure(random_points(seed))[wanted.name] for seed in range(20)]
    assert np.abs([order.score for order in orders]).mean() < 0.05
    assert [order.figure for order in orders].count(0.0) == 20


def test_images_that_lie_apart_are_not_an_order_by_what_is_constant_in_each():
    sequence, row, _ = table()
    frequency = np.where(row < 0, np.nan, sequence % 4.0)
    images = np.eye(N_IMAGES)[sequence] + np.random.default_rng(2).normal(0, 0.01, (row.size, 12))
    order = asked_for(Property("frequency", frequency[:, None])).measure(units_of(*images.T))
    assert order["frequency"].figure < 0.1
    kinds = on_arc(np.nan_to_num(frequency) / 4)
    assert asked_for(Property("f", frequency[:, None])).measure(kinds)["f"].score > 0.98


def test_neighbour_patches_are_looked_for_in_the_same_image():
    _, row, column = table()
    place = np.stack([row, column], axis=1).astype(float)
    place[row < 0] = np.nan
    ordered = units_of(row / 3.0, column / 3.0, np.full(row.size, 2.0))
    found = asked_for(Property("place", place, within=True)).measure(ordered)["place"]
    assert found.score > 0.8


def test_what_cannot_be_measured_is_left_out():
    _, row, _ = table()
    constant, missing = np.zeros((row.size, 1)), np.full((row.size, 1), np.nan)
    values = smooth_values(np.random.default_rng(0))[:, None]
    asked = asked_for(
        Property("constant", constant), Property("missing", missing), Property("light", values)
    )
    assert asked.names == ["light"]


def test_one_image_has_no_other_images_to_compare_with():
    sequence, row, column = (values[:37] for values in table())
    light = Property("light", smooth_values(np.random.default_rng(0))[:37, None])
    assert Asked(sequence, row, column, GRID, [light], seed=0).names == []


def test_a_score_that_chance_can_reach_counts_as_none():
    assert Order(0.3, 0.3 / SIGNIFICANT).figure == 0.0
    assert Order(0.3, 0.05).figure == 0.3
    assert Order(-0.4, 0.01).figure == 0.0
    assert Order(1.02, 0.01).figure == 1.0


def test_the_measure_is_repeatable_and_blind_to_the_points_of_special_tokens():
    values = smooth_values(np.random.default_rng(0))
    points = random_points(5)
    first = asked_for(Property("light", values[:, None])).measure(points)
    points[table()[1] < 0] = 1.0
    assert asked_for(Property("light", values[:, None])).measure(points) == first
