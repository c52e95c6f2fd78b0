"""t-SNE and UMAP of many heads at once in torch: for a GPU, and the same code on the CPU for tests.

Affinities and fuzzy graphs come from `tsne.py` and `umap.py`, one a head; here they are only laid
out. Heads do not know of each other: a head has the same map in any batch. All sums run along rows
in a fixed order, so that equal seeds give equal maps on one kind of device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.projection import layout, tsne, umap

Float32 = NDArray[np.float32]
Tensor = torch.Tensor

# Pairs of which differences are held at a time where the loop is not fused: 64 MiB each.
PAIRS_AT_A_TIME = 2**24


# torch mixes with Python's floats only.
GAIN_RISE, GAIN_FALL, MIN_GAIN = map(float, (tsne.GAIN_RISE, tsne.GAIN_FALL, tsne.MIN_GAIN))
MAX_STEP, NEAR, SMALL = map(float, (layout.MAX_STEP, layout.NEAR, layout.SMALL))


@dataclass(frozen=True)
class Graph:
    """The edges of all heads of a batch, row by row.

    Parameters
    ----------
    offset : (n_heads * n_points + 1,) int64 first edge of each point.
    row, column : (n_edges,) int64 points, numbered through all heads.
    weight : (n_edges,) float32.
    """

    offset: Tensor
    row: Tensor
    column: Tensor
    weight: Tensor

    @staticmethod
    def of(graphs: Sequence[csr_array], device: str) -> Graph:
        """Put the graphs of several heads on a device."""
        n_points = graphs[0].shape[0]
        first = np.cumsum([0] + [graph.nnz for graph in graphs])
        offset = [graph.indptr[:-1] + start for graph, start in zip(graphs, first, strict=False)]
        column = [graph.indices + head * n_points for head, graph in enumerate(graphs)]
        offsets = np.append(np.concatenate(offset), first[-1]).astype(np.int64)
        points = np.arange(len(graphs) * n_points)
        return Graph(
            torch.from_numpy(offsets).to(device),
            torch.from_numpy(np.repeat(points, np.diff(offsets))).to(device),
            torch.from_numpy(np.concatenate(column).astype(np.int64)).to(device),
            torch.from_numpy(np.concatenate([g.data for g in graphs]).astype(np.float32)).to(
                device
            ),
        )

    def differences(self, positions: Tensor) -> Tensor:
        """(n_edges, n_components) from the column's point to the row's."""
        flat = positions.flatten(0, 1)
        return flat[self.row] - flat[self.column]

    def sum_rows(self, values: Tensor, like: Tensor) -> Tensor:
        """Add up (n_edges, n_components) values of each point, always in the same order."""
        return torch.segment_reduce(values, "sum", offsets=self.offset, axis=0).reshape(like.shape)


def project_tsne_batch(
    starts: Sequence[Float32], affinities: Sequence[csr_array], *, device: str
) -> list[Float32]:
    """Lay out t-SNE maps of heads together, with the repulsion of all pairs.

    Parameters
    ----------
    starts : (n_points, n_components) float32 of each head, all of one shape; as t-SNE begins.
    affinities : (n_points, n_points) float32 of each head, symmetric, sums to 1.
    device : "cuda" or "cpu".

    Returns
    -------
    (n_points, n_components) float32 of each head.

    Cost
    ----
    Time grows with the square of `n_points`; memory does not where the loop is fused.
    """
    positions = torch.from_numpy(np.stack(starts)).to(device)
    graph = Graph.of(affinities, device)
    velocity, gains = torch.zeros_like(positions), torch.ones_like(positions)
    freedom = positions.shape[2] - 1
    rate = max(positions.shape[1] / tsne.EXAGGERATION, tsne.MIN_RATE)
    repel = fused(repulsion, device)
    phases = (
        (tsne.EARLY_STEPS, tsne.EXAGGERATION, tsne.EARLY_MOMENTUM),
        (tsne.LATE_STEPS[positions.shape[2]], 1.0, tsne.LATE_MOMENTUM),
    )
    for n_steps, exaggeration, momentum in phases:
        for _ in range(n_steps):
            away = graph.differences(positions)
            pull = exaggeration * graph.weight / (1 + away.square().sum(1) / freedom)
            slope = graph.sum_rows(pull[:, None] * away, positions)
            push = over_rows(repel, positions)
            # The last column is the sum of s, the others the forces.
            total = push[..., -1].double().sum(1) - positions.shape[1]
            slope -= push[..., :-1] / total[:, None, None].float()
            slope *= (2 * freedom + 2) / freedom
            turned = slope * velocity > 0
            gains = torch.where(turned, gains * GAIN_FALL, gains + GAIN_RISE)
            gains.clamp_(min=MIN_GAIN)
            velocity = float(momentum) * velocity - rate * gains * slope
            positions = positions + velocity
    return list(positions.cpu().numpy())


def repulsion(some: Tensor, others: Tensor) -> Tensor:
    """Return the repulsion of some points of each head by all.

    Parameters
    ----------
    some : (n_heads, n_some, n_components) float32.
    others : (n_heads, n_points, n_components) float32.

    Returns
    -------
    (n_heads, n_some, n_components + 1): sum_j s_ij w_ij (y_i - y_j), then sum_j s_ij, of which the
    point itself is 1.
    """
    freedom = some.shape[2] - 1
    away = [some[:, :, None, axis] - others[:, None, :, axis] for axis in range(some.shape[2])]
    squared = _squared_length(away)
    w = 1 / (1 + squared / freedom)
    s = w if freedom == 1 else w * torch.sqrt(w)
    return torch.stack([*((s * w * one).sum(2) for one in away), s.sum(2)], dim=2)


def fused(
    pairs: Callable[[Tensor, Tensor], Tensor], device: str
) -> Callable[[Tensor, Tensor], Tensor]:
    """Compile a sum over pairs into one kernel that never holds the pairs; on a GPU only."""
    if device == "cpu":
        return pairs
    compiled: Callable[[Tensor, Tensor], Tensor] = torch.compile(pairs, dynamic=True)
    return compiled


def over_rows(
    pairs: Callable[[Tensor, Tensor], Tensor], positions: Tensor, others: Tensor | None = None
) -> Tensor:
    """Apply a sum over pairs to all points; some rows at a time where it holds its pairs."""
    others = positions if others is None else others
    if positions.is_cuda:
        return pairs(positions, others)
    n_rows = max(1, PAIRS_AT_A_TIME // (positions.shape[0] * others.shape[1]))
    rows = torch.split(positions, n_rows, dim=1)
    return torch.cat([pairs(some, others) for some in rows], dim=1)


def project_umap_batch(
    starts: Sequence[Float32], graphs: Sequence[csr_array], *, seed: int, device: str
) -> list[Float32]:
    """Lay out UMAP's fuzzy graphs of heads together.

    As in `layout.py`, but that all points of an epoch move at once, and only to where their edges
    balance: what moves at once would swing if it went farther.

    Parameters
    ----------
    starts : (n_points, n_components) float32 of each head, all of one shape.
    graphs : (n_points, n_points) float32 of each head, symmetric, weights 0 .. 1.
    seed : of the points that push.
    device : "cuda" or "cpu".

    Returns
    -------
    (n_points, n_components) float32 of each head.
    """
    positions = torch.from_numpy(np.stack(starts)).to(device)
    n_points = positions.shape[1]
    n_epochs = int(np.clip(umap.EPOCH_POINTS // n_points, umap.MIN_EPOCHS, umap.MAX_EPOCHS))
    graph = Graph.of([g / g.data.max() for g in graphs], device)
    drawn = layout.NEGATIVES * graph.sum_rows(graph.weight[:, None], positions[..., :1])
    a, b = umap.find_curve()
    repel = fused(umap_repulsion(a, b), device)
    samples = np.random.default_rng(seed).integers(n_points, size=(n_epochs, layout.N_SOURCES))
    for sources, alpha in zip(samples, np.linspace(1, 0, n_epochs, endpoint=False), strict=True):
        away = graph.differences(positions)
        squared = away.square().sum(1, keepdim=True).clamp(min=SMALL)
        slope = -2 * a * b * squared ** (b - 1) / (1 + a * squared**b)
        # An edge is in the graph in both directions, and each moves both of its points.
        pull = 2 * graph.weight[:, None] * (slope * away).clamp(-MAX_STEP, MAX_STEP)
        others = positions[:, torch.from_numpy(sources).to(device)]
        push = drawn * over_rows(repel, positions, others) / layout.N_SOURCES
        stiffness = graph.sum_rows(-2 * graph.weight[:, None] * slope, positions[..., :1])
        rate = float(alpha) * (1 / stiffness.clamp(min=SMALL)).clamp(max=1)
        positions = positions + rate * (graph.sum_rows(pull, positions) + push)
    return list(positions.cpu().numpy())


def umap_repulsion(a: float, b: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the sum over pairs of UMAP's push, for a curve 1 / (1 + a d^2b)."""

    def push(some: Tensor, others: Tensor) -> Tensor:
        away = [some[:, :, None, axis] - others[:, None, :, axis] for axis in range(some.shape[2])]
        squared = _squared_length(away)
        slope = 2 * b / ((NEAR + squared) * (1 + a * squared**b))
        return torch.stack([(slope * one).clamp(-MAX_STEP, MAX_STEP).sum(2) for one in away], dim=2)

    return push


def _squared_length(away: list[Tensor]) -> Tensor:
    squared = away[0] * away[0]
    for one in away[1:]:
        squared = squared + one * one
    return squared
