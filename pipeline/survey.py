"""Finds out how a model's attention can be captured, on its two shortest sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline.capture import EVERY, AttentionCall, recording
from pipeline.errors import CaptureError
from pipeline.fallback import intercepting
from pipeline.inputs import ModelInputs, longest_first
from pipeline.layers import Batch, check_finite
from pipeline.models import LoadedModel
from pipeline.output_projections import Projection, ProjectionFinder, finding_projections
from pipeline.rotation import catching_rotations

# Relative to the norm of the last hidden state; other attention kernels sum in another order.
HIDDEN_STATE_TOLERANCE = 1e-4
# What the calls of a survey may hold; of larger ones the sequences are run again.
KEPT_BYTES = 128 * 2**20
ROUTES = ("interface", "fallback")

Tensor = torch.Tensor


class LastAttention(Exception):
    """Ends a forward pass early: nothing that comes after its last attention is captured."""


@dataclass(frozen=True)
class Survey:
    """How a model is captured.

    Parameters
    ----------
    route : "interface", or "fallback" for attention code that does not use it.
    rotation : module name -> "none", "caught" or "lost", in order of the forward pass.
    hidden_state_difference : of the last hidden state under capture to that of the model with its
        default attention, relative to its norm.
    projections : module name -> what its weighted values are multiplied by.
    batch : the sequences that were tried.
    calls : all that was caught of them, with vectors before rotation; empty where that is much.
    """

    route: str
    rotation: dict[str, str]
    hidden_state_difference: float
    projections: dict[str, Projection]
    batch: Batch
    calls: tuple[AttentionCall, ...]

    @property
    def last_module(self) -> str:
        """Module whose attention comes last in a forward pass."""
        return next(reversed(self.rotation))


def survey(loaded: LoadedModel, inputs: ModelInputs) -> Survey:
    """Try the attention interface, then the fallback.

    Raises
    ------
    CaptureError
        if neither catches every layer, or the model computes something else under capture.
    """
    tower = inputs.tower(loaded)
    wanted = expected_layers(tower, inputs.part)
    found: list[str] = []
    for route in ROUTES:
        sequences = _shortest(inputs, 2 if route == ROUTES[0] else 1)
        features = inputs.batch(loaded, sequences)
        batch = inputs.geometry(features, sequences, tower.device)
        expected = _own(tower, features)
        with finding_projections(tower) as finder:
            trial = _Trial(inputs, batch, finder)
            try:
                with capturing(tower, trial.take, route=route, unrotated=True):
                    hidden = forward(tower, features)
            except CaptureError as error:
                found.append(str(error))
                continue
        if len(trial.rotation) >= wanted:
            difference = _difference(hidden, expected, batch, inputs.part)
            return Survey(
                route, trial.rotation, difference, finder.found, batch, tuple(trial.calls)
            )  # fmt: skip
        found.append(f"{len(trial.rotation)} of {wanted} layers were caught by the {route}")
    raise CaptureError(
        f"{type(tower).__name__} cannot be captured: {'; '.join(found)}; expected every layer to "
        "call transformers' attention interface, or one product of queries and keys a layer that "
        "ends in a softmax over keys"
    )


class _Trial:
    """What is seen while a model runs on a few sequences.

    Parameters
    ----------
    inputs : of the model.
    batch : the sequences.
    finder : told of every call.
    """

    def __init__(self, inputs: ModelInputs, batch: Batch, finder: ProjectionFinder) -> None:
        self._inputs = inputs
        self._batch = batch
        self._finder = finder
        self._n_bytes = 0
        self.rotation: dict[str, str] = {}
        self.calls: list[AttentionCall] = []

    def take(self, call: AttentionCall) -> None:
        """Note one call, unless it belongs to another part of the model."""
        if not self._inputs.is_meant(call, self._batch):
            return
        check_finite(call)
        self.rotation[call.module] = call.rotation
        self._finder.expect(call)
        self._n_bytes += call.n_bytes
        self.calls.append(call)
        if self._n_bytes > KEPT_BYTES:
            self.calls.clear()


@contextmanager
def capturing(
    tower: Any,
    on_call: Callable[[AttentionCall], None],
    *,
    route: str,
    unrotated: bool,
    weighed: Callable[[], slice] = lambda: EVERY,
) -> Iterator[None]:
    """Call `on_call` for each attention module of every forward pass inside the block.

    Parameters
    ----------
    route : of a survey.
    unrotated : whether vectors before the rotary embedding are wanted too.
    weighed : tells of which sequences of a batch the weights are wanted; the fallback, which takes
        one at a time, gives all.
    """
    watch = catching_rotations(tower) if unrotated else nullcontext(None)
    with watch as rotations:
        if route == ROUTES[0]:
            through = recording(tower, on_call, rotations=rotations, weighed=weighed)
        else:
            through = intercepting(tower, on_call, rotations=rotations)
        with through:
            yield


def forward(tower: Any, features: dict[str, Tensor]) -> Tensor:
    """Run one forward pass without gradients; return the last hidden state."""
    arguments: dict[str, Any] = {k: v.to(tower.device) for k, v in features.items()}
    if getattr(tower.config, "use_cache", False):
        arguments["use_cache"] = False
    with torch.inference_mode():
        hidden: Tensor = tower(**arguments).last_hidden_state
    return hidden


def expected_layers(tower: Any, part: str) -> int:
    """Return how many layers of a model have attention, by its configuration."""
    config = tower.config
    if not config.is_encoder_decoder:
        config = config.get_text_config()
    if part in ("decoder", "cross"):
        for name in ("num_decoder_layers", "decoder_layers", "num_hidden_layers"):
            if getattr(config, name, None):
                return int(getattr(config, name))
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return sum("linear" not in kind and "mamba" not in kind for kind in kinds)
    return getattr(config, "num_hidden_layers", None) or 1


def _shortest(inputs: ModelInputs, n_sequences: int) -> list[int]:
    """Choose sequences to try: those that `plan_batches` puts last, in its order."""
    lengths = np.stack([inputs.query_lengths, inputs.key_lengths], axis=1)
    last = longest_first(lengths.max(axis=1))[-n_sequences:]
    # A second sequence of the same length shows nothing new: neither of both is padded.
    chosen = last if len(np.unique(lengths[last], axis=0)) > 1 else last[-1:]
    return [int(sequence) for sequence in chosen]


def _own(tower: Any, features: dict[str, Tensor]) -> Tensor:
    """Run the model as it is; what it cannot read is no fault of the capture."""
    try:
        return forward(tower, features)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        shapes = {name: tuple(value.shape) for name, value in features.items()}
        raise CaptureError(
            f"{type(tower).__name__} cannot run on {shapes}: {type(error).__name__}: {error}; "
            "expected a model that turns texts or images into hidden states"
        ) from error


def _difference(found: Tensor, expected: Tensor, batch: Batch, part: str) -> float:
    """Compare last hidden states where nothing is padded."""
    # Without a mask there is no padding; some models (Whisper) also shorten what they read.
    kept = ~batch.query_padding if found.shape[:2] == batch.query_padding.shape else slice(None)
    error = float((found[kept] - expected[kept]).norm() / expected[kept].norm())
    if not error <= HIDDEN_STATE_TOLERANCE:
        raise CaptureError(
            f"the last hidden state under capture differs by {error:.2g} (relative) from "
            f"the model's own, expected at most {HIDDEN_STATE_TOLERANCE:g}"
        )
    return error
