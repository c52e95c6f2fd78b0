"""Finds out how a model's attention can be captured, on its two shortest sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from pipeline.capture import EVERY, AttentionCall, recording
from pipeline.errors import CaptureError
from pipeline.fallback import intercepting
from pipeline.inputs import ModelInputs
from pipeline.layers import Batch, check_finite, refuse_shape
from pipeline.models import LoadedModel
from pipeline.output_projections import Projection, ProjectionFinder, finding_projections
from pipeline.rotation import catching_rotations

# Relative to the norm of the last hidden state; other attention kernels sum in another order.
HIDDEN_STATE_TOLERANCE = 1e-4
ROUTES = ("interface", "fallback")

Tensor = torch.Tensor


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
    """

    route: str
    rotation: dict[str, str]
    hidden_state_difference: float
    projections: dict[str, Projection]


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
        lengths = inputs.query_lengths
        shortest = np.argsort(lengths, kind="stable")[:2]
        # A second sequence of the same length shows nothing new: neither of both is padded.
        if route != ROUTES[0] or lengths[shortest[0]] == lengths[shortest[-1]]:
            shortest = shortest[:1]
        features = inputs.batch(loaded, shortest.tolist())
        batch = inputs.geometry(features, shortest.tolist(), tower.device)
        rotation: dict[str, str] = {}

        def note(
            call: AttentionCall,
            finder: ProjectionFinder,
            batch: Batch = batch,
            seen: dict[str, str] = rotation,
        ) -> None:
            if batch.fits(call):
                check_finite(call)
                seen[call.module] = call.rotation
                finder.expect(call)
            elif inputs.is_alone:
                refuse_shape(call, batch)

        expected = _own(tower, features)
        try:
            with finding_projections(tower) as finder, capturing(
                tower, partial(note, finder=finder), route=route, unrotated=True
            ):  # fmt: skip
                hidden = forward(tower, features)
        except CaptureError as error:
            found.append(str(error))
            continue
        if len(rotation) >= wanted:
            difference = _difference(hidden, expected, batch, inputs.part)
            return Survey(route, rotation, difference, finder.found)
        found.append(f"{len(rotation)} of {wanted} layers were caught by the {route}")
    raise CaptureError(
        f"{type(tower).__name__} cannot be captured: {'; '.join(found)}; expected every layer to "
        "call transformers' attention interface, or one product of queries and keys a layer that "
        "ends in a softmax over keys"
    )


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
