"""Encoder and decoder of a model that is shown images: built, offered and answered for the page."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flask.testing import FlaskClient
from PIL import Image

from app.opening import describe
from pipeline import cli
from pipeline.aggregate import aggregate, hidden_tokens, why_not
from pipeline.atlas import read_atlas
from pipeline.corpora import load_corpus
from pipeline.service import Service
from pipeline.store import Store
from pipeline.tokens import prepare_inputs
from tests.conftest import build
from tests.unit.pipeline.test_images import noise
from tests.unit.pipeline.tiny_image_texts import save_llava
from tests.unit.pipeline.tiny_models import load_tiny

CAPTIONS = ("the cat sat on the mat", "a dog")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("llava") / "llava"
    save_llava(folder)
    return str(folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two images of 4 x 4 fields, with captions of different length and masks."""
    folder = tmp_path_factory.mktemp("captioned")
    for number, caption in enumerate(CAPTIONS):
        fields = noise(4, 4 + number).repeat(8, axis=0).repeat(8, axis=1)
        Image.fromarray(fields).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(caption)
        mask = np.zeros(fields.shape[:2], dtype=np.uint8)
        mask[:8] = 1
        Image.fromarray(mask).save(folder / f"{number}.mask.png")
    return str(folder)


@pytest.fixture(scope="module")
def decoder(tiny_store: Store, hub_cache: Path, model: str, corpus: str) -> dict[str, Any]:
    """The atlas of the decoder, built after that of the encoder of images."""
    options = {"model": model, "corpus": corpus, "methods": ("pca",), "dims": (2,)}
    build(tiny_store, hub_cache, **options)
    return build(tiny_store, hub_cache, part="decoder", **options)


def test_the_command_line_builds_the_decoder(
    model: str, corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("QKATLAS_CACHE", str(tmp_path))
    words = ["build", "--model", model, "--corpus", corpus, "--part", "decoder",
             "--methods", "pca", "--dims", "2", "--json"]  # fmt: skip
    assert cli.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reconstruction_error_max"] <= 1e-5
    assert cli.main([*words[:6], "cross", *words[7:]]) == 2
    assert "expected encoder (of images) or decoder" in capsys.readouterr().err


def test_stored_weights_are_those_of_the_model_itself(
    service: Service, decoder: dict[str, Any], model: str, corpus: str, hub_cache: Path
) -> None:
    """Over the whole sequence, image and text, by transformers' own `output_attentions`."""
    capture = service.atlas(decoder["atlas"]).capture
    loaded = load_tiny(model, hub_cache)
    inputs = prepare_inputs(loaded, load_corpus(corpus), seed=0, part="decoder")
    for sequence in range(2):
        features = inputs.batch(loaded, [sequence])
        with torch.inference_mode():
            own = loaded.model(**features, output_attentions=True).attentions
        assert len(own) == 2
        for layer, head in np.ndindex(2, 4):
            found = capture.attention(sequence, layer, head)
            assert found.shape == own[layer][0, head].shape
            assert np.abs(found - own[layer][0, head].numpy()).max() <= 1e-5


def test_encoder_and_decoder_are_both_found_and_offered(
    service: Service, decoder: dict[str, Any], model: str, corpus: str
) -> None:
    for part, n_tokens in (("encoder", 2 * 17), ("decoder", decoder["n_tokens"])):
        found = describe(service, model, corpus, "faithful", part=part)
        assert found["has_parts"]
        assert found["parts"] == ("encoder", "decoder")
        assert (found["kind"], found["n_tokens"]) == (part, n_tokens)
        assert (found["modality"], found["grid"]) == ("image", (4, 4))
    missing = describe(service, model, "photos", "faithful", part="decoder")
    assert missing["parts"] == ("encoder", "decoder")
    assert "the decoder of" in missing["missing"]


def test_texts_of_such_a_model_have_one_part(
    service: Service, decoder: dict[str, Any], model: str, tiny_store: Store, hub_cache: Path,
    tiny_corpus: Path,
) -> None:  # fmt: skip
    build(tiny_store, hub_cache, model=model, corpus=str(tiny_corpus), methods=("pca",), dims=(2,))
    for part in ("encoder", "decoder"):
        found = describe(service, model, str(tiny_corpus), "faithful", part=part)
        assert not found["has_parts"]
        assert found["kind"] == "self"


def test_the_page_gets_patches_words_pictures_and_labels(
    client: FlaskClient, service: Service, decoder: dict[str, Any]
) -> None:
    capture = service.atlas(decoder["atlas"]).capture
    url = f"/api/{capture.record['key']}"
    tokens = client.get(f"{url}/tokens.json").json
    n = tokens["sequences"][0]["length"]
    assert [one["label"] for one in tokens["sequences"]] == ["0.png", "1.png"]
    assert tokens["grid"] == [4, 4]
    patches = [
        (r, c) for r, c in zip(tokens["row"][:n], tokens["column"][:n], strict=True) if r >= 0
    ]
    assert patches == list(np.ndindex(4, 4))
    words = [t for t, row in zip(tokens["text"][:n], tokens["row"][:n], strict=True) if row < 0]
    assert "".join(words).strip() == CAPTIONS[0]
    assert not any(tokens["special"])
    with Image.open(io.BytesIO(client.get(f"{url}/image/0.png").data)) as picture:
        assert picture.size == (32, 32)
    weights = np.frombuffer(client.get(f"{url}/attention/1/1/3.f32").data, dtype="<f4")
    length = tokens["sequences"][1]["length"]
    assert weights.size == length**2
    assert np.abs(weights.reshape(length, length).sum(axis=1) - 1).max() <= 1e-5
    labels = tokens["label"]
    assert [labels[i] for i in (0, 3, 4, n - 1)] == [labels[0], labels[0], labels[4], ""]
    assert labels[0] != labels[4]
    for name in ("row", "hue", "picture", "position", "token_kind", "label"):
        assert client.get(f"{url}/attribute/{name}.u8").status_code == 200, name


def test_a_token_is_told_to_be_patch_word_or_mark(
    service: Service, decoder: dict[str, Any], model: str, corpus: str
) -> None:
    key = service.atlas(decoder["atlas"]).capture.record["key"]
    kinds = service.encoding(key, "token_kind")
    assert kinds.legend == ("patch", "word", "special token")
    assert kinds.values[:16].tolist() == [0.0] * 16
    assert kinds.values[16] == 1
    alone = service.find_atlas(model, corpus, "faithful", "encoder")
    assert alone is not None
    assert "token_kind" not in service.encodings(alone.capture.record["key"])


def test_the_words_of_an_image_are_listed_without_its_patches(
    service: Service, decoder: dict[str, Any]
) -> None:
    key = service.atlas(decoder["atlas"]).capture.record["key"]
    words = [one["words"] for one in service.inspection.sequences(key)]
    assert [word.replace(" ", "")[:6] for word in words] == ["thecat", "adog"]


def test_patches_or_words_can_be_left_out(
    service: Service, decoder: dict[str, Any], model: str, corpus: str
) -> None:
    capture = service.atlas(decoder["atlas"]).capture
    is_patch = capture.tokens.row >= 0
    assert np.array_equal(hidden_tokens(capture.tokens, ["patches"]), is_patch)
    assert np.array_equal(hidden_tokens(capture.tokens, ["words"]), ~is_patch)
    alone = service.find_atlas(model, corpus, "faithful", "encoder")
    assert alone is not None
    assert not hidden_tokens(alone.capture.tokens, ["patches", "words"]).any()


def test_captions_of_different_length_still_have_means_by_position(
    service: Service, decoder: dict[str, Any]
) -> None:
    """The patches stand at the same positions; longer captions have fewer sequences behind them."""
    capture = service.atlas(decoder["atlas"]).capture
    assert why_not(capture) == ""
    found = aggregate(capture, 1, 2)
    lengths = np.diff(capture.tokens.sequence_offset)
    assert found.counts.tolist() == [int((lengths > i).sum()) for i in range(lengths.max())]
    both = np.mean([capture.attention(s, 1, 2)[:17, :17] for s in (0, 1)], axis=0)
    assert np.abs(found.means[:17, :17] - both).max() <= 1e-6
    among = aggregate(capture, 1, 2, left_out=["words"]).means
    assert not among[16:].any()
    assert np.abs(among[:16].sum(axis=1) - 1).max() <= 1e-5


def test_patches_at_different_positions_have_no_means(
    tiny_store: Store, hub_cache: Path, model: str, tmp_path: Path
) -> None:
    for number, caption in enumerate(("<image> a cat", "Look: <image> a dog")):
        Image.fromarray(noise(32, 32)).save(tmp_path / f"{number}.png")
        (tmp_path / f"{number}.txt").write_text(caption)
    made = build(tiny_store, hub_cache, model=model, corpus=str(tmp_path), part="decoder",
                 methods=("pca",), dims=(2,))  # fmt: skip
    capture = read_atlas(tiny_store, made["atlas"]).capture
    assert "stand at different positions" in why_not(capture)
