"""What capture hands out, against the weights transformers itself returns with eager attention."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
import transformers

from pipeline.capture import attention_weights, recording
from pipeline.errors import CaptureError
from pipeline.masks import with_infinity
from pipeline.survey import capturing
from tests.reference.families import FAMILIES, batch_of, own_weights, tiny_model

# Measured: at most 4e-6 (t5; its tiny logits are sharp), else 1e-7. The bound is that of a build.
TOLERANCE = 1e-5


def capture(name):
    """Return model, batch, captured calls and output of a family's own two sequences."""
    model, batch, calls = tiny_model(name), batch_of(name), []
    route = FAMILIES[name].route
    with torch.inference_mode(), capturing(model, calls.append, route=route, unrotated=False):
        output = model(**batch)
    return model, batch, calls, output


@pytest.mark.parametrize("name", FAMILIES)
def test_captured_vectors_rebuild_the_models_own_weights(name):
    model, batch, calls, _ = capture(name)
    expected = own_weights(name, model, batch)
    assert len(calls) == len(expected) >= 2
    for call in calls:
        additive = None if call.additive is None else with_infinity(call.additive)
        rebuilt = attention_weights(call, additive)
        # Only padded queries under a window reach no key at all.
        assert not rebuilt[0].isnan().any()
        errors = [
            float((rebuilt - weights).nan_to_num().abs().max())
            if weights.shape == rebuilt.shape
            else 9
            for weights in expected
        ]
        assert min(errors) <= TOLERANCE
        expected.pop(errors.index(min(errors)))


@pytest.mark.parametrize("name", FAMILIES)
def test_capture_leaves_the_output_unchanged(name):
    model, batch, _, output = capture(name)
    with torch.inference_mode():
        expected = model(**batch)
    both = FAMILIES[name].reads == "both"
    key = "logits_per_text" if both else "last_hidden_state"
    assert torch.equal(output[key], expected[key])


def test_keys_are_handed_out_before_they_are_repeated():
    calls = capture("llama")[2]
    assert [(c.query.shape[1], c.key.shape[1]) for c in calls] == [(4, 2), (4, 2)]


def test_a_causal_model_is_captured_with_its_mask():
    calls = capture("gpt2")[2]
    assert calls
    for call in calls:
        assert torch.isinf(with_infinity(call.additive))[0, 0].triu(1).sum() == 9 * 8 / 2


def test_a_wrong_scale_is_caught():
    calls = capture("bert")[2]
    additive = with_infinity(calls[0].additive)
    wrong = torch.softmax(calls[0].query @ calls[0].key.transpose(2, 3) + additive, dim=-1)
    assert float((wrong - calls[0].weights).abs().max()) > 1e-2


def test_a_lost_mask_is_caught():
    calls = capture("gpt2")[2]
    assert float((attention_weights(calls[0], None) - calls[0].weights).abs().max()) > 1e-2


def test_a_sink_takes_weight_from_every_row():
    calls = capture("gpt_oss")[2]
    assert calls[0].sinks is not None
    assert float(calls[0].weights.sum(dim=-1).max()) < 1


def test_a_shared_module_counts_its_calls():
    calls = capture("albert")[2]
    assert [call.module.partition("#")[2] for call in calls] == ["", "2"]


def test_leaving_restores_the_attention_even_after_an_error():
    model = tiny_model("bert")
    with pytest.raises(ZeroDivisionError), recording(model, lambda _: 1 / 0):
        model(**batch_of("bert"))
    assert model.config._attn_implementation == "eager"


def test_no_tensor_is_held_after_leaving():
    model = tiny_model("bert")
    references = []
    watch = lambda call: references.append(weakref.ref(call.query))  # noqa: E731
    with torch.inference_mode(), recording(model, watch):
        model(**batch_of("bert"))
    gc.collect()
    assert references
    assert all(reference() is None for reference in references)


def test_a_family_without_the_interface_is_left_to_the_fallback():
    with pytest.raises(CaptureError, match="attention interface"):
        recording(tiny_model("gpt_neo"), print).__enter__()


def test_key_heads_that_a_model_repeats_are_kept_once():
    """The newer Falcons repeat their key heads before the product."""
    torch.manual_seed(0)
    config = transformers.FalconConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_kv_heads=2, vocab_size=90,
        new_decoder_architecture=True,
    )  # fmt: skip
    model = transformers.FalconModel._from_config(config, attn_implementation="eager").eval()
    calls = []
    with torch.inference_mode(), capturing(model, calls.append, route="fallback", unrotated=True):
        model(input_ids=batch_of("bert")["input_ids"][:1])
    assert [(c.query.shape[1], c.key.shape[1], c.rotation) for c in calls] == [(4, 2, "caught")] * 2


@pytest.mark.parametrize("name", [name for name in FAMILIES if FAMILIES[name].route == "interface"])
def test_fused_attention_hands_out_the_same_and_the_weights_that_were_asked_for(name):
    model, batch, expected, _ = capture(name)
    try:
        model.set_attn_implementation("sdpa")
    except ValueError:  # sinks, soft caps: its own attention is the plain one
        assert model.config._attn_implementation == "eager"
    calls = []
    last = slice(1, 2)
    with (
        torch.inference_mode(),
        capturing(model, calls.append, route="interface", unrotated=False, weighed=lambda: last),
    ):
        model(**batch)
    assert len(calls) == len(expected)
    for call, whole in zip(calls, expected, strict=True):
        for found, wanted in ((call.query, whole.query), (call.key, whole.key)):
            assert float((found - wanted).nan_to_num().abs().max()) <= 1e-4
        assert call.weights.shape == whole.weights[last].shape
        assert float((call.weights - whole.weights[last]).nan_to_num().abs().max()) <= TOLERANCE
