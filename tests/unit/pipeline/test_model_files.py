"""A model folder is checked before anything in it is loaded."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipeline.errors import ModelError
from pipeline.model_files import check_safetensors, inspect_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a text model folder that passes every check."""
    (tmp_path / "config.json").write_text('{"model_type": "bert", "hidden_size": 4}')
    (tmp_path / "tokenizer.json").write_text("{}")
    tensors: dict[str, Any] = {"a": np.zeros((2, 3), np.float32), "b": np.ones(2, np.float16)}
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path


def write_header(path: Path, header: object, body: bytes = b"") -> None:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def test_a_whole_folder_passes_and_its_files_are_listed(folder: Path) -> None:
    contents = inspect_folder(folder)
    assert contents.modality == "text"
    assert [p.name for p in contents.weights] == ["config.json", "model.safetensors"]
    assert [p.name for p in contents.preprocessing] == ["tokenizer.json"]


def test_two_towers_need_tokenizer_and_image_processor(folder: Path) -> None:
    config = {"model_type": "clip", "text_config": {}, "vision_config": {}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"for images and has none of preprocessor_config\.json"):
        inspect_folder(folder)
    (folder / "preprocessor_config.json").write_text("{}")
    assert inspect_folder(folder).modality == "both"


def test_a_vision_model_needs_no_tokenizer(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "vit", "image_size": 224}')
    (folder / "tokenizer.json").rename(folder / "preprocessor_config.json")
    assert inspect_folder(folder).modality == "image"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_pickled_weights_alone_are_refused_with_the_reason(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(ModelError, match=rf"has {name}; expected .* can run code"):
        inspect_folder(folder)


@pytest.mark.parametrize(
    "setting",
    [
        {"auto_map": {"AutoModel": "evil.Model"}},
        {"trust_remote_code": True},
        {"custom_pipelines": {"x": {}}},
        {"_attn_implementation_internal": "org/kernel"},
        {"text_config": {"layers": [{"auto_map": {"AutoConfig": "evil.Config"}}]}},
    ],
)
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_settings_that_run_code_are_refused(
    folder: Path, name: str, setting: dict[str, object]
) -> None:
    (folder / name).write_text(json.dumps({"model_type": "bert", **setting}))
    with pytest.raises(ModelError, match=rf"{name} sets `.*which makes transformers run code"):
        inspect_folder(folder)


def test_trust_remote_code_set_to_false_is_no_reason_to_refuse(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert", "trust_remote_code": false}')
    assert inspect_folder(folder).modality == "text"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable JSON"),
        ("[]", "not a JSON object"),
        ("{}", "no `model_type`"),
        ("[" * 100_000, "not readable JSON"),
    ],
)
def test_an_unreadable_config_is_named(folder: Path, text: str, message: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=rf"config\.json.*{message}"):
        inspect_folder(folder)


def test_a_folder_without_config_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json; expected a folder as"):
        inspect_folder(tmp_path)


def test_a_text_model_without_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"for texts and has none of tokenizer\.json"):
        inspect_folder(folder)


@pytest.mark.parametrize("keep", [0, 7, 8, 40, 0.5, -1])
def test_a_truncated_weight_file_is_named(folder: Path, keep: float) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(ModelError, match=r"model\.safetensors is truncated or damaged"):
        inspect_folder(folder)


def test_one_byte_too_many_is_found(folder: Path) -> None:
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match="truncated or damaged"):
        inspect_folder(folder)


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"a": {}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}},
        {"a": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]},
         "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}},
    ],
)  # fmt: skip
def test_a_header_that_lies_is_refused(tmp_path: Path, header: object) -> None:
    path = tmp_path / "model.safetensors"
    write_header(path, header, bytes(4))
    with pytest.raises(ModelError, match="truncated or damaged"):
        check_safetensors(path)


def test_an_unknown_dtype_is_left_to_the_loader(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_header(path, {"a": {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}}, bytes(4))
    check_safetensors(path)


def test_all_shards_of_an_index_are_needed(folder: Path) -> None:
    shards = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    (folder / "model.safetensors").rename(folder / shards[0])
    index = {"weight_map": {"a": shards[0], "b": shards[0], "c": shards[1]}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=f"lacks {shards[1]}"):
        inspect_folder(folder)
    save_file({"c": np.ones(1, np.float32)}, folder / shards[1])
    assert [p.name for p in inspect_folder(folder).weights[2:]] == shards


def test_an_index_cannot_name_files_elsewhere(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "../model-1-of-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="expected model-1-of-2"):
        inspect_folder(folder)
