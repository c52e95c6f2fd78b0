"""What somebody types, drops or edits, checked and named. Reads and writes no model, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import InputError
from pipeline.objects import ObjectRef
from pipeline.specs import PARTS, ROTARY, SCHEMA, STAGE_VERSIONS, digest, major

MAX_CHARACTERS = 20_000
MAX_IMAGE_BYTES = 8 * 2**20
MAX_EDITS = 1_000
LABEL = "live input"
# How a file that was dropped is kept until the worker has looked at it, whatever it is.
UPLOAD = ".upload"
TEXT = ".json"

Edit = tuple[int, str | None]


@dataclass(frozen=True)
class LiveText:
    """A text that was typed, or two of them, with tokens that were masked or replaced.

    Parameters
    ----------
    text, pair : the first and the second text; of an encoder-decoder model source and target.
    edits : (position, replacement) of tokens of the sequence; None for a masked one. Each is
        replaced by exactly one token, so that all others keep their positions.

    Raises
    ------
    InputError
        for no text, too long a text, or edits that are none.
    """

    text: str
    pair: str | None = None
    edits: tuple[Edit, ...] = ()

    def __post_init__(self) -> None:
        for name, text in (("text", self.text), ("second text", self.pair or "")):
            if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
                found = f"{len(text):,} characters" if isinstance(text, str) else repr(type(text))
                raise InputError(
                    f"{name}: found {found}, expected at most {MAX_CHARACTERS:,}; shorten it"
                )
        if not self.text.strip():
            raise InputError("text: found none; type a sentence first")
        if len(self.edits) > MAX_EDITS:
            raise InputError(f"edits: found {len(self.edits)}, expected at most {MAX_EDITS}")
        for edit in self.edits:
            _check_edit(edit)
        positions = [position for position, _ in self.edits]
        if len(set(positions)) < len(positions):
            raise InputError("edits: a token is edited twice; expected each position once")

    def to_bytes(self) -> bytes:
        """Return the document by whose content the input is named."""
        # A lone half of a surrogate pair, which a page may send, cannot be written as UTF-8.
        edits = [[place, word and _clean(word)] for place, word in sorted(self.edits)]
        row = {"text": _clean(self.text), "pair": self.pair and _clean(self.pair), "edits": edits}
        return json.dumps(row, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> LiveText:
        """Read what `to_bytes` wrote."""
        row = json.loads(data)
        edits = tuple((place, word) for place, word in row["edits"])
        return cls(row["text"], row["pair"] or None, edits)


@dataclass(frozen=True)
class LiveSpec:
    """One input for one model, as the queue holds it: no text of anybody's is in it.

    Parameters
    ----------
    model : name, hub id or folder.
    input : the stored document of a `LiveText`, or a file that was dropped.
    part, rotary : as in `pipeline.specs.AtlasSpec`.
    compared : capture of the input without its edits; None where there are none.
    """

    model: str
    input: ObjectRef
    part: str | None = None
    rotary: str = ROTARY[0]
    compared: str | None = None

    def __post_init__(self) -> None:
        if self.part not in (None, "self", *PARTS):
            raise InputError(f"part: found {self.part!r}, expected one of {', '.join(PARTS)}")

    @property
    def is_image(self) -> bool:
        """Whether the input is a picture."""
        return self.input.suffix == UPLOAD

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "model": self.model, "input": self.input.to_json(), "part": self.part,
            "rotary": self.rotary, "compared": self.compared,
        }  # fmt: skip

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> LiveSpec:
        """Read what `to_json` wrote."""
        return cls(**{**row, "input": ObjectRef.from_json(row["input"])})


def live_key(spec: LiveSpec, files: Mapping[str, str]) -> str:
    """Name what is known of an input: which capture answers it.

    Parameters
    ----------
    files : name -> sha256 of every file of the model.
    """
    return digest({
        "schema": SCHEMA,
        "stage": "live",
        "version": STAGE_VERSIONS["capture"],
        "files": dict(files),
        "input": spec.input.sha256,
        "part": spec.part if spec.part not in ("self", PARTS[0]) else None,
        "rotary": spec.rotary,
        "libraries": {name: major(name) for name in ("torch", "transformers")},
    })  # fmt: skip


def _check_edit(edit: Sequence[Any]) -> None:
    is_pair = isinstance(edit, tuple) and len(edit) == 2
    if not is_pair or type(edit[0]) is not int or edit[0] < 0:
        raise InputError(
            f"edit: found {edit!r}, expected a position and a word, or None for a mask"
        )
    word = edit[1]
    if word is not None and not (isinstance(word, str) and 0 < len(word) <= 100):
        raise InputError(f"token {edit[0]}: expected a replacement of 1 to 100 characters")


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
