"""How far off live points are placed: tokens that a map knows, placed as if it did not.

    QKATLAS_CACHE=cache python -m benchmarks.placement

takes the largest atlas of each model, nine heads spread over its layers. Every fifth sequence is
held out: its queries and keys are placed by the points of the others, and compared with where the
map has them. Writes `benchmarks/fidelity_placement.md`, which docs/fidelity.md takes in.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.atlases import open_store
from pipeline.atlas import Atlas, read_atlas
from pipeline.heads import HeadContext
from pipeline.placement import place_by_axes, place_by_neighbours
from pipeline.specs import DEFAULT_GUIDANCE, MapSpec
from pipeline.store import Store

PAGE = Path(__file__).with_name("fidelity_placement.md")
MODELS = ("minilm", "smollm2", "dinov2s")
MAPS = (
    MapSpec("tsne", 2, guidance=DEFAULT_GUIDANCE), MapSpec("umap", 2, guidance=DEFAULT_GUIDANCE),
    MapSpec("pca", 2),
)  # fmt: skip
NAMES = {"tsne": "t-SNE", "umap": "UMAP", "pca": "PCA"}
SPREAD_HEADS = 9
HELD_OUT_EVERY = 5
N_NEAR = 10
MAX_HELD_OUT = 400
Float = NDArray[np.float32]
Place = Callable[[Float, Float, Float], Float]

TEXT = """## Live points

A text that is typed is placed on maps that have never seen it. PCA has a rule for new points: they
are where they would have been. t-SNE and UMAP have none: a point is placed at the mean of its 10
nearest points of the joint embedding, weighted by 1 / cosine distance. To measure what that is
worth, every fifth sequence of {corpora} was held out and placed by the
others, {heads} heads of each model spread over the layers, and compared with where the map itself
has it; for PCA nothing is held out. Distances are medians in per cent of the map's width.
"Neighbours kept" is the share of a point's 10 nearest in the space that are among the 10 nearest on
the map: at the place that was found, at its place on the map, and, as the control, at the place of
another point. Written by `python -m benchmarks.placement`.

| model | map | off its place | off another's | neighbours kept | at its place | at another's |
|---|---|--:|--:|--:|--:|--:|
{rows}
"""


def measure_head(
    points: Float, coordinates: Float, is_held: NDArray[np.bool_], *, method: str, seed: int
) -> dict[str, float]:
    """Place held-out points of one head; return the figures of the table."""
    rng = np.random.default_rng(seed)
    held = rng.permutation(np.flatnonzero(is_held))[:MAX_HELD_OUT]
    # Axes that a fifth of the points has shaped cannot be found without it.
    known = np.arange(len(points)) if method == "pca" else np.flatnonzero(~is_held)
    place: Place = place_by_axes if method == "pca" else place_by_neighbours
    placed = place(points[known], coordinates[known], points[held])
    true = coordinates[held]
    others = true[rng.permutation(len(held))]
    span = float(np.ptp(coordinates, axis=0).max())
    seen = np.flatnonzero(~is_held)
    space = np.argsort(-(points[held] @ points[seen].T), axis=1)[:, :N_NEAR]
    at = coordinates[seen]
    return {
        "off": _median_distance(placed, true) / span,
        "off_random": _median_distance(others, true) / span,
        "kept": _kept(placed, at, space),
        "kept_true": _kept(true, at, space),
        "kept_random": _kept(others, at, space),
    }


def _median_distance(found: Float, true: Float) -> float:
    return float(np.median(np.linalg.norm(found - true, axis=1)))


def _kept(found: Float, at: Float, space: NDArray[np.int64]) -> float:
    """Return the share of the nearest points of the space that are nearest on the map too."""
    shares = []
    for place, wanted in zip(found, space, strict=True):
        nearest = np.argpartition(((at - place) ** 2).sum(axis=1), N_NEAR)[:N_NEAR]
        shares.append(np.isin(wanted, nearest).mean())
    return float(np.mean(shares))


def measure_atlas(atlas: Atlas, n_heads: int) -> Iterator[tuple[MapSpec, dict[str, float]]]:
    """Yield each map with the mean of its figures over heads spread over the layers."""
    cells = atlas.capture.cells
    places = np.linspace(0, len(cells) - 1, n_heads + 2).round().astype(int)[1:-1]
    capture = atlas.capture
    sequences = capture.tokens.sequence_index[capture.point_tokens]
    is_held = sequences % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    found: dict[MapSpec, list[dict[str, float]]] = {spec: [] for spec in MAPS}
    for number, place in enumerate(places):
        layer, head = cells[place]
        points = atlas.unit_points(layer, head)
        context = HeadContext(atlas, layer, head, points)
        for spec in MAPS:
            coordinates = context.project(spec)
            found[spec].append(
                measure_head(points, coordinates, is_held, method=spec.method, seed=number)
            )
        _say(f"{atlas.record['model']} L{layer} H{head}: {[found[s][-1] for s in MAPS]}")
    for spec, rows in found.items():
        yield spec, {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def largest_atlas(store: Store, model: str) -> Atlas:
    """Return the atlas of a model with the most points."""
    atlases = [
        read_atlas(store, record["key"])
        for record in store.records("atlas")
        if record["model"] == model and record["normalisation"] == "faithful"
    ]
    if not atlases:
        raise SystemExit(f"there is no atlas of {model}; build one first")
    return max(atlases, key=lambda atlas: atlas.capture.n_points)


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.placement", description=__doc__)
    parser.add_argument("--heads", type=int, default=SPREAD_HEADS)
    options = parser.parse_args()
    store, rows, corpora = open_store(), [], []
    for model in MODELS:
        atlas = largest_atlas(store, model)
        corpus = atlas.capture.record["corpus"]
        corpora.append(f"{corpus['n_sequences']} {corpus['name']}")
        with threadpool_limits(1):
            for spec, figures in measure_atlas(atlas, options.heads):
                off = [f"{100 * figures[name]:.2g} %" for name in ("off", "off_random")]
                kept = [f"{figures[f'kept{end}']:.2f}" for end in ("", "_true", "_random")]
                cells = (model, f"{NAMES[spec.method]} {spec.dims}-D", *off, *kept)
                rows.append(f"| {' | '.join(cells)} |")
    text = TEXT.format(
        corpora=", ".join(dict.fromkeys(corpora)), heads=options.heads, rows="\n".join(rows)
    )
    PAGE.write_text(text, encoding="utf-8")
    _say(text)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
