"""What can be said of one head beyond its stored figures: pairs to draw, norms, choice of c."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.atlas import Atlas
from pipeline.normalise import SCALES
from pipeline.quality import inner, spearman
from pipeline.sampling import N_PAIRS, sample_pairs

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class HeadReport:
    """One head, for the panels beside its map.

    Parameters
    ----------
    dot : (n_pairs,) float64 dot products of sampled normalised pairs of the same sequence.
    space_distance : (n_pairs,) float64, their cosine distance.
    map_distance : (n_pairs,) float64, their distance on the map; None without a map.
    space_rho, map_rho : rank correlation of each with `dot` over these pairs.
    scales, curve : (n_scales,) float64 what c was chosen from; empty where it was not chosen.
    scale : c.
    query_norms, key_norms : (n,) float32 raw norms.
    """

    dot: Float64
    space_distance: Float64
    map_distance: Float64 | None
    space_rho: float
    map_rho: float | None
    scales: Float64
    curve: Float64
    scale: float
    query_norms: NDArray[np.float32]
    key_norms: NDArray[np.float32]


def report_head(
    atlas: Atlas, layer: int, head: int, coordinates: NDArray[np.float32] | None
) -> HeadReport:
    """Look at one head.

    Parameters
    ----------
    coordinates : (n_points, dims) float32 of its map, None for none.

    Raises
    ------
    InputError
        if there is no such head.
    """
    capture = atlas.capture
    cell = capture.cell(layer, head)
    pairs = sample_pairs(
        capture.query_offset, capture.reachable(layer, head), n_pairs=N_PAIRS, seed=0,
        key_offset=capture.key_offset,
    )  # fmt: skip
    dots = np.concatenate(atlas.normalised(layer, head))
    units = atlas.unit_points(layer, head)
    n = capture.n_queries
    query, key = pairs[0], pairs[1] + n
    dot = inner(dots[query], dots[key])
    in_space = 1 - inner(units[query], units[key])
    on_map: Float64 | None = None
    if coordinates is not None:
        on_map = np.linalg.norm(coordinates[query] - coordinates[key], axis=1).astype(np.float64)
    how = atlas.normalisation(layer, head)
    norms = capture.norms()[cell]
    return HeadReport(
        dot, in_space, on_map,
        space_rho=spearman(dot, in_space),
        map_rho=None if on_map is None else spearman(dot, on_map),
        scales=SCALES if how.curve.size == SCALES.size else np.empty(0),
        curve=how.curve, scale=how.scale,
        query_norms=np.asarray(norms[:n]), key_norms=np.asarray(norms[n:]),
    )  # fmt: skip


def judge(quality: dict[str, Any]) -> list[tuple[str, str]]:
    """Say in plain words what is good and what is not, as (level, sentence), the space first.

    Levels are "good", "doubtful" and "bad"; the bounds are those of the pills of the title line.
    """
    found = []
    for names, good, doubtful, words in JUDGEMENTS:
        values = [quality[name] for name in names if isinstance(quality.get(name), float)]
        if not values:
            continue
        sign = 1 if good > doubtful else -1
        level = (
            0
            if sign * values[0] >= sign * good
            else 1
            if sign * values[0] >= sign * doubtful
            else 2
        )
        found.append((("good", "doubtful", "bad")[level], words[level].format(values[0])))
    return found


JUDGEMENTS = (
    (("space_per_query_rho",), -0.95, -0.8, (
        "In the space, nearer keys get more attention (rho {:.2f}).",
        "In the space, distance follows attention only roughly (rho {:.2f}).",
        "Already in the space, distance says little about attention (rho {:.2f}).")),
    (("per_query_rho",), -0.5, -0.25, (
        "On this map, near means attended, most of the time (rho {:.2f}).",
        "On this map, near means attended only as a tendency (rho {:.2f}).",
        "On this map, distance between a query and a key says little (rho {:.2f}).")),
    (("trustworthiness_at_10",), 0.95, 0.85, (
        "Points that are neighbours here are neighbours in the space (trustworthiness {:.2f}).",
        "Some neighbours here are none in the space (trustworthiness {:.2f}).",
        "Many neighbours here are none in the space (trustworthiness {:.2f}).")),
    (("recall_at_10",), 0.5, 0.25, (
        "Most true neighbours are kept (recall {:.2f}).",
        "Part of the true neighbours is torn apart (recall {:.2f}).",
        "Most true neighbours are torn apart (recall {:.2f}).")),
    (("mixing",), 0.2, 0.05, (
        "Queries and keys share their places (mixing {:.2f}).",
        "Queries and keys mostly lie apart (mixing {:.2f}); compare distances, not places.",
        "Queries and keys lie apart (mixing {:.2f}): read the order of distances only.")),
)  # fmt: skip
