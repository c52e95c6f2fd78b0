"""The weights of queries and keys are found in every family, and are those of its own modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.catalogue import find_source
from pipeline.models import LoadedModel, load
from pipeline.query_key_projections import LayerProjections, find_projections
from pipeline.store import Store
from pipeline.survey import survey
from pipeline.verify import _inputs
from tests.reference.families import FAMILIES, save_family

# Its weights are parameters of the attention module itself, multiplied by einsum.
WITHOUT_MODULES = ("xlnet",)
HEADS, WIDTH, INPUT = 4, 8, 32


def found_in(name: str, folder: Path) -> tuple[LoadedModel, list[list[LayerProjections]]]:
    """Return the model of a family, and what is found in each of its parts and towers."""
    store = Store(folder / "store")
    source = find_source(str(save_family(name, folder / name)), cache=store.root,
                         hub_cache=store.root, remembered=store.file_sha256)  # fmt: skip
    loaded = load(source, device="cpu", dtype="float32", attention=None)
    parts, _ = _inputs(loaded, None)
    return loaded, [find_projections(loaded, one, survey(loaded, one)) for one in parts]


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in WITHOUT_MODULES])
def test_they_are_found_in_every_layer_of_a_family(name: str, tmp_path: Path) -> None:
    _, parts = found_in(name, tmp_path)
    layers = [layer for part in parts for layer in part]
    assert len(layers) == 2 * len(parts)
    assert [layer.reason for layer in layers] == [""] * len(layers)
    for layer in layers:
        assert layer.queries is not None
        assert layer.keys is not None
        assert layer.queries.weights.shape[1:] == layer.keys.weights.shape[1:] == (WIDTH, INPUT)


def split_thirds(weight: torch.Tensor) -> tuple[Any, Any]:
    """GPT-2: queries, keys and values side by side, the other way round."""
    query, key, _ = weight.T.chunk(3)
    return query, key


def split_each_head(weight: torch.Tensor) -> tuple[Any, Any]:
    """NeoX: query, key and value of one head after the other."""
    heads = weight.reshape(HEADS, 3, WIDTH, INPUT)
    return heads[:, 0], heads[:, 1]


def split_grouped(weight: torch.Tensor) -> tuple[Any, Any]:
    """Phi-3: all queries, then two key heads."""
    return weight[: HEADS * WIDTH], weight[HEADS * WIDTH : (HEADS + 2) * WIDTH]


@pytest.mark.parametrize(
    ("name", "module", "split"),
    [
        ("gpt2", "h.1.attn.c_attn", split_thirds),
        ("gpt_neox", "layers.1.attention.query_key_value", split_each_head),
        ("phi3", "layers.1.self_attn.qkv_proj", split_grouped),
    ],
)
def test_fused_weights_are_cut_where_the_model_cuts_them(
    name: str, module: str, split: Any, tmp_path: Path
) -> None:
    loaded, [[_, layer]] = found_in(name, tmp_path)
    assert layer.queries is not None
    assert layer.keys is not None
    assert layer.queries.module == layer.keys.module == module
    expected = split(loaded.model.get_submodule(module).weight.detach())
    for side, own in zip((layer.queries, layer.keys), expected, strict=True):
        assert np.array_equal(side.weights, own.reshape(side.weights.shape).numpy())


@pytest.mark.parametrize("name", ["bert", "llama", "qwen3", "opt"])
def test_plain_weights_are_found_behind_rotation_norm_and_factor(name: str, tmp_path: Path) -> None:
    loaded, [[_, layer]] = found_in(name, tmp_path)
    for side in (layer.queries, layer.keys):
        assert side is not None
        own = loaded.model.get_submodule(side.module).weight.detach()
        assert np.array_equal(side.weights, own.reshape(side.weights.shape).numpy())


def test_weights_that_no_module_holds_are_not_found_and_that_is_said(tmp_path: Path) -> None:
    _, [layers] = found_in("xlnet", tmp_path)
    assert [layer.queries for layer in layers] == [None, None]
    assert "no linear module gives the queries of layer.0.rel_attn" in layers[0].reason
