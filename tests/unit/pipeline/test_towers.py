"""Both sides of models of texts and images can be opened, each as an atlas of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    SiglipConfig,
    SiglipModel,
)

from pipeline.corpora import load_corpus
from pipeline.extract import verify_layers
from pipeline.records import Corpus
from pipeline.tokens import prepare_inputs
from tests.unit.pipeline.tiny_models import (
    SMALL,
    VIT_PREPROCESSOR,
    load_tiny,
    save_byte_pairs,
    save_preprocessor,
    snapshot,
)


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory, hub_cache: Path) -> Path:
    """Write tiny/siglip and tiny/llava beside tiny/clip."""
    hub = tmp_path_factory.mktemp("towers")
    (hub / "models--tiny--clip").symlink_to(hub_cache / "models--tiny--clip")
    torch.manual_seed(0)
    siglip, llava = snapshot(hub, "tiny/siglip"), snapshot(hub, "tiny/llava")
    vision = {"image_size": 32, "patch_size": 8, **SMALL}
    SiglipModel(
        SiglipConfig(text_config={"vocab_size": 300, **SMALL}, vision_config=vision)
    ).save_pretrained(siglip)
    LlavaForConditionalGeneration(
        LlavaConfig(
            text_config=LlamaConfig(vocab_size=300, num_key_value_heads=2, **SMALL),
            vision_config=CLIPVisionConfig(**vision),
            image_token_index=299,
        )
    ).save_pretrained(llava)
    for folder in (siglip, llava):
        save_byte_pairs(folder)
        save_preprocessor(folder, VIT_PREPROCESSOR)
    return hub


@pytest.mark.parametrize(
    ("model", "n_specials", "n_key_heads"),
    [("tiny/clip", 1, 4), ("tiny/siglip", 0, 4), ("tiny/llava", 1, 2)],
)
def test_each_tower_is_read_by_what_its_corpus_holds_and_rebuilt(
    model: str, n_specials: int, n_key_heads: int, towers: Path
) -> None:
    loaded = load_tiny(model, towers)
    images = prepare_inputs(loaded, load_corpus("gradients").first(2), seed=0)
    assert images.table.grid == (4, 4)
    assert images.table.n_tokens == 2 * (16 + n_specials)
    text = Corpus("a", "text", "", "", texts=("the cat sat on the mat",), labels=("1",))
    texts = prepare_inputs(loaded, text, seed=0)
    for inputs, key_heads in ((images, 4), (texts, n_key_heads)):
        layers, _ = verify_layers(loaded, inputs)
        assert [layer.n_kv_heads for layer in layers] == [key_heads, key_heads]
        assert max(max(layer.error_max) for layer in layers) <= 1e-5
