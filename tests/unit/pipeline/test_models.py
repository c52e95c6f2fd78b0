"""Loading: only whole, unchanged, safe files, offline; and preparing what is not there yet."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, GPT2LMHeadModel

from pipeline import models as room
from pipeline.catalogue import converted_folder, read_catalogue
from pipeline.errors import ModelError
from pipeline.model_checks import QUERY_OR_KEY
from pipeline.models import LoadedModel, load, prepare
from pipeline.records import Progress
from tests.unit.pipeline.tiny_models import SENTENCES, copy_of, load_tiny, make_hub, source_of


@pytest.fixture(scope="module")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hub(tmp_path_factory.mktemp("hub"))


def change_weights(folder: Path, change: Any) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("name", ["tiny/bert", "tiny/gpt2"])
def test_a_text_model_gives_the_hidden_states_of_its_checkpoint(name: str, hub_cache: Path) -> None:
    loaded = load_tiny(name, hub_cache)
    inputs = loaded.tokenizer(SENTENCES, padding=True, return_tensors="pt")
    whole: Any = AutoModelForMaskedLM if "bert" in name else GPT2LMHeadModel
    reference = whole.from_pretrained(loaded.source.folder).base_model.eval()
    with torch.no_grad():
        found = loaded.model(**inputs).last_hidden_state
        expected = reference(**inputs).last_hidden_state
    # The reference runs transformers' default attention, so sums are in another order: 5e-7 seen.
    assert torch.allclose(found, expected, atol=1e-5)
    assert not loaded.model.training
    assert loaded.image_processor is None


def test_padding_is_on_the_right_and_a_tokenizer_without_filler_gets_one(hub_cache: Path) -> None:
    tokenizer = load_tiny("tiny/gpt2", hub_cache).tokenizer
    rows = tokenizer(["the hill", "the cat sat on the mat"], padding=True)
    assert rows["attention_mask"][0][0] == 1
    assert rows["attention_mask"][0][-1] == 0
    assert rows["input_ids"][0][-1] == tokenizer.eos_token_id


def test_a_model_with_two_towers_gets_tokenizer_and_image_processor(hub_cache: Path) -> None:
    loaded = load_tiny("tiny/clip", hub_cache)
    assert loaded.source.modality == "both"
    assert loaded.tokenizer("the cat")["input_ids"]
    assert loaded.image_processor is not None


def test_the_first_checkpoints_names_of_layer_norms_are_understood(
    hub_cache: Path, tmp_path: Path
) -> None:
    folder = copy_of("tiny/bert", hub_cache, tmp_path / "old")
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}

    def rename(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        for new_name, old_name in old.items():
            tensors = {k.replace(new_name, old_name): v for k, v in tensors.items()}
        return tensors

    change_weights(folder, rename)
    assert any("gamma" in name for name in load_file(folder / "model.safetensors"))
    assert load_tiny(str(folder), tmp_path).model.config.num_hidden_layers == 2


def test_a_file_that_changed_after_it_was_found_is_refused(hub_cache: Path, tmp_path: Path) -> None:
    folder = copy_of("tiny/bert", hub_cache, tmp_path / "copy")
    source = source_of(str(folder), hub_cache)
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.safetensors has changed: its sha256 is"):
        load(source, device="cpu", dtype="float32", attention="eager")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"its sha256 is unknown \(.*No such file"):
        load(source, device="cpu", dtype="float32", attention="eager")


def test_a_missing_tensor_is_named_instead_of_made_up(hub_cache: Path, tmp_path: Path) -> None:
    folder = copy_of("tiny/bert", hub_cache, tmp_path / "copy")
    name = "bert.encoder.layer.1.attention.self.key.weight"
    change_weights(folder, lambda tensors: {k: v for k, v in tensors.items() if k != name})
    with pytest.raises(ModelError, match=r"1 weights are missing .*layer\.1.*key\.weight"):
        load_tiny(str(folder), hub_cache)


def test_a_missing_pooler_is_harmless(hub_cache: Path) -> None:
    assert load_tiny("tiny/vit", hub_cache).model.pooler is not None


def test_a_tensor_of_another_shape_is_refused(hub_cache: Path, tmp_path: Path) -> None:
    folder = copy_of("tiny/vit", hub_cache, tmp_path / "copy")
    change_weights(
        folder,
        lambda tensors: {k: v[:16].contiguous() if "query.weight" in k else v
                         for k, v in tensors.items()},
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"could not be loaded|have another shape"):
        load_tiny(str(folder), hub_cache)


@pytest.mark.parametrize("name", ["tiny/bert", "tiny/gpt2", "tiny/vit", "tiny/clip"])
def test_random_weights_behind_a_clean_report_are_found(
    name: str, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = room._read

    def read_and_forget(*arguments: Any) -> tuple[LoadedModel, dict[str, Any]]:
        loaded, information = read(*arguments)
        for name, weight in loaded.model.named_parameters():
            if QUERY_OR_KEY.search(name) and weight.ndim == 2:
                torch.nn.init.normal_(weight)
        return loaded, information

    monkeypatch.setattr(room, "_read", read_and_forget)
    with pytest.raises(ModelError, match="is not among the tensors of the files"):
        load_tiny(name, hub_cache)


class Panic(BaseException):
    """Stands for the panic of a Rust library, which is not an Exception."""


def test_a_panic_of_the_tokenizers_library_becomes_a_model_error(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def panic(*_: Any, **__: Any) -> None:
        raise Panic("index out of bounds")

    monkeypatch.setattr("pipeline.models.AutoTokenizer.from_pretrained", panic)
    with pytest.raises(ModelError, match="could not be loaded: Panic: index out of bounds"):
        load_tiny("tiny/bert", hub_cache)


def test_an_interrupt_while_loading_stays_an_interrupt(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.models.AutoTokenizer.from_pretrained", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_tiny("tiny/bert", hub_cache)


def test_an_unknown_architecture_is_refused(hub_cache: Path, tmp_path: Path) -> None:
    folder = copy_of("tiny/bert", hub_cache, tmp_path / "copy")
    (folder / "config.json").write_text('{"model_type": "no-such-model"}')
    with pytest.raises(ModelError, match=r"could not be loaded: ValueError: .*no-such-model"):
        load_tiny(str(folder), hub_cache)


def test_an_unknown_dtype_is_refused(hub_cache: Path) -> None:
    source = source_of("tiny/bert", hub_cache)
    with pytest.raises(ModelError, match="expected one of float32, bfloat16, float16"):
        load(source, device="cpu", dtype="int8", attention="eager")


def test_half_precision_weights_are_compared_in_half_precision(hub_cache: Path) -> None:
    source = source_of("tiny/bert", hub_cache)
    loaded = load(source, device="cpu", dtype="bfloat16", attention="eager")
    assert loaded.model.dtype == torch.bfloat16


def test_loading_opens_no_connection_and_says_nothing(hub_cache: Path) -> None:
    code = (
        "import socket, sys, hashlib\n"
        "import transformers\n"  # as when another room imports it before this one
        "def refuse(*_, **__): raise SystemExit('a connection was tried')\n"
        "socket.socket.connect = refuse\n"
        "from pathlib import Path\n"
        "from pipeline.catalogue import find_source\n"
        "from pipeline.models import load\n"
        "digest = lambda path: hashlib.sha256(path.read_bytes()).hexdigest()\n"
        "hub = Path(sys.argv[1])\n"
        "source = find_source('tiny/clip', cache=hub, hub_cache=hub, remembered=digest)\n"
        "load(source, device='cpu', dtype='float32', attention='eager')\n"
        "from huggingface_hub import constants\n"
        "assert constants.HF_HUB_OFFLINE\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(hub_cache)],
        cwd=Path(__file__).parents[3],
        env={key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_prepare_does_nothing_for_a_model_that_is_there(hub_cache: Path) -> None:
    told: list[Progress] = []
    prepare("tiny/bert", cache=hub_cache, hub_cache=hub_cache, report=told.append)
    assert told == []


def test_prepare_converts_a_packaged_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Progress] = []
    monkeypatch.setattr("pipeline.catalogue.packaged_path", lambda entry: tmp_path)
    monkeypatch.setattr(room, "convert_smollm2", lambda target: target.mkdir(parents=True))
    prepare("smollm2", cache=tmp_path, hub_cache=tmp_path, report=told.append)
    assert [step.done for step in told] == [0, 1]
    entry = next(entry for entry in read_catalogue() if entry.name == "smollm2")
    assert converted_folder(entry, tmp_path).is_dir()


def test_prepare_says_when_the_hub_cannot_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(ModelError, match=r"gpt2 could not be downloaded from http://127\.0"):
            prepare("gpt2", cache=tmp_path, hub_cache=tmp_path, report=lambda progress: None)
