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

# Measured: 0 to 3e-8 on every family below; the bound is the one the build enforces.
TOLERANCE = 1e-5
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = SMALL | {"intermediate_size": 64, "vocab_size": 50, "max_position_embeddings": 40}
IMAGE = SMALL | {"intermediate_size": 64, "image_size": 32, "patch_size": 8}
CLIP_TEXT = TEXT | {"eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0}


def text_batch() -> dict[str, torch.Tensor]:
    """Two sequences of 9 and 6 tokens, the second padded."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 50, (2, 9), generator=generator)
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 6:] = 0
    ids[1, 6:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def image_batch() -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))}


def encoder_decoder_batch() -> dict[str, torch.Tensor]:
    batch = text_batch()
    return batch | {"decoder_input_ids": batch["input_ids"][:, :5]}


# name -> configuration, model class, batch, outputs that hold the model's own weights
FAMILIES = {
    "bert": (transformers.BertConfig(**TEXT), "BertModel", text_batch, ["attentions"]),
    "gpt2": (
        transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=50, n_positions=40),
        "GPT2Model",
        text_batch,
        ["attentions"],
    ),
    "vit": (transformers.ViTConfig(**IMAGE), "ViTModel", image_batch, ["attentions"]),
    "dinov2": (transformers.Dinov2Config(**IMAGE), "Dinov2Model", image_batch, ["attentions"]),
    "llama": (
        transformers.LlamaConfig(**TEXT, num_key_value_heads=2),
        "LlamaModel",
        text_batch,
        ["attentions"],
    ),
    "t5": (
        transformers.T5Config(
            d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, vocab_size=50,
            decoder_start_token_id=0,
        ),
        "T5Model",
        encoder_decoder_batch,
        ["encoder_attentions", "decoder_attentions", "cross_attentions"],
    ),
    "bart": (
        transformers.BartConfig(
            d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, vocab_size=50,
            max_position_embeddings=40,
        ),
        "BartModel",
        encoder_decoder_batch,
        ["encoder_attentions", "decoder_attentions", "cross_attentions"],
    ),
    "clip_text": (
        transformers.CLIPTextConfig(**CLIP_TEXT), "CLIPTextModel", text_batch, ["attentions"],
    ),
    "clip_vision": (
        transformers.CLIPVisionConfig(**IMAGE), "CLIPVisionModel", image_batch, ["attentions"],
    ),
    "gpt_oss_sinks": (
        transformers.GptOssConfig(
            **TEXT, num_key_value_heads=2, num_local_experts=2, num_experts_per_tok=1, head_dim=8,
            sliding_window=4,
        ),
        "GptOssModel",
        text_batch,
        ["attentions"],
    ),
    "gemma2_softcap": (
        transformers.Gemma2Config(**TEXT, num_key_value_heads=2, head_dim=8, sliding_window=4),
        "Gemma2Model",
        text_batch,
        ["attentions"],
    ),
}  # fmt: skip


def small_model(name: str) -> torch.nn.Module:
    """A model of the family with seeded random weights large enough to make attention sharp."""
    config, class_name, _, _ = FAMILIES[name]
    torch.manual_seed(3)
    model = getattr(transformers, class_name)._from_config(config, attn_implementation="eager")
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data *= 8
    return model.eval()


def capture(model, batch):
    calls = []
    with torch.inference_mode(), recording(model, calls.append):
        output = model(**batch)
    return calls, output


@pytest.mark.parametrize("name", FAMILIES)
def test_captured_vectors_rebuild_the_models_own_weights(name):
    _, _, make_batch, outputs = FAMILIES[name]
    model = small_model(name)
    batch = make_batch()
    with torch.inference_mode():
        own = model(**batch, output_attentions=True)
    calls, _ = capture(model, batch)
    expected = [weights for output in outputs for weights in own[output]]
    assert len(calls) == len(expected)
    unmatched = list(range(len(expected)))
    for call in calls:
        rebuilt = attention_weights(
            call, None if call.additive is None else with_infinity(call.additive)
        )
        # Only padded queries under a window reach no key at all.
        assert not rebuilt[0].isnan().any()
        errors = {
            i: float((rebuilt - expected[i]).nan_to_num().abs().max())
            for i in unmatched
            if expected[i].shape == rebuilt.shape
        }
        best = min(errors, key=errors.__getitem__)
        assert errors[best] <= TOLERANCE
        unmatched.remove(best)


@pytest.mark.parametrize("name", FAMILIES)
def test_capture_leaves_the_output_unchanged(name):
    _, _, make_batch, _ = FAMILIES[name]
    model = small_model(name)
    batch = make_batch()
    with torch.inference_mode():
        expected = model(**batch).last_hidden_state
    _, output = capture(model, batch)
    assert torch.equal(output.last_hidden_state, expected)


def test_keys_are_handed_out_before_they_are_repeated():
    calls, _ = capture(small_model("llama"), text_batch())
    assert [(c.query.shape[1], c.key.shape[1]) for c in calls] == [(4, 2), (4, 2)]


def test_a_causal_model_is_captured_with_its_mask():
    calls, _ = capture(small_model("gpt2"), text_batch())
    assert calls
    for call in calls:
        assert torch.isinf(with_infinity(call.additive))[0, 0].triu(1).sum() == 9 * 8 / 2


def test_a_wrong_scale_is_caught():
    calls, _ = capture(small_model("bert"), text_batch())
    additive = with_infinity(calls[0].additive)
    wrong = torch.softmax(calls[0].query @ calls[0].key.transpose(2, 3) + additive, dim=-1)
    assert float((wrong - calls[0].weights).abs().max()) > 1e-2


def test_a_lost_mask_is_caught():
    calls, _ = capture(small_model("gpt2"), text_batch())
    assert float((attention_weights(calls[0], None) - calls[0].weights).abs().max()) > 1e-2


def test_a_sink_takes_weight_from_every_row():
    calls, _ = capture(small_model("gpt_oss_sinks"), text_batch())
    assert calls[0].sinks is not None
    assert float(calls[0].weights.sum(dim=-1).max()) < 1


def test_a_shared_module_counts_its_calls():
    torch.manual_seed(0)
    config = transformers.AlbertConfig(**TEXT, embedding_size=16)
    model = transformers.AlbertModel._from_config(config, attn_implementation="eager").eval()
    calls, _ = capture(model, text_batch())
    assert [call.module.partition("#")[2] for call in calls] == ["", "2"]


def test_leaving_restores_the_attention_even_after_an_error():
    model = small_model("bert")
    with pytest.raises(ZeroDivisionError), recording(model, lambda _: 1 / 0):
        model(**text_batch())
    assert model.config._attn_implementation == "eager"


def test_no_tensor_is_held_after_leaving():
    model = small_model("bert")
    references = []
    watch = lambda call: references.append(weakref.ref(call.query))  # noqa: E731
    with torch.inference_mode(), recording(model, watch):
        model(**text_batch())
    gc.collect()
    assert references
    assert all(reference() is None for reference in references)


def test_a_family_without_the_interface_is_refused():
    torch.manual_seed(0)
    config = transformers.GPTNeoConfig(
        hidden_size=32, num_layers=2, attention_types=[[["global"], 2]], num_heads=4, vocab_size=50
    )
    model = transformers.GPTNeoModel._from_config(config, attn_implementation="eager").eval()
    with pytest.raises(CaptureError, match="attention interface"):
        capture(model, text_batch())
