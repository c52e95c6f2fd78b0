"""Tiny seeded models in the layout of the hub cache, for tests. Their numbers mean nothing."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    CLIPConfig,
    CLIPModel,
    GPT2Config,
    GPT2LMHeadModel,
    SegformerConfig,
    SegformerForSemanticSegmentation,
    ViTConfig,
    ViTModel,
)

from pipeline.catalogue import ModelSource, find_source
from pipeline.models import LoadedModel, load

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SENTENCES = ["the cat sat on the mat", "a dog ran over the hill", "the hill is green"]
SMALL: dict[str, Any] = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
VIT_PREPROCESSOR: dict[str, Any] = {
    "image_processor_type": "ViTImageProcessor",
    "size": 32,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def make_hub(hub_cache: Path) -> Path:
    """Write tiny/bert, tiny/gpt2, tiny/vit (without pooler) and tiny/clip; return the folder."""
    torch.manual_seed(0)
    bert = snapshot(hub_cache, "tiny/bert")
    BertForMaskedLM(BertConfig(vocab_size=90, **SMALL)).save_pretrained(bert)
    save_word_pieces(bert)
    gpt2 = snapshot(hub_cache, "tiny/gpt2")
    small = GPT2Config(vocab_size=300, n_layer=2, n_embd=32, n_head=4)
    GPT2LMHeadModel(small).save_pretrained(gpt2)
    save_byte_pairs(gpt2)
    vit = snapshot(hub_cache, "tiny/vit")
    grid = ViTConfig(image_size=32, patch_size=8, **SMALL)
    ViTModel(grid, add_pooling_layer=False).save_pretrained(vit)
    save_preprocessor(vit, VIT_PREPROCESSOR)
    clip = snapshot(hub_cache, "tiny/clip")
    towers = CLIPConfig(
        text_config={"vocab_size": 300, **SMALL},
        vision_config={"image_size": 32, "patch_size": 8, **SMALL},
    )
    CLIPModel(towers).save_pretrained(clip)
    save_byte_pairs(clip)
    save_preprocessor(clip, VIT_PREPROCESSOR)
    save_segmenter(snapshot(hub_cache, "tiny/segformer"))
    return hub_cache


def save_segmenter(folder: Path) -> None:
    """Save a SegFormer with random weights and three classes, the first of them background."""
    names = {0: "background", 1: "person", 2: "tree"}
    config = SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16],
        patch_sizes=[7, 3], strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2],
        decoder_hidden_size=16, id2label=names, label2id={n: i for i, n in names.items()},
    )  # fmt: skip
    SegformerForSemanticSegmentation(config).save_pretrained(folder)
    save_preprocessor(folder, {"image_processor_type": "SegformerImageProcessor",
                               "size": {"height": 64, "width": 64}})  # fmt: skip


def snapshot(hub_cache: Path, hub_id: str) -> Path:
    repository = hub_cache / f"models--{hub_id.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return repository / "snapshots" / COMMIT


def save_word_pieces(folder: Path) -> None:
    """Train BERT's kind of tokenizer and save it."""
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]",
             "sep_token": "[SEP]", "mask_token": "[MASK]"}  # fmt: skip
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=90, special_tokens=list(names.values()), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "BertTokenizer", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def save_byte_pairs(folder: Path) -> None:
    """Train GPT-2's kind of tokenizer, without a padding token, and save it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def save_preprocessor(folder: Path, settings: dict[str, Any]) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def source_of(name: str, hub_cache: Path) -> ModelSource:
    def sha256(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    return find_source(name, cache=hub_cache, hub_cache=hub_cache, remembered=sha256)


def load_tiny(name: str, hub_cache: Path) -> LoadedModel:
    return load(source_of(name, hub_cache), device="cpu", dtype="float32", attention="eager")


def copy_of(name: str, hub_cache: Path, folder: Path) -> Path:
    """Copy a tiny model, to be changed or damaged."""
    folder.mkdir()
    for path in source_of(name, hub_cache).folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder
