"""What the query and key weights of each head have in common, as it is stored. NumPy only.

A score is x W_Q^T W_K y for the vectors x and y that two tokens bring. Two figures of a head:
correlation is Pearson's r over the entries of W_Q and W_K, place by place: 1 where both projections
are alike, so that tokens look for what they are. Symmetry is <M, M^T> / <M, M> of M = W_Q^T W_K: 1
where every pair of tokens scores alike in both directions, -1 where the directions are opposed;
unlike the correlation it does not depend on the basis in which queries and keys are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.captured import Capture
from pipeline.errors import InputError
from pipeline.jobs import JobRecord, JobTable
from pipeline.objects import ObjectRef
from pipeline.specs import digest
from pipeline.store import Store

WEIGHTS = "weights"
# Raise it in the change that alters what is computed.
VERSION = 1
N_SAMPLED = 2_000

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class LayerWeights:
    """The comparison of all heads of a layer.

    Parameters
    ----------
    correlation, symmetry : (n_heads,) float64, -1 .. 1.
    by_dimension : (n_heads, head_dim) float64 correlation of each row of W_Q with that of W_K.
    sampled : (n_heads, at most 2,000, 2) float32 entries of W_Q and W_K at the same places.
    """

    correlation: Float64
    symmetry: Float64
    by_dimension: Float64
    sampled: Float32


@dataclass(frozen=True)
class HeadWeights:
    """One head, for the panel beside its map.

    Parameters
    ----------
    query_module, key_module : names of the modules that hold the weights.
    reason : why they are not known; then all arrays are empty.
    correlation, symmetry : of this head.
    by_dimension : (head_dim,) float64.
    sampled : (n, 2) float32.
    n_entries : of W_Q, from which they are sampled.
    all_heads : (n_layers, most heads of a layer) float64 correlations, NaN where there is none.
    """

    query_module: str
    key_module: str
    reason: str
    correlation: float
    symmetry: float
    by_dimension: Float64
    sampled: Float32
    n_entries: int
    all_heads: Float64


def compare_weights(queries: Float32, keys: Float32, *, seed: int = 0) -> LayerWeights:
    """Compare the projection weights of every head of a layer.

    Parameters
    ----------
    queries : (n_heads, head_dim, width) float32, W_Q of each head.
    keys : (n_kv_heads, head_dim, width) float32; groups of heads share one.
    seed : of the entries that are kept to be drawn.
    """
    groups = queries.shape[0] // keys.shape[0]
    first = queries.astype(np.float64)
    second = np.repeat(keys, groups, axis=0).astype(np.float64)
    n_heads = first.shape[0]
    entries = first.reshape(n_heads, -1), second.reshape(n_heads, -1)
    places = np.random.default_rng(seed).permutation(entries[0].shape[1])[:N_SAMPLED]
    sampled = np.stack([side[:, places] for side in entries], axis=-1)
    crossed = second @ first.transpose(0, 2, 1)
    squared = _trace(first @ first.transpose(0, 2, 1), second @ second.transpose(0, 2, 1))
    return LayerWeights(
        correlation=pearson(*entries),
        symmetry=_trace(crossed, crossed) / np.where(squared > 0, squared, 1),
        by_dimension=pearson(first, second),
        sampled=sampled.astype(np.float32),
    )


def pearson(first: Float64, second: Float64) -> Float64:
    """Return Pearson's r along the last axis; 0 where one of them is constant."""
    first = first - first.mean(axis=-1, keepdims=True)
    second = second - second.mean(axis=-1, keepdims=True)
    spread = np.sqrt((first**2).sum(axis=-1) * (second**2).sum(axis=-1))
    found: Float64 = (first * second).sum(axis=-1) / np.where(spread > 0, spread, 1)
    return found


def _trace(first: Float64, second: Float64) -> Float64:
    """Return the trace of the product of each two matrices."""
    found: Float64 = np.einsum("hij,hji->h", first, second)
    return found


def weights_key(capture: dict[str, Any]) -> str:
    """Name the comparison for the model of a capture, by its files and the part that is seen."""
    return digest({
        "stage": WEIGHTS,
        "version": VERSION,
        "files": capture["model"]["files"],
        "part": capture["part"],
        "modality": capture["corpus"]["modality"],
    })  # fmt: skip


def read_weights(capture: Capture, layer: int, head: int) -> HeadWeights | None:
    """Return what is known of one head; None when its model has not been looked at.

    Raises
    ------
    InputError
        if there is no such head.
    """
    capture.cell(layer, head)
    store = capture.store
    record = store.get_record(weights_key(capture.record))
    if record is None:
        return None
    layers = record["layers"]
    if [row["module"] for row in layers] != [one.module for one in capture.layers]:
        raise InputError("the weights that are stored are those of other layers; build again")
    row, place = layers[layer], record["objects"]["layers"][layer]
    most = max(one.n_heads for one in capture.layers)
    all_heads = np.full((len(layers), most), np.nan)
    for i, other in enumerate(layers):
        all_heads[i, : len(other["correlation"])] = other["correlation"]
    if place is None:
        nothing = np.empty(0)
        return HeadWeights(row["query_module"], row["key_module"], row["reason"], np.nan, np.nan,
                           nothing, np.empty((0, 2), np.float32), 0, all_heads)  # fmt: skip
    arrays = {n: store.open_array(ObjectRef.from_json(ref))[head] for n, ref in place.items()}
    return HeadWeights(
        row["query_module"], row["key_module"], "",
        row["correlation"][head], row["symmetry"][head],
        np.asarray(arrays["by_dimension"]), np.asarray(arrays["sampled"]), row["n_entries"],
        all_heads,
    )  # fmt: skip


class Weights:
    """The weights of the models of one store; the worker looks at them when somebody asks.

    Parameters
    ----------
    store : the cache folder.
    jobs : its queue.
    """

    def __init__(self, store: Store, jobs: JobTable) -> None:
        self._store, self._jobs = store, jobs

    def of_head(self, capture: Capture, layer: int, head: int) -> HeadWeights | None:
        """Return what is known of one head; see `read_weights`."""
        if (record := self._store.get_record(weights_key(capture.record))) is not None:
            self._store.note_use(record)
        return read_weights(capture, layer, head)

    def start(self, atlas_key: str, *, owner: str) -> JobRecord:
        """Ask the worker to look at the model of an atlas, or join who has asked.

        Raises
        ------
        JobError
            if too many jobs wait.
        """
        return self._jobs.submit(WEIGHTS, {"atlas": atlas_key}, owner)

    def last(self, atlas_key: str) -> JobRecord | None:
        """Return the newest job for an atlas, whatever became of it."""
        jobs = [j for j in self._jobs.list() if j.kind == WEIGHTS and j.spec["atlas"] == atlas_key]
        return jobs[-1] if jobs else None
