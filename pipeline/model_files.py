"""Which files of a model folder are read, and the checks they pass first. No torch, no network."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import ModelError

Modality = Literal["text", "image", "both"]

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
IMAGE_FILES = ("preprocessor_config.json", "processor_config.json")
VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model",
                "sentencepiece.bpe.model", "source.spm")  # fmt: skip
TOKENIZER_FILES = (*VOCABULARIES, "tokenizer_config.json", "special_tokens_map.json",
                   "added_tokens.json", "merges.txt", "target.spm")  # fmt: skip
# These run code from the folder, or a name they give, while a model is loaded
# (CVE-2026-4372, CVE-2026-5241); nothing that QK Atlas can show needs them.
CODE_KEYS = ("auto_map", "trust_remote_code", "custom_pipelines", "_attn_implementation_internal")
# Bits of one value; a safetensors file may name other types, whose length is then not checked.
BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16,
        "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64}  # fmt: skip
LONGEST_HEADER = 100_000_000  # bytes, the limit of the safetensors format


@dataclass(frozen=True)
class FolderContents:
    """What a checked model folder holds.

    Parameters
    ----------
    modality : what the model takes in; "both" where it has a text and a vision tower.
    weights : config.json and the weight files.
    preprocessing : files of the tokenizer or of the image processor.
    """

    modality: Modality
    weights: tuple[Path, ...]
    preprocessing: tuple[Path, ...]


def inspect_folder(folder: Path) -> FolderContents:
    """Check a model folder without loading it.

    Raises
    ------
    ModelError
        for a missing or unreadable config.json, a setting that would run code, weights other than
        safetensors, a missing shard, a truncated or rotten safetensors file, or a folder without
        tokenizer (text) or image processor settings (images).
    """
    config = _read_json(folder / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise ModelError(
            f"{folder}/config.json has no `model_type`; expected the name of an architecture that "
            "transformers knows; this is not a transformers model"
        )
    modality = _modality(config)
    weights = weight_files(folder)
    for path in weights:
        if path.suffix == ".safetensors":
            check_safetensors(path)
    preprocessing = _preprocessing_files(folder, modality)
    for path in preprocessing:
        if path.suffix == ".json" and path.name.endswith("_config.json"):
            _read_json(path)
    return FolderContents(modality, (folder / "config.json", *weights), preprocessing)


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the files that hold the weights: one, or an index and all its shards.

    Raises
    ------
    ModelError
        if there are none, if a shard is missing, or if there are only pickled weights.
    """
    if (folder / SINGLE).is_file():
        return (folder / SINGLE,)
    if (folder / INDEX).is_file():
        return (folder / INDEX, *_shards(folder))
    others = sorted(p.name for s in (".bin", ".pt", ".pth", ".pkl", ".h5", ".msgpack")
                    for p in folder.glob(f"*{s}"))  # fmt: skip
    found = ", ".join(others) or "no weights"
    raise ModelError(
        f"{folder} has {found}; expected {SINGLE}, or shards with {INDEX}. Other formats can run "
        "code when they are read and are never opened: convert the weights to safetensors first"
    )


def check_safetensors(path: Path) -> None:
    """Check that the header of a safetensors file is whole and describes exactly the file's bytes.

    A flipped bit inside the weights is not seen here; the digest of the whole file finds it.

    Raises
    ------
    ModelError
        naming the file and what is wrong with it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size - 8, LONGEST_HEADER):
            raise _damaged(path, f"{size} bytes cannot hold its header")
        text = file.read(length)
    try:
        header = json.loads(text)
        rows = [row for name, row in header.items() if name != "__metadata__"]
        spans = sorted((first, last) for first, last in (row["data_offsets"] for row in rows))
        sound = all(_length_fits(row) for row in rows)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, "its header is not readable") from error
    end = 0
    for first, last in spans:
        sound, end = sound and first == end <= last, last
    if not sound:
        raise _damaged(path, "its header places tensors where they cannot be")
    if end != size - 8 - length:
        raise _damaged(path, f"its tensors need {8 + length + end} bytes, found {size}")


def _length_fits(row: dict[str, Any]) -> bool:
    """Tell whether a tensor of this shape and type fills its place exactly."""
    first, last = row["data_offsets"]
    bits = BITS.get(row["dtype"])
    return bits is None or math.prod(row["shape"]) * bits == (last - first) * 8


def _damaged(path: Path, reason: str) -> ModelError:
    return ModelError(f"{path} is truncated or damaged: {reason}; copy or download it again")


def _shards(folder: Path) -> Iterator[Path]:
    """List the shards that the index names, each once."""
    names = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise _damaged(folder / INDEX, "it has no `weight_map`")
    for name in sorted({str(name) for name in names.values()}):
        if not SHARD.fullmatch(name):
            raise ModelError(f"{folder}/{INDEX} names {name!r}; expected model-1-of-2.safetensors")
        if not (folder / name).is_file():
            raise ModelError(f"{folder} lacks {name}, which {INDEX} names; download it again")
        yield folder / name


def _preprocessing_files(folder: Path, modality: Modality) -> tuple[Path, ...]:
    """Return the tokenizer and image processor files, as far as this modality reads them."""
    wanted: list[str] = []
    for kind, needed, names in (("text", VOCABULARIES, TOKENIZER_FILES),
                                ("image", IMAGE_FILES, IMAGE_FILES)):  # fmt: skip
        if modality not in (kind, "both"):
            continue
        if not any((folder / name).is_file() for name in needed):
            raise ModelError(
                f"{folder} is a model for {kind}s and has none of {', '.join(needed)}; "
                "copy them from where the model was published"
            )
        wanted += names
    return tuple(folder / name for name in wanted if (folder / name).is_file())


def _modality(config: dict[str, Any]) -> Modality:
    """Tell from its configuration what a model takes in."""
    if {"text_config", "vision_config"} <= config.keys():
        return "both"
    return "image" if {"image_size", "patch_size", "num_channels"} & config.keys() else "text"


def _read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object in which nothing asks for code to be run."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{path.parent} has no {path.name}; expected a folder as transformers saves it: "
            "config.json, model.safetensors and tokenizer or preprocessor files"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, "it is not readable JSON") from error
    if not isinstance(value, dict):
        raise _damaged(path, "it is not a JSON object")
    _refuse_code(value, path)
    return value


def _refuse_code(config: dict[str, Any], path: Path) -> None:
    """Raise for a setting that would run code, however deep it is nested."""
    pending: list[Any] = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
            for key in CODE_KEYS:
                if value.get(key):
                    raise ModelError(
                        f"{path} sets `{key}`, which makes transformers run code that comes with "
                        "the model; QK Atlas never does; expected a model of transformers itself"
                    )
