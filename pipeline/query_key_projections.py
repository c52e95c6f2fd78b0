"""Finds the weights that make queries and keys: the linear modules whose outputs they are.

No model family is named. While one sequence runs, every smallest module notes what it received and
gave; the columns of the captured queries and keys are looked for among what was given. Fused
projections, shared key heads, factors, biases and norms in between need no rule of their own, and
what is found is proved on the values of this run.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.capture import AttentionCall
from pipeline.inputs import ModelInputs
from pipeline.models import LoadedModel
from pipeline.survey import Survey, capturing, forward

# Relative to the greatest value of a column; float32 sums in another order differ by 1e-6.
TOLERANCE = 1e-4
N_ROWS = 64  # tokens that are compared; columns that agree on all of them are the same
N_TRIED = 4  # columns that are looked for first
MAX_STEPS = 4  # modules between a projection and the softmax: a norm, a dropout

Float32 = NDArray[np.float32]
Tensor = torch.Tensor


@dataclass(frozen=True)
class Projection:
    """What makes the queries, or the keys, of one layer.

    Parameters
    ----------
    module : qualified name of the linear module.
    weights : (n_heads, head_dim, width of the input) float32; one row makes one value of a vector.
    """

    module: str
    weights: Float32


@dataclass(frozen=True)
class LayerProjections:
    """Both projections of an attention module.

    Parameters
    ----------
    module : qualified name, as in `LayerRecord`.
    queries, keys : None where they were not found.
    reason : why not, for the user; empty where both were found.
    """

    module: str
    queries: Projection | None
    keys: Projection | None
    reason: str = ""


@dataclass(frozen=True)
class _Note:
    """What a module received and gave, as (rows, columns)."""

    name: str
    module: Any
    received: Tensor
    given: Tensor


def find_projections(
    loaded: LoadedModel, inputs: ModelInputs, survey: Survey
) -> list[LayerProjections]:
    """Run the longest sequence and find the projections of every layer.

    Parameters
    ----------
    inputs : of the model; one sequence is run.
    survey : how the model is captured.

    Returns
    -------
    One for each layer, in order of the forward pass.
    """
    tower = inputs.tower(loaded)
    sequence = [int(np.argmax(inputs.query_lengths))]
    features = inputs.batch(loaded, sequence)
    batch = inputs.geometry(features, sequence, tower.device)
    watch = _Watch()
    found: list[LayerProjections] = []

    def take(call: AttentionCall) -> None:
        if batch.fits(call):
            found.append(watch.explain(call))
        watch.notes.clear()

    with ExitStack() as hooks:
        for name, module in tower.named_modules():
            if not list(module.children()):
                hooks.callback(module.register_forward_hook(watch.hook(name)).remove)
        with capturing(tower, take, route=survey.route, unrotated=True):
            forward(tower, features)
    return found


class _Watch:
    """What ran since the last attention."""

    def __init__(self) -> None:
        self.notes: list[_Note] = []

    def hook(self, name: str) -> Callable[..., None]:
        """Return a forward hook that notes what a module does."""

        def note(module: Any, args: tuple[Any, ...], output: Any) -> None:
            if not (args and isinstance(args[0], Tensor) and isinstance(output, Tensor)):
                return
            received, given = _rows(args[0]), _rows(output)
            if received is not None and given is not None and len(received) == len(given):
                self.notes.append(_Note(name, module, received, given))

        return note

    def explain(self, call: AttentionCall) -> LayerProjections:
        """Find what made the queries and keys of a call."""
        vectors = (call.query, call.key) if call.unrotated is None else call.unrotated
        found = [self._trace(vector) for vector in vectors]
        reasons = [
            f"no linear module gives the {name} of {call.module}"
            for name, one in zip(("queries", "keys"), found, strict=True)
            if one is None
        ]
        if call.rotation == "lost":
            reasons = [f"{reason}: their rotation cannot be undone" for reason in reasons]
        queries, keys = found
        if queries and keys and queries.weights.shape[2] != keys.weights.shape[2]:
            reasons = ["queries and keys are made from vectors of different width"]
        return LayerProjections(call.module, queries, keys, "; ".join(reasons))

    def _trace(self, vectors: Tensor) -> Projection | None:
        """Go back from (1, n_heads, length, head_dim) vectors to the weights that make them."""
        _, n_heads, length, head_dim = vectors.shape
        wanted = _thinned(vectors[0].transpose(0, 1).reshape(length, n_heads * head_dim), length)
        end = len(self.notes)
        for _ in range(MAX_STEPS):
            step = self._maker(wanted, length, end)
            if step is None:
                return None
            place, columns = step
            note = self.notes[place]
            weight = _linear_rows(note)
            if weight is not None:
                rows = weight[columns].reshape(n_heads, head_dim, -1)
                return Projection(note.name, rows.float().cpu().numpy())
            if note.received.shape != note.given.shape:
                return None
            wanted, end = _thinned(note.received, length)[:, columns], place
        return None

    def _maker(self, wanted: Tensor, length: int, end: int) -> tuple[int, Tensor] | None:
        """Return the last note before `end` that gave all wanted columns, and which they are."""
        for place in reversed(range(end)):
            given = self.notes[place].given
            if len(given) != length:
                continue
            columns = _match(wanted, _thinned(given, length))
            if columns is not None:
                return place, columns
        return None


def _rows(tensor: Tensor) -> Tensor | None:
    """Return a tensor of one sequence as (length, columns), heads side by side."""
    if tensor.ndim == 4 and tensor.shape[0] == 1:
        # (1, heads, length, width) or (1, length, heads, width): there are more tokens than heads.
        by_length = tensor[0] if tensor.shape[1] >= tensor.shape[2] else tensor[0].transpose(0, 1)
        return by_length.reshape(by_length.shape[0], -1)
    if tensor.ndim == 3 and tensor.shape[0] == 1:
        return tensor[0]
    return tensor if tensor.ndim == 2 else None


def _thinned(rows: Tensor, length: int) -> Tensor:
    """Return at most `N_ROWS` rows, the same of every tensor of this length, in float64."""
    step = -(-length // N_ROWS)
    return rows[::step].double()


def _match(wanted: Tensor, given: Tensor) -> Tensor | None:
    """Return for every wanted column the given one that it is made of, by a factor and a constant.

    Parameters
    ----------
    wanted, given : (n_rows, n_wanted) and (n_rows, n_given).

    Returns
    -------
    (n_wanted,) columns of `given`; None if one has none.

    Cost
    ----
    n_wanted * n_given numbers.
    """
    if wanted.shape[1] > N_TRIED and _match(wanted[:, :N_TRIED], given) is None:
        return None
    # A constant, such as a bias that is added outside, is the same in all rows.
    wanted, given = wanted - wanted.mean(dim=0), given - given.mean(dim=0)
    scale = given.norm(dim=0).clamp_min(1e-30)
    closeness = (wanted / wanted.norm(dim=0).clamp_min(1e-30)).T @ (given / scale)
    columns = closeness.abs().argmax(dim=1)
    found = given[:, columns]
    factor = (wanted * found).sum(dim=0) / scale[columns] ** 2
    difference = (wanted - factor * found).abs().amax(dim=0)
    is_same = difference <= TOLERANCE * wanted.abs().amax(dim=0)
    is_there = wanted.abs().amax(dim=0) > 0
    return columns if bool((is_same & is_there).all()) else None


def _linear_rows(note: _Note) -> Tensor | None:
    """Return the weight of a linear module as (columns given, columns received), proved; or None.

    Some modules keep it the other way round.
    """
    weight = getattr(note.module, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2 or not weight.is_floating_point():
        return None
    bias = getattr(note.module, "bias", None)
    for rows in (weight.detach(), weight.detach().T):
        if rows.shape != (note.given.shape[1], note.received.shape[1]):
            continue
        made = note.received.double() @ rows.double().T
        made = made if bias is None else made + bias.double()
        difference = (made - note.given.double()).abs().max()
        if difference <= TOLERANCE * note.given.abs().max():
            return rows
    return None
