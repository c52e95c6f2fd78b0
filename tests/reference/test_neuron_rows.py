"""What the neuron view sums up, in its own script, against the model's eager attention weights."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.captured import Capture
from pipeline.catalogue import find_source
from pipeline.corpora import load_corpus
from pipeline.inspection import Inspection
from pipeline.models import load
from pipeline.store import Store
from pipeline.tokens import prepare_inputs
from tests.reference.families import FAMILIES, save_family
from tests.reference.test_families import captured

SCRIPT = Path(__file__).parent / "explain_rows.js"
# Measured: at most 1.2e-6 (t5, whose logits are not scaled), below 2e-7 for the others.
TOLERANCE = 1e-5
SEQUENCE = 1


def explained(capture: Capture, layer: int, head: int) -> np.ndarray:
    """Weights of all queries of a sequence, as the script in the browser computes them."""
    inspection = Inspection(lambda _: capture)
    vectors = inspection.vectors("", SEQUENCE, layer, head, rotary="after")
    additive = inspection.additive("", SEQUENCE, layer, head)
    about = inspection.head("", layer, head)
    assert about["has_terms"] == (additive is not None)
    keys = vectors.keys.tolist()
    rows = [
        {"query": query.tolist(), "keys": keys, "additive": terms_of(additive, i)}
        for i, query in enumerate(vectors.queries)
    ]
    answer = subprocess.run(
        ["node", str(SCRIPT)], input=json.dumps({"rows": rows, "about": about}),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(answer.stdout)
    sums = [sum(row["weights"]) + row["sink_weight"] for row in found]
    assert np.allclose(sums, 1, atol=1e-12)
    return np.array([row["weights"] for row in found])


def terms_of(additive: np.ndarray | None, row: int) -> list[float | None] | None:
    if additive is None:
        return None
    return [None if np.isneginf(value) else float(value) for value in additive[row]]


def eager_weights(folder: Path, corpus: str, store: Store) -> list[np.ndarray]:
    source = find_source(
        str(folder), cache=store.root, hub_cache=store.root, remembered=store.file_sha256
    )
    loaded = load(source, device="cpu", dtype="float32", attention="eager")
    inputs = prepare_inputs(loaded, load_corpus(corpus), seed=0)
    features = inputs.batch(loaded, [SEQUENCE])
    with torch.inference_mode():
        output: Any = inputs.tower(loaded)(**features, output_attentions=True)
    return [weights[0].numpy() for weights in output["attentions"]]


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "gemma2", "gpt_oss", "t5", "vit"])
def test_the_sum_shown_is_the_weight_of_the_model(
    tmp_path: Path, tiny_corpus: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if family == "gemma2":  # its usual cap of 50 hardly bends the small logits of a tiny model
        low = FAMILIES[family].settings | {"attn_logit_softcapping": 1.0}
        monkeypatch.setitem(FAMILIES, family, replace(FAMILIES[family], settings=low))
    folder = save_family(family, tmp_path / family)
    store = Store(tmp_path / "store")
    corpus = "gradients" if family == "vit" else str(tiny_corpus)
    capture = captured(folder, store, corpus, limit=3)
    expected = eager_weights(folder, corpus, store)
    assert len(expected) == len(capture.layers)
    for layer, weights in enumerate(expected):
        for head in (0, capture.layers[layer].n_heads - 1):
            shown = explained(capture, layer, head)
            assert np.abs(shown - weights[head]).max() <= TOLERANCE
            assert np.abs(shown - capture.attention(SEQUENCE, layer, head)).max() <= TOLERANCE


def test_vectors_before_rotation_are_given_beside_those_of_the_softmax(
    tmp_path: Path, tiny_corpus: Path
) -> None:
    folder = save_family("llama", tmp_path / "llama")
    store = Store(tmp_path / "store")
    both = captured(folder, store, str(tiny_corpus), limit=3, rotary="before")
    after = captured(folder, store, str(tiny_corpus), limit=3)
    inspection = Inspection(lambda _: both)
    assert inspection.head("", 1, 3)["rotary"] == ["after", "before"]
    before, rotated = (
        inspection.vectors("", SEQUENCE, 1, 3, rotary=rotary).queries
        for rotary in ("before", "after")
    )
    usual = Inspection(lambda _: after).vectors("", SEQUENCE, 1, 3, rotary="after").queries
    assert np.allclose(rotated, usual, atol=1e-6)
    assert np.allclose(before[0], rotated[0], atol=1e-6)  # the first place is turned by nothing
    assert np.abs(before[1:] - rotated[1:]).max() > 0.1
    assert np.allclose(np.linalg.norm(before, axis=1), np.linalg.norm(rotated, axis=1), atol=1e-4)
