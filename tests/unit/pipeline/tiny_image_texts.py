"""Tiny models that are shown images in texts, each with transformers' own processor."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    Idefics3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaProcessor,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    SiglipImageProcessorPil,
)

from tests.unit.pipeline.tiny_models import SMALL, save_byte_pairs

MEAN = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
SQUARE = {"height": 32, "width": 32}
VISION: dict[str, Any] = {"image_size": 32, "patch_size": 8, **SMALL}


def _tokenizer(folder: Path, *marks: str) -> Any:
    save_byte_pairs(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": list(marks)})
    tokenizer.save_pretrained(folder)
    return tokenizer


def _text(tokenizer: Any) -> dict[str, Any]:
    return {"vocab_size": len(tokenizer) + 8, "num_key_value_heads": 2, **SMALL}


def _llava_parts(tokenizer: Any) -> dict[str, Any]:
    return {
        "text_config": LlamaConfig(**_text(tokenizer)),
        "vision_config": CLIPVisionConfig(**VISION),
        "image_token_index": tokenizer.convert_tokens_to_ids("<image>"),
    }


def save_llava(folder: Path, *, strategy: str = "default", patch_size: int | None = 8) -> None:
    """Save a LLaVA of 4 x 4 patches; `patch_size` None makes an old processor."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(folder, "<image>")
    config = LlavaConfig(
        **_llava_parts(tokenizer),
        vision_feature_select_strategy=strategy,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=SQUARE, **MEAN),
        tokenizer, patch_size=patch_size, vision_feature_select_strategy=strategy,
        num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip


def save_idefics(folder: Path, *, longest: int = 64) -> None:
    """Save an Idefics 3 of 8 x 8 patches that joins 2 x 2 of them in each image token."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(
        folder, "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"
    )
    config = Idefics3Config(
        text_config=LlamaConfig(**_text(tokenizer)),
        vision_config={**VISION, "image_size": 64},
        scale_factor=2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=0,
    )
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    Idefics3Processor(
        Idefics3ImageProcessorPil(
            size={"longest_edge": longest}, max_image_size={"longest_edge": 64}, **MEAN
        ),
        tokenizer, image_seq_len=16,
    ).save_pretrained(folder)  # fmt: skip


def save_paligemma(folder: Path) -> None:
    """Save a PaliGemma of 4 x 4 patches: no class token, and image and text see each other."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(folder, "<image>")
    tokenizer.bos_token = "<|endoftext|>"
    tokenizer.save_pretrained(folder)
    image_token = tokenizer.convert_tokens_to_ids("<image>")
    processor = PaliGemmaProcessor(
        SiglipImageProcessorPil(size=SQUARE, image_seq_length=16, **MEAN), tokenizer
    )
    n_tokens = len(processor.tokenizer)  # it adds a thousand tokens for places
    config = PaliGemmaConfig(
        text_config={"model_type": "gemma", **_text(tokenizer), "vocab_size": n_tokens,
                     "head_dim": 8},
        vision_config={"model_type": "siglip_vision_model", **VISION, "projection_dim": 32},
        image_token_index=image_token,
        projection_dim=32,
        hidden_size=32,
    )  # fmt: skip
    PaliGemmaForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)


def save_llava_next(folder: Path) -> None:
    """Save a LLaVA-NeXT, which sees an image once whole and once in tiles."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(folder, "<image>")
    tiles = [[32, 64], [64, 32], [64, 64]]
    config = LlavaNextConfig(
        **_llava_parts(tokenizer),
        image_grid_pinpoints=tiles,
    )
    LlavaNextForConditionalGeneration(config).save_pretrained(folder)
    LlavaNextProcessor(
        LlavaNextImageProcessorPil(
            size={"shortest_edge": 32}, crop_size=SQUARE, image_grid_pinpoints=tiles, **MEAN
        ),
        tokenizer, patch_size=8, vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip


def drop_processor(folder: Path) -> None:
    """Leave of a processor what an image processor alone would have saved."""
    path = folder / "processor_config.json"
    settings = json.loads(path.read_text())
    path.unlink()
    (folder / "preprocessor_config.json").write_text(json.dumps(settings["image_processor"]))
