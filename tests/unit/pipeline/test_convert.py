"""A conversion appears whole or not at all, and reads the right tensors out of a graph."""

import shutil
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto
from onnx.numpy_helper import from_array

from pipeline import convert
from pipeline.convert import convert_dinov2s
from pipeline.errors import ModelError, SpaceError


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where a conversion belongs, with a writer that stands for the real one."""

    def write(packaged: Path, folder: Path) -> None:
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(convert, "packaged_path", lambda entry: tmp_path / "packaged")
    monkeypatch.setattr(convert, "_write_dinov2s", write)
    return tmp_path / "models" / "dinov2s"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_conversion_leaves_its_folder_and_its_lock_only(target: Path) -> None:
    convert_dinov2s(target)
    assert names(target) == ["config.json"]
    assert names(target.parent) == ["dinov2s", "dinov2s.lock"]


def test_a_conversion_that_fails_half_way_leaves_nothing(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(packaged: Path, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert, "_write_dinov2s", fail)
    with pytest.raises(OSError, match="No space left"):
        convert_dinov2s(target)
    assert names(target.parent) == ["dinov2s.lock"]


def test_what_a_killed_conversion_left_is_removed(target: Path) -> None:
    leftover = target.parent / "dinov2s.abc.part"
    leftover.mkdir(parents=True)
    (leftover / "model.safetensors").write_bytes(b"half")
    convert_dinov2s(target)
    assert not leftover.exists()


def test_two_conversions_at_once_write_one_folder(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = []
    entered = threading.Barrier(2)

    def write(packaged: Path, folder: Path) -> None:
        writes.append(folder)
        (folder / "config.json").write_text("{}")

    def run() -> None:
        entered.wait(5)
        convert_dinov2s(target)

    monkeypatch.setattr(convert, "_write_dinov2s", write)
    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(writes) == 1
    assert names(target) == ["config.json"]


def test_a_finished_conversion_is_left_alone(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert_dinov2s(target)
    monkeypatch.setattr(convert, "_write_dinov2s", None)  # calling it would fail
    convert_dinov2s(target)
    assert names(target) == ["config.json"]


def test_a_disk_that_is_too_small_is_refused_before_writing(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 9, 1))
    with pytest.raises(SpaceError, match=r"converting dinov2s needs 88\.2 MB, free 0\.0 MB"):
        convert_dinov2s(target)
    assert names(target.parent) == ["dinov2s.lock"]


def save_graph(path: Path, *, positions: tuple[tuple[int, ...], ...]) -> NDArray[np.float32]:
    """Write a graph with one linear layer as an exporter leaves it; return the layer's weight."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((2, 3)).astype(np.float32)  # (out, in), as torch keeps it
    arrays = {
        "backbone.fc.bias": np.ones(2, np.float32),
        "backbone.norm.weight": np.ones(2, np.float32),
        "backbone.norm.bias": np.ones(2, np.float32),
        "decoder.bias": np.ones(2, np.float32),
        "onnx::MatMul_7": weight.T.copy(),
        **{f"onnx::{i}": np.full(shape, i, np.float32) for i, shape in enumerate(positions)},
    }
    nodes = [
        NodeProto(op_type="MatMul", input=["x", "onnx::MatMul_7"], output=["product"]),
        NodeProto(op_type="Add", input=["backbone.fc.bias", "product"], output=["linear"]),
        NodeProto(op_type="Mul", input=["linear", "backbone.norm.weight"], output=["scaled"]),
        NodeProto(op_type="Add", input=["scaled", "backbone.norm.bias"], output=["y"]),
    ]
    tensors = [from_array(array, name) for name, array in arrays.items()]
    model = ModelProto(graph=GraphProto(node=nodes, initializer=tensors))
    path.write_bytes(model.SerializeToString())
    return weight


def test_the_weight_of_a_linear_layer_is_found_through_its_bias(tmp_path: Path) -> None:
    weight = save_graph(tmp_path / "tiny.onnx", positions=convert.POSITION_SHAPES)
    tensors = convert._dinov2s_tensors(tmp_path / "tiny.onnx")
    assert sorted(tensors) == [
        "embeddings.position_embeddings", "fc.bias", "fc.weight", "norm.bias", "norm.weight",
    ]  # fmt: skip
    np.testing.assert_array_equal(tensors["fc.weight"], weight)
    assert tensors["embeddings.position_embeddings"][0, :2, 0].tolist() == [0, 1]


def test_a_graph_without_position_embedding_is_refused(tmp_path: Path) -> None:
    save_graph(tmp_path / "tiny.onnx", positions=())
    with pytest.raises(ModelError, match="has no position embedding of shapes"):
        convert._dinov2s_tensors(tmp_path / "tiny.onnx")
