"""Catches rotary embeddings while a model runs: queries and keys as they were before rotation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import torch

Tensor = torch.Tensor
Function = Callable[..., Any]


class Rotations:
    """The rotations that ran since they were last asked for."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Tensor, Tensor]] = []

    def watch(self, function: Function) -> Function:
        """Return the model's own rotation, which also notes what it rotated."""

        @wraps(function)
        def rotate(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            inputs = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
            for rotated in result if isinstance(result, tuple) else (result,):
                fitting = [place for place, x in enumerate(inputs) if x.shape == rotated.shape]
                if fitting:
                    self._pairs.append((inputs.pop(fitting[0]), rotated))
            return result

        return rotate

    def take(self, query: Tensor, key: Tensor) -> tuple[str, tuple[Tensor, Tensor] | None]:
        """Return query and key before rotation and forget all rotations.

        Parameters
        ----------
        query, key : (batch, heads, length, head_dim) as the softmax receives them. A rotation
            counts only when its result is found in them; what it left out stays as it is.

        Returns
        -------
        "none" where nothing was rotated; "lost" where the result of the rotation is not found;
        "caught" with two tensors of the same shapes.
        """
        if not self._pairs:
            return "none", None
        old_query, old_key = self._undo(query), self._undo(key)
        self._pairs.clear()
        if old_query is None or old_key is None:
            return "lost", None
        return "caught", (old_query, old_key)

    def _undo(self, tensor: Tensor) -> Tensor | None:
        for before, after in reversed(self._pairs):
            for old, new in ((before, after), (_swapped(before), _swapped(after))):
                if new.ndim != 4 or new.shape[1] % tensor.shape[1]:
                    continue
                copies = new.shape[1] // tensor.shape[1]  # of key heads repeated before rotation
                old, new = old[:, ::copies], new[:, ::copies]
                width, rest = new.shape[-1], tensor.shape[-1] - new.shape[-1]
                if new.shape[:-1] != tensor.shape[:-1] or rest < 0:
                    continue
                if torch.equal(new, tensor[..., :width]):
                    return torch.cat([old, tensor[..., width:]], dim=-1)
                if torch.equal(new, tensor[..., rest:]):
                    return torch.cat([tensor[..., :rest], old], dim=-1)
        return None


@contextmanager
def catching_rotations(model: Any) -> Iterator[Rotations]:
    """Note every rotary embedding that the model applies inside the block.

    Transformers keeps it in functions called `apply_rotary...`, beside the attention class or in
    it. They are wrapped and put back.

    Parameters
    ----------
    model : a transformers model.
    """
    rotations = Rotations()
    classes = {one for module in model.modules() for one in type(module).__mro__}
    owners: set[Any] = classes | {sys.modules[one.__module__] for one in classes}
    with ExitStack() as originals:
        for owner in owners:
            for name, value in list(vars(owner).items()):
                if not name.startswith("apply_rotary"):
                    continue
                is_static = isinstance(value, staticmethod)
                watched = rotations.watch(value.__func__ if is_static else value)
                setattr(owner, name, staticmethod(watched) if is_static else watched)
                originals.callback(setattr, owner, name, value)
        yield rotations


def _swapped(tensor: Tensor) -> Tensor:
    """Exchange heads and tokens, the other order in which rotations see them."""
    return tensor.transpose(1, 2) if tensor.ndim == 4 else tensor
