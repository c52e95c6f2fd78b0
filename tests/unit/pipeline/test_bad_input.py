"""What users give us that cannot work: through the command line, each with its own one line."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.cli import main
from tests.unit.pipeline.tiny_models import copy_of

Damage = Callable[[Path], None]
WEIGHTS = "model.safetensors"


def without_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def only_pickled(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({}))


def with_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling.Evil"}
    (folder / "config.json").write_text(json.dumps(config))


def cut_short(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def bad_tokenizer(folder: Path) -> None:
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text[: len(text) // 2])


def not_finite(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    name = next(n for n in tensors if "layer.1.attention.self.query.weight" in n)
    tensors[name][0, 0] = torch.nan
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


@pytest.mark.parametrize("command", ["verify", "build"])
@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (without_weights, "has no weights; expected model.safetensors"),
        (only_pickled, "has pytorch_model.bin; expected model.safetensors"),
        (with_code, "sets `auto_map`, which makes transformers run code"),
        (cut_short, "model.safetensors is truncated or damaged"),
        (bad_tokenizer, "could not be loaded"),
        (not_finite, "encoder.layer.1.attention.self produced queries that are not finite"),
    ],
)
def test_a_model_that_cannot_be_used_is_one_line_that_says_why(
    command: str, damage: Damage, expected: str, hub_cache: Path, tiny_corpus: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("QKATLAS_CACHE", str(tmp_path / "cache"))
    folder = copy_of("tiny/bert", hub_cache, tmp_path / "model")
    damage(folder)
    corpus = ["--corpus", str(tiny_corpus)] if command == "build" else []
    assert main([command, "--model", str(folder), *corpus, "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert expected in last


def built(
    text: str, hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> int:
    monkeypatch.setenv("QKATLAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pipeline.cli.hub_cache", lambda: hub_cache)
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(text)
    arguments = ["--corpus", str(corpus), "--methods", "pca"]
    return main(["build", "--model", model, *arguments, "--json"])


def test_a_corpus_of_one_token_is_refused(
    hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert built("a\n", hub_cache, tmp_path, monkeypatch, "tiny/gpt2") == 2
    assert "has 1 token, expected at least 3" in capsys.readouterr().err.splitlines()[-1]


def test_texts_longer_than_the_model_allows_are_cut_and_counted(
    hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    text = "the cat " * 600 + "\nthe dog\n"
    assert built(text, hub_cache, tmp_path, monkeypatch, "tiny/bert") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_truncated"] == 1
    assert found["n_tokens"] > 512
    assert np.isfinite(found["fidelity"]["mean_spearman"])


def test_verify_prints_one_object_with_the_promised_names(
    hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("QKATLAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pipeline.cli.hub_cache", lambda: hub_cache)
    assert main(["verify", "--model", "tiny/gpt2", "--json", "--text", "the cat"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["class"] == "GPT2Model"
    assert found["route"] == "interface"
    assert max(found["reconstruction_error_max"], found["hidden_state_difference"]) <= 1e-5
    assert [layer["module"] for layer in found["layers"]] == ["h.0.attn", "h.1.attn"]
    assert {layer["mask"] for layer in found["layers"]} == {"causal"}
    assert main(["verify", "--model", "tiny/gpt2"]) == 0
    assert "causal" in capsys.readouterr().out
