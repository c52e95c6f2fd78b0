"""Whether what transformers has loaded is what stands in the files. Loads nothing itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from safetensors import safe_open

from pipeline.catalogue import ModelSource
from pipeline.errors import ModelError

# Keys whose absence changes no query or key: what comes after the last layer, a counted buffer,
# and the embedding of masked patches, which only training uses.
HARMLESS = re.compile(r"pooler|position_ids|mask_token")
QUERY_OR_KEY = re.compile(r"query|key|qkv|[qk]_(proj|lin)|c_attn|in_proj|\.[qk]\.")


def check_keys(source: ModelSource, information: dict[str, Any]) -> None:
    """Refuse weights that transformers had to make up."""
    missing = sorted(key for key in information["missing_keys"] if not HARMLESS.search(key))
    wrong = [str(row) for row in (*information["mismatched_keys"], *information["error_msgs"])]
    if missing or wrong:
        raise ModelError(
            f"{source.name}: {len(missing) + len(wrong)} weights are missing in the files or have "
            f"another shape: {', '.join([*missing, *wrong][:5])}; they would be random; expected a "
            "complete checkpoint of this architecture"
        )


def check_weights(source: ModelSource, model: Any) -> None:
    """Compare query and key weights of the first and last layer with the tensors in the files.

    The loading report can be clean although weights are random (transformers#46620). Names change
    while loading, so a weight is looked for among all tensors of its shape.
    """
    weights = [
        (name, weight)
        for name, weight in model.named_parameters()
        if weight.ndim == 2 and QUERY_OR_KEY.search(name)
    ]
    for name, weight in weights[:2] + weights[-2:]:
        same = None  # stays so for weights cut or joined while loading: nothing to compare with
        for tensor in _tensors_like(source, weight):
            same = torch.equal(weight.nan_to_num(), tensor.nan_to_num())
            if same:
                break
        if same is False:
            raise ModelError(
                f"{source.name}: {name} is not among the tensors of the files after loading; this "
                "architecture is not loaded correctly by this version of transformers"
            )


def _tensors_like(source: ModelSource, weight: torch.Tensor) -> Iterator[torch.Tensor]:
    """Read the tensors of a weight's shape, one after the other, in its dtype."""
    for file_name in source.files:
        if not file_name.endswith(".safetensors"):
            continue
        with safe_open(source.folder / file_name, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 - not a dict
                if file.get_slice(key).get_shape() == list(weight.shape):
                    yield file.get_tensor(key).to(weight.dtype)
