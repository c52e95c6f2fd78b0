"""Norms of values and of transformed values, against a direct computation of every vector.

The reference multiplies every value by the model's own output projection, taken by its name, one
head at a time in float64; nothing of `pipeline.output_projections` takes part.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.capture import AttentionCall
from pipeline.catalogue import find_source
from pipeline.corpora import load_corpus
from pipeline.models import load
from pipeline.output_projections import finding_projections, projection_factor, value_norms
from pipeline.specs import AtlasSpec
from pipeline.stages import Clock, Request, capture_stage
from pipeline.store import Store
from pipeline.survey import capturing
from pipeline.tokens import prepare_inputs
from tests.reference.families import FAMILIES, batch_of, save_family, tiny_model

# Measured: at most 3e-7, float32 against float64.
TOLERANCE = 1e-5
# Where each family keeps its output projection, and whether it is stored (in, out).
WHERE = {
    "bert": (".self", ".output.dense", False),
    "gpt2": ("", ".c_proj", True),
    "llama": ("", ".o_proj", False),
    "gpt_oss": ("", ".o_proj", False),
    "vit": ("", ".o_proj", False),
    "t5": ("", ".o", False),
    "bart": ("", ".out_proj", False),
    "albert": ("", ".dense", False),
    "falcon": ("", ".dense", False),
    "bloom": ("", ".dense", False),
    "deberta": (".self", ".output.dense", False),
}


def capture(name, model=None):
    """Return the model, its calls and what was found behind them."""
    model, calls = model or tiny_model(name), []
    with torch.inference_mode(), finding_projections(model) as finder:

        def note(call: AttentionCall) -> None:
            calls.append(call)
            finder.expect(call)

        with capturing(model, note, route=FAMILIES[name].route, unrotated=False):
            model(**batch_of(name))
    return model, calls, finder.found


def direct_norms(call, matrix):
    """Return |v_j W_h| of every key, value by value: (batch, n_heads, key_length) float64."""
    n_heads, value = call.query.shape[1], call.value.double()
    heads = matrix.double().reshape(n_heads, value.shape[3], -1)
    groups = n_heads // value.shape[1]
    rows = [value[:, h // groups] @ heads[h] for h in range(n_heads)]
    return torch.stack([row.norm(dim=-1) for row in rows], dim=1)


@pytest.mark.parametrize("name", WHERE)
def test_transformed_values_have_the_norms_of_a_direct_computation(name):
    model, calls, found = capture(name)
    attention, projection, is_transposed = WHERE[name]
    assert len(calls) >= 2
    for call in calls:
        module = call.module.partition("#")[0].removesuffix(attention) + projection
        assert found[call.module].module == module
        weight = model.get_submodule(module).weight.detach()
        expected = direct_norms(call, weight if is_transposed else weight.T)
        norms = value_norms(call.value, call.query.shape[1], found[call.module].factor)
        assert torch.allclose(norms[1].double(), expected, rtol=TOLERANCE, atol=0)


def test_heads_of_any_rank_have_their_norms():
    matrix = torch.randn(3 * 8, 32, generator=torch.manual_seed(0))
    matrix[8:16] = 0  # a head that was pruned
    matrix[17:24] = matrix[16:17]  # a head of rank 1
    value = torch.randn(2, 3, 5, 8, generator=torch.manual_seed(1))
    heads = matrix.reshape(3, 8, 32).double()
    expected = (value.double() @ heads).norm(dim=-1)
    norms = value_norms(value, 3, projection_factor(matrix, 3))[1].double()
    assert torch.allclose(norms, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["bert", "llama", "falcon"])
def test_plain_norms_are_those_of_the_value_head_that_a_head_reads(name):
    _, calls, _ = capture(name)
    for call in calls:
        n_heads, value = call.query.shape[1], call.value.double()
        groups = n_heads // value.shape[1]
        norms = value_norms(call.value, n_heads, None)
        for head in range(n_heads):
            expected = value[:, head // groups].norm(dim=-1)
            assert torch.allclose(norms[0, :, head].double(), expected, rtol=TOLERANCE, atol=0)


def test_a_wrong_order_of_heads_would_be_noticed():
    model, calls, found = capture("bert")
    weight = model.get_submodule(found[calls[0].module].module).weight.detach().T
    turned = weight.reshape(4, 8, -1).flip(0).reshape(32, -1)
    norms = value_norms(calls[0].value, 4, found[calls[0].module].factor)
    assert not torch.allclose(norms[1].double(), direct_norms(calls[0], turned), rtol=1e-2)


@pytest.mark.parametrize("name", ["xlnet", "convbert"])
def test_without_a_linear_module_the_reason_is_told(name):
    _, calls, found = capture(name)
    for call in calls:
        assert call.value is not None
        assert found[call.module].factor is None
        assert "no linear module receives" in found[call.module].reason


def test_a_norm_in_between_is_named():
    model = tiny_model("llama")
    for layer in model.layers:
        projection = layer.self_attn.o_proj
        layer.self_attn.o_proj = torch.nn.Sequential(torch.nn.LayerNorm(32), projection)
    _, calls, found = capture("llama", model)
    assert "o_proj.0 (LayerNorm) first" in found[calls[0].module].reason


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_but_two_tells_both_norms(name):
    _, calls, found = capture(name)
    assert all(call.value is not None for call in calls)
    has_factor = {found[call.module].factor is not None for call in calls}
    assert has_factor == {name not in ("xlnet", "convbert")}


# What the values come from and go to, by family and part.
STORED = {
    ("bert", None): (".attention.self.value", ".attention.output.dense"),
    ("llama", None): (".v_proj", ".o_proj"),
    ("bart", "cross"): (".encoder_attn.v_proj", ".encoder_attn.out_proj"),
}


@pytest.mark.parametrize(("name", "part"), STORED)
def test_stored_norms_are_those_of_each_sequence_run_alone(name, part, tmp_path):
    """The whole way: padded batches, files, and the keys of each sequence cut out again."""
    store, folder = Store(tmp_path / "store"), save_family(name, tmp_path / name)
    corpus = load_corpus("pairs" if part else "sentences").first(6)
    source = find_source(
        str(folder), cache=store.root, hub_cache=store.root, remembered=store.file_sha256
    )
    spec = AtlasSpec(model=str(folder), corpus=corpus.name, part=part)
    capture = capture_stage(Request(spec, corpus, source, "cpu"), store, Clock(), lambda _: None)
    loaded = load(source, device="cpu", dtype="float32", attention="eager")
    inputs = prepare_inputs(loaded, corpus, seed=0, part=part)
    tower = inputs.tower(loaded)
    ends = [[m for n, m in tower.named_modules() if n.endswith(end)] for end in STORED[name, part]]
    values = []
    hooks = [m.register_forward_hook(lambda _m, _x, y: values.append(y)) for m in ends[0]]
    for sequence in range(6):
        values.clear()
        with torch.inference_mode():
            tower(**inputs.batch(loaded, [sequence]))
        assert len(values) == len(capture.layers) == 2
        for layer, (value, projection) in enumerate(zip(values, ends[1], strict=True)):
            for head in range(4):
                found = capture.value_norms(sequence, layer, head)
                own = value[0, : found.shape[1]].double().unflatten(-1, (-1, 8))
                own = own[:, capture.layers[layer].key_head(head)]
                matrix = projection.weight.detach().double().T.reshape(4, 8, -1)[head]
                expected = torch.stack([own.norm(dim=-1), (own @ matrix).norm(dim=-1)])
                assert np.allclose(found, expected.numpy(), rtol=2e-5)
    for hook in hooks:
        hook.remove()
