"""Converted models against an independent answer: ONNX's own evaluator, and a known fact.

Needs the packages of requirements-models.txt.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from transformers import AutoModelForCausalLM

from pipeline.catalogue import ModelEntry, find_source, packaged_path, read_catalogue
from pipeline.errors import ModelError
from pipeline.models import LoadedModel, load, prepare
from pipeline.store import Store

BACKBONE_OUTPUT = "/backbone/layernorm/Add_1_output_0"


def installed(name: str) -> ModelEntry:
    """Return the catalogue's row of a packaged model, or skip."""
    entry = next(entry for entry in read_catalogue() if entry.name == name)
    try:
        packaged_path(entry)
    except ModelError as error:
        pytest.skip(str(error))
    return entry


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def converted(name: str, cache: Path) -> LoadedModel:
    prepare(name, cache=cache, hub_cache=cache, report=lambda progress: None)
    source = find_source(name, cache=cache, hub_cache=cache, remembered=sha256)
    return load(source, device="cpu", dtype="float32", attention="eager")


def check_counts(loaded: LoadedModel, entry: ModelEntry) -> None:
    config = loaded.model.config
    assert config.num_hidden_layers == entry.layers
    assert config.num_attention_heads == entry.heads
    assert config.hidden_size // config.num_attention_heads == entry.head_dim
    assert sum(weight.numel() for weight in loaded.model.parameters()) == entry.parameters


def backbone_of_graph(path: Path, pixel_values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run the ONNX graph up to the last hidden state of its backbone, without our code."""
    model = onnx.load(path)
    last = next(i for i, node in enumerate(model.graph.node) if BACKBONE_OUTPUT in node.output)
    del model.graph.node[last + 1 :]
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name=BACKBONE_OUTPUT))
    outputs: Any = ReferenceEvaluator(model).run(None, {"input_image": pixel_values})
    return np.asarray(outputs[0])


def test_dinov2s_computes_what_its_onnx_graph_computes(tmp_path: Path) -> None:
    entry = installed("dinov2s")
    loaded = converted("dinov2s", tmp_path)
    check_counts(loaded, entry)
    pixel_values = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    with torch.no_grad():
        found = loaded.model(torch.from_numpy(pixel_values)).last_hidden_state.numpy()
    expected = backbone_of_graph(packaged_path(entry), pixel_values)
    assert found.shape == expected.shape == (1, 257, 384)
    # Values reach 8.4; differences of 1.4e-5 were seen, from sums in another order.
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


def test_smollm2_still_knows_the_capital_of_france(real_store: Store) -> None:
    entry = installed("smollm2")
    loaded = converted("smollm2", real_store.root)
    check_counts(loaded, entry)
    assert loaded.model.config.num_key_value_heads == entry.kv_heads
    whole: Any = AutoModelForCausalLM.from_pretrained(loaded.source.folder, local_files_only=True)
    inputs = loaded.tokenizer("The capital of France is", return_tensors="pt")
    with torch.no_grad():
        next_token = whole.eval()(**inputs).logits[0, -1].argmax()
    assert loaded.tokenizer.decode(next_token) == " Paris"


def test_minilm_has_the_counts_of_the_catalogue(tmp_path: Path) -> None:
    entry = installed("minilm")
    check_counts(converted("minilm", tmp_path), entry)
