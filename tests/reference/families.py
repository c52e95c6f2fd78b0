"""Model families that capture is measured on: tiny, seeded, with weights that make attention sharp.

Each is saved as a folder that `verify` and `build` read like any other model. Their numbers mean
nothing; that they are rebuilt exactly does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.unit.pipeline.tiny_models import VIT_PREPROCESSOR, save_preprocessor, save_word_pieces

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = SMALL | {"intermediate_size": 64, "vocab_size": 90, "max_position_embeddings": 64}
GROUPED = TEXT | {"num_key_value_heads": 2, "head_dim": 8}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 90, "n_positions": 64}
IMAGE = SMALL | {"intermediate_size": 64, "image_size": 32, "patch_size": 8}
TOKENS = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}
BOTH_SIDES = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "vocab_size": 90,
    "decoder_start_token_id": 2, **TOKENS,
}  # fmt: skip
RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
WINDOW = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}


@dataclass(frozen=True)
class Family:
    """One architecture.

    Parameters
    ----------
    config, model : names of classes of transformers.
    settings : of the configuration.
    reads : "text", "pair" (an encoder-decoder model), "image", "both" or "sound".
    route : how it is captured.
    note : what is special about it.
    sharpness : factor of the matrices, so that attention is far from even. With larger logits
        float32 itself differs by more than the tolerance between a batch and a sequence alone.
    """

    config: str
    model: str
    settings: dict[str, Any]
    reads: str = "text"
    route: str = "interface"
    note: str = ""
    sharpness: float = 8


def _text(name: str, settings: dict[str, Any], note: str = "") -> Family:
    return Family(f"{name}Config", f"{name}Model", settings, note=note)


def _image(name: str, settings: dict[str, Any], note: str = "") -> Family:
    return Family(f"{name}Config", f"{name}Model", settings, "image", note=note)


def _pair(name: str, settings: dict[str, Any], note: str = "") -> Family:
    return Family(f"{name}Config", f"{name}Model", settings, "pair", note=note)


def _other(name: str, settings: dict[str, Any], note: str = "", reads: str = "text") -> Family:
    return Family(f"{name}Config", f"{name}Model", settings, reads, "fallback", note)


FAMILIES = {
    "bert": _text("Bert", TEXT),
    "roberta": _text("Roberta", TEXT, "positions counted from behind the filler"),
    "distilbert": _text(
        "DistilBert",
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "vocab_size": 90,
         "max_position_embeddings": 64},
    ),
    "albert": _text("Albert", TEXT | {"embedding_size": 16}, "one module, called once a layer"),
    "electra": _text("Electra", TEXT | {"embedding_size": 16}),
    "modernbert": _text(
        "ModernBert", TEXT | TOKENS | {"local_attention": 8, "global_attn_every_n_layers": 2,
                                       "cls_token_id": 2, "sep_token_id": 3},
        "windows on both sides in some layers",
    ),
    "gpt2": _text("GPT2", GPT),
    "gpt_neox": _text("GPTNeoX", TEXT, "rotates a part of each vector"),
    "opt": _text("OPT", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                         "ffn_dim": 64, "vocab_size": 90, "max_position_embeddings": 64,
                         "word_embed_proj_dim": 32}, "scales queries beforehand"),
    "llama": _text("Llama", GROUPED),
    "mistral": _text("Mistral", GROUPED | {"sliding_window": 6}),
    "qwen2": _text("Qwen2", TEXT | {"num_key_value_heads": 2}),
    "qwen3": _text("Qwen3", GROUPED, "normalises queries and keys"),
    "gemma2": _text("Gemma2", GROUPED | WINDOW, "soft cap"),
    "gemma3": Family("Gemma3TextConfig", "Gemma3TextModel", GROUPED | WINDOW,
                     note="normalises queries and keys"),
    "phi3": _text("Phi3", TEXT | {"num_key_value_heads": 2, "pad_token_id": 0}, "fused projection"),
    "olmo2": _text("Olmo2", TEXT, "normalises queries and keys"),
    "cohere": _text("Cohere", TEXT | {"num_key_value_heads": 2}),
    "gpt_oss": _text("GptOss", GROUPED | {"num_local_experts": 2, "num_experts_per_tok": 1,
                                          **WINDOW}, "sinks: rows sum to less than 1"),
    "t5": replace(_pair("T5", {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2,
                               "num_heads": 4, "vocab_size": 90, "decoder_start_token_id": 0},
                        "no scale"), sharpness=2),
    "bart": _pair("Bart", BOTH_SIDES | {"max_position_embeddings": 64}),
    "marian": _pair("Marian", BOTH_SIDES | {"max_position_embeddings": 64}),
    "whisper": Family(
        "WhisperConfig", "WhisperModel",
        BOTH_SIDES | {"num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 20},
        "sound", note="`verify` only, on generated sound; the encoder",
    ),
    "vit": _image("ViT", IMAGE),
    "deit": _image("DeiT", IMAGE, "class and distillation tokens"),
    "beit": _image("Beit", IMAGE | {"use_relative_position_bias": True}),
    "dinov2": _image("Dinov2", IMAGE),
    "dinov2_with_registers": _image("Dinov2WithRegisters", IMAGE | {"num_register_tokens": 4}),
    "dinov3_vit": _image("DINOv3ViT", IMAGE | {"num_register_tokens": 4},
                         "rotates patches, not special tokens"),
    "clip": Family(
        "CLIPConfig", "CLIPModel", {"text_config": TEXT | TOKENS, "vision_config": IMAGE}, "both",
        note="each tower", sharpness=4,
    ),
    "siglip": Family(
        "SiglipConfig", "SiglipModel", {"text_config": TEXT | TOKENS, "vision_config": IMAGE},
        "both", note="each tower", sharpness=4,
    ),
    "falcon": _other("Falcon", SMALL | {"vocab_size": 90}, "one key head"),
    "falcon_alibi": _other("Falcon", SMALL | {"vocab_size": 90, "alibi": True,
                                              "multi_query": False}),
    "bloom": _other("Bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 90}),
    "mpt": _other("Mpt", {"d_model": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 90,
                          "max_seq_len": 64}),
    "gptj": _other("GPTJ", GPT | {"rotary_dim": 4}, "rotates a part of each vector"),
    "gpt_neo": _other(
        "GPTNeo", {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "vocab_size": 90,
                   "attention_types": [[["global", "local"], 1]], "window_size": 4,
                   "max_position_embeddings": 64}, "no scale",
    ),
    "deberta": _other("Deberta", TEXT | RELATIVE, "content term; position terms kept as bias"),
    "deberta_v2": _other("DebertaV2", TEXT | RELATIVE | {"position_buckets": 8},
                         "content term; position terms kept as bias"),
    "xlnet": _other("XLNet", {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64,
                              "vocab_size": 90}, "content term; position terms kept as bias"),
    "mpnet": _other("MPNet", TEXT),
    "roformer": _other("RoFormer", TEXT | {"embedding_size": 32}),
    "rembert": _other("RemBert", TEXT | {"input_embedding_size": 16,
                                         "output_embedding_size": 16}),
    "convbert": _other("ConvBert", TEXT | {"embedding_size": 32},
                       "half of the heads; the others are convolutions"),
    "big_bird": _other("BigBird", TEXT | {"attention_type": "original_full"},
                       "full attention only"),
    "data2vec_vision": _other("Data2VecVision", IMAGE | {"use_relative_position_bias": True},
                              reads="image"),
}  # fmt: skip


def tiny_model(name: str) -> Any:
    """Return the family's model in evaluation mode, with plain attention."""
    family = FAMILIES[name]
    torch.manual_seed(3)
    config = getattr(transformers, family.config)(**family.settings)
    model = getattr(transformers, family.model)._from_config(config, attn_implementation="eager")
    for parameter in model.parameters():
        if not parameter.requires_grad:  # a table of sines
            continue
        if not parameter.any():  # tables of position biases, and plain biases, begin as zeros
            parameter.data.normal_(0, 0.3)
        elif parameter.ndim > 1:
            parameter.data *= family.sharpness
    return model.eval()


def save_family(name: str, folder: Path) -> Path:
    """Save a family's model with a tokenizer or image processor; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny_model(name).save_pretrained(folder)
    if FAMILIES[name].reads != "image":
        save_word_pieces(folder)
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        settings |= {
            "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "[SEP]",
            "model_input_names": ["input_ids", "attention_mask"], "model_max_length": 60,
        }  # fmt: skip
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if FAMILIES[name].reads in ("image", "both"):
        save_preprocessor(folder, VIT_PREPROCESSOR)
    return folder


Batch = dict[str, torch.Tensor]


def _text_batch() -> Batch:
    ids = torch.randint(5, 90, (2, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 6:] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}


def _pair_batch() -> Batch:
    return _text_batch() | {"decoder_input_ids": _text_batch()["input_ids"][:, :5]}


def _image_batch() -> Batch:
    return {"pixel_values": torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))}


def _sound_batch() -> Batch:
    sound = torch.randn(2, 8, 40, generator=torch.Generator().manual_seed(2))
    return {"input_features": sound, "decoder_input_ids": torch.tensor([[2, 7, 9], [2, 8, 8]])}


BATCHES: dict[str, Callable[[], Batch]] = {
    "text": _text_batch,
    "pair": _pair_batch,
    "image": _image_batch,
    "both": lambda: _text_batch() | _image_batch(),
    "sound": _sound_batch,
}


def batch_of(name: str) -> Batch:
    """Return two short sequences, the second padded; one for a family of the fallback."""
    family = FAMILIES[name]
    batch = BATCHES[family.reads]()
    return batch if family.route == "interface" else {k: v[:1] for k, v in batch.items()}


def own_weights(name: str, model: Any, batch: Batch) -> list[torch.Tensor]:
    """Return the weights that the model itself gives with plain attention, in any order."""
    with torch.inference_mode():
        output = model(**batch, output_attentions=True)
    outputs = [output]
    if FAMILIES[name].reads == "both":
        outputs = [output.text_model_output, output.vision_model_output]
    names = ("attentions", "encoder_attentions", "decoder_attentions", "cross_attentions")
    found = [w for one in outputs for key in names for w in getattr(one, key, None) or ()]
    return found
