"""A decoder that is shown images: which of its tokens is which patch, and what it is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.corpora import load_corpus
from pipeline.errors import InputError
from pipeline.extract import verify_layers
from pipeline.image_inputs import seen_images
from pipeline.image_texts import PROMPT, image_token_id
from pipeline.images import png_to_array
from pipeline.models import LoadedModel
from pipeline.records import Corpus
from pipeline.store import Store
from pipeline.tokens import prepare_inputs
from pipeline.verify import story, verify
from tests.unit.pipeline.tiny_image_texts import (
    drop_processor,
    save_idefics,
    save_llava,
    save_llava_next,
    save_paligemma,
)
from tests.unit.pipeline.tiny_models import load_tiny, snapshot, source_of

SAVERS: dict[str, Callable[[Path], None]] = {
    "llava": save_llava,
    "full": lambda folder: save_llava(folder, strategy="full"),
    "idefics": save_idefics,
    "paligemma": save_paligemma,
    "next": save_llava_next,
    "old": lambda folder: save_llava(folder, patch_size=4),
}
GRID = (4, 4)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write all of `SAVERS` as tiny/<name>, and tiny/bare without a processor."""
    folder = tmp_path_factory.mktemp("image-texts")
    for name, save in SAVERS.items():
        save(snapshot(folder, f"tiny/{name}"))
    bare = snapshot(folder, "tiny/bare")
    save_llava(bare)
    drop_processor(bare)
    return folder


@pytest.fixture(scope="module")
def loaded(hub: Path) -> Callable[[str], LoadedModel]:
    return cache(lambda name: load_tiny(f"tiny/{name}", hub))


def _images(captions: tuple[str, ...] = ()) -> Corpus:
    corpus = load_corpus("photos").first(3)
    return replace(corpus, columns={"caption": captions} if captions else {})


@pytest.mark.parametrize(
    ("name", "before"), [("llava", 0), ("full", 1), ("idefics", 2), ("paligemma", 0)]
)
def test_image_tokens_are_the_patches_row_by_row(
    name: str, before: int, loaded: Callable[[str], LoadedModel]
) -> None:
    model = loaded(name)
    inputs = prepare_inputs(model, _images(), seed=0, part="decoder")
    table = inputs.table
    ids = inputs.batch(model, [0])["input_ids"][0].numpy()
    n = ids.size
    assert table.grid == GRID
    assert table.n_tokens == 3 * n
    is_image = ids == image_token_id(model)
    first = int(np.flatnonzero(table.row[:n] >= 0)[0])
    assert first == before
    patches = slice(first, first + 16)
    assert is_image[patches].all()
    assert is_image.sum() == 16 + (name == "full")
    assert table.row[patches].tolist() == np.repeat(np.arange(4), 4).tolist()
    assert table.column[patches].tolist() == np.tile(np.arange(4), 4).tolist()
    assert table.token_text[patches][:5] == (
        "patch 0,0", "patch 0,1", "patch 0,2", "patch 0,3", "patch 1,0",
    )  # fmt: skip
    assert (table.token_id[patches] == -1).all()
    assert not table.is_special[patches].any()
    is_text = np.flatnonzero(table.row[:n] < 0)
    assert table.is_special[:before].all()
    words = "".join(table.token_text[i] for i in is_text if not table.is_special[i])
    assert words.replace(" ", "").strip() == PROMPT.replace(" ", "")


@pytest.mark.parametrize("name", ["llava", "full", "idefics", "paligemma"])
def test_a_token_holds_what_is_in_its_own_patch(
    name: str, loaded: Callable[[str], LoadedModel]
) -> None:
    """With no attention in the image encoder a token depends on the pixels of its patch alone."""
    model = loaded(name)
    inputs = prepare_inputs(model, _images(), seed=0, part="decoder")
    encoder = getattr(model.model, "vision_tower", None) or model.model.vision_model
    mixing = [m for k, m in encoder.named_modules() if k.endswith("self_attn.out_proj")]
    kept = [module.weight.detach().clone() for module in mixing]
    assert len(mixing) == 2
    features = inputs.batch(model, [0])
    side = features["pixel_values"].shape[-1] // 4
    for module in mixing:
        torch.nn.init.zeros_(module.weight)
    try:
        before = _embedded(model, features)
        for row, column in ((0, 0), (1, 3), (3, 2)):
            changed = features["pixel_values"].clone()
            changed[..., row * side : (row + 1) * side, column * side : (column + 1) * side] += 1
            after = _embedded(model, features | {"pixel_values": changed})
            [place] = np.flatnonzero((before != after).any(dim=-1).numpy())
            assert (inputs.table.row[place], inputs.table.column[place]) == (row, column)
    finally:
        for module, weight in zip(mixing, kept, strict=True):
            module.weight.data.copy_(weight)


def _embedded(loaded: LoadedModel, features: dict[str, Any]) -> torch.Tensor:
    """Return what the decoder of a model reads, (n_tokens, width)."""
    caught: list[torch.Tensor] = []

    def catch(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        caught.append(kwargs["inputs_embeds"][0].clone())

    hook = loaded.model.get_decoder().register_forward_pre_hook(catch, with_kwargs=True)
    try:
        with torch.inference_mode():
            loaded.model(**features)
    finally:
        hook.remove()
    return caught[0]


@pytest.mark.parametrize("name", ["llava", "full", "idefics", "paligemma"])
def test_every_layer_of_the_decoder_is_rebuilt(
    name: str, loaded: Callable[[str], LoadedModel]
) -> None:
    model = loaded(name)
    captions = ("a cat", "a dog on the green hill", "")
    inputs = prepare_inputs(model, _images(captions), seed=0, part="decoder")
    assert len(set(inputs.query_lengths.tolist())) == 3
    layers, found = verify_layers(model, inputs)
    assert [layer.kind for layer in layers] == ["decoder", "decoder"]
    assert all(layer.module.startswith(inputs.inside) for layer in layers)
    assert [layer.n_kv_heads for layer in layers] == [2, 2]
    assert max(max(layer.error_max) for layer in layers) <= 1e-5
    assert found.hidden_state_difference <= 1e-5


def test_layers_of_the_image_encoder_are_never_taken_for_those_of_the_decoder(
    loaded: Callable[[str], LoadedModel],
) -> None:
    """Here both have 17 tokens: a class token and 16 patches, 16 patches and one letter."""
    inputs = prepare_inputs(loaded("llava"), _images(("<image>a",) * 3), seed=0, part="decoder")
    assert inputs.query_lengths.tolist() == [17, 17, 17]
    layers, _ = verify_layers(loaded("llava"), inputs)
    assert [layer.module.split(".")[0] for layer in layers] == ["language_model"] * 2


def test_a_caption_is_the_text_and_may_place_the_image_itself(
    loaded: Callable[[str], LoadedModel],
) -> None:
    captions = ("the cat", "look: <image> a dog", "")
    inputs = prepare_inputs(loaded("llava"), _images(captions), seed=0, part="decoder")
    assert inputs.texts == (
        "<image>\nthe cat", "look: <image> a dog", f"<image>\n{PROMPT}",
    )  # fmt: skip
    table = inputs.table
    second = table.sequence_index == 1
    words = [t for t, row in zip(np.array(table.token_text)[second], table.row[second], strict=True)
             if row < 0]  # fmt: skip
    assert "".join(words) == "look:  a dog"
    assert np.flatnonzero(table.row[second] >= 0)[0] > 0


def test_captions_tell_corpora_apart() -> None:
    named = [_images(captions).sha256 for captions in ((), ("a", "", ""), ("b", "", ""))]
    assert len(set(named)) == 3


@pytest.mark.parametrize("name", ["llava", "idefics"])
def test_the_picture_is_what_the_model_saw(name: str, loaded: Callable[[str], LoadedModel]) -> None:
    model = loaded(name)
    inputs = prepare_inputs(model, _images(), seed=0, part="decoder")
    [shown] = seen_images(model, inputs, 1, 2)
    values = inputs.batch(model, [1])["pixel_values"].reshape(3, *png_to_array(shown).shape[:2])
    undone = (values.numpy().transpose(1, 2, 0) * 0.5 + 0.5) * 255
    assert np.abs(undone - png_to_array(shown)).max() <= 0.51


@pytest.mark.parametrize("name", ["llava", "idefics", "paligemma"])
def test_the_encoder_of_images_is_a_part_of_its_own(
    name: str, loaded: Callable[[str], LoadedModel]
) -> None:
    for part in (None, "encoder"):
        inputs = prepare_inputs(loaded(name), _images(), seed=0, part=part)
        assert inputs.part == "encoder"
    layers, _ = verify_layers(loaded(name), inputs)
    assert [layer.n_kv_heads for layer in layers] == [4, 4]


def test_other_parts_are_refused(loaded: Callable[[str], LoadedModel], hub_cache: Path) -> None:
    with pytest.raises(InputError, match="one sequence; expected encoder"):
        prepare_inputs(loaded("llava"), _images(), seed=0, part="cross")
    with pytest.raises(InputError, match="not an encoder-decoder model"):
        prepare_inputs(load_tiny("tiny/vit", hub_cache), _images(), seed=0, part="decoder")


def test_tokens_that_are_no_grid_are_refused(loaded: Callable[[str], LoadedModel]) -> None:
    with pytest.raises(InputError, match="64 image tokens for an image of 4 x 4 patches"):
        prepare_inputs(loaded("old"), _images(), seed=0, part="decoder")


def test_tiles_are_refused_and_texts_still_verified(
    hub: Path, loaded: Callable[[str], LoadedModel], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"pixels of shape \(1, 5, 3, 32, 32\) of one image"):
        prepare_inputs(loaded("next"), _images(), seed=0, part="decoder")
    found = verify("tiny/next", Store(tmp_path), hub_cache=hub, device="cpu")
    assert [row["kind"] for row in found["layers"]] == ["self", "self"]
    assert [reason.split(":")[0] for reason in found["left_out"]] == [
        "encoder of images", "decoder of images",
    ]  # fmt: skip
    assert story(found)[-1].startswith("left out: decoder of images")


def test_a_model_without_a_processor_is_refused(loaded: Callable[[str], LoadedModel]) -> None:
    with pytest.raises(InputError, match="processor"):
        prepare_inputs(loaded("bare"), _images(), seed=0, part="decoder")


def test_too_long_a_caption_is_refused_by_the_name_of_its_image(
    loaded: Callable[[str], LoadedModel],
) -> None:
    corpus = _images(("a", "hill " * 2000, ""))
    with pytest.raises(InputError, match=f"{corpus.labels[1]}.*shorten its caption"):
        prepare_inputs(loaded("llava"), corpus, seed=0, part="decoder")


def test_verify_shows_encoder_and_decoder_or_says_why_not(hub: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    found = verify("tiny/llava", store, hub_cache=hub, device="cpu")
    assert [row["kind"] for row in found["layers"]] == [*["self"] * 2, *["encoder"] * 2,
                                                         *["decoder"] * 2]  # fmt: skip
    assert found["reconstruction_error_max"] <= 1e-5
    assert found["left_out"] == []
    bare = verify("tiny/bare", store, hub_cache=hub, device="cpu")
    assert [row["kind"] for row in bare["layers"]] == ["self", "self", "encoder", "encoder"]
    assert "processor" in bare["left_out"][0]
    assert json.loads(json.dumps(bare))["left_out"] == bare["left_out"]


def test_the_files_of_the_processor_are_part_of_the_key(hub: Path) -> None:
    assert "processor_config.json" in source_of("tiny/llava", hub).files
