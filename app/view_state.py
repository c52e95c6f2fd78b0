"""What the user is looking at, to and from the query of the address. It alone knows the format.

`assets/50_url.js` writes the same format from the defaults that stand here.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import quote, urlencode

from app.theme import PALETTES, SIDES
from pipeline.specs import (
    DEFAULT_GUIDANCE,
    DIMS,
    GUIDANCES,
    METHODS,
    NORMALISATIONS,
    PARTS,
    ROTARY,
)

# What an atlas may be coloured by; `field_3` is the fourth column of the user's own file.
ENCODINGS = (
    "type", "position", "position_mod_5", "punctuation", "norm", "token_length",
    "sequence_length", "token_frequency", "part_of_speech", "picture", "row", "column", "hue",
    "brightness", "angle", "label", "token_kind",
    *(f"field_{i}" for i in range(20)),
)  # fmt: skip
CHOICES: dict[str, tuple[Any, ...]] = {
    "part": PARTS,
    "normalisation": NORMALISATIONS,
    "guidance": GUIDANCES,
    "method": METHODS,
    "dims": DIMS,
    "encoding": ENCODINGS,
    "palette": PALETTES,
    "side": SIDES,
    "pairs": ("all", "aa", "bb", "ab", "ba"),
    "sort": ("grid", "entropy", "distance", "previous", "next", "same", "first", "strongest"),
    "drawn": ("lines", "squares"),
    "dimensions": ("index", "pair", "overall"),
    "rotary": ROTARY,
    "image_mode": ("patch", "strongest", "flows"),
    "image_contrast": ("off", "on"),
}
SHARE = re.compile(r"0\.[0-9]{1,2}")
SHARES = {"image_least": (0.02, 0.9)}  # from, to
# Numbers and ranges of layers or heads: "0-3,7"; layers with some of their heads: "5:0-2,7;8".
_RANGES = "[0-9]{1,3}(-[0-9]{1,3})?(,[0-9]{1,3}(-[0-9]{1,3})?){0,19}"
RANGES = re.compile(_RANGES)
PINS = re.compile(f"[0-9]{{1,3}}(:{_RANGES})?(;[0-9]{{1,3}}(:{_RANGES})?){{0,2}}")
# A short name, a hub id, or a path without "..": letters, digits and a few signs, no line breaks.
NAME = re.compile(r"(?!.*\.\.)[\w/~.]([\w/~.@+: -]{0,198}[\w/.+-])?")
NUMBER = re.compile("[0-9]{1,7}")
DIGEST = re.compile("[0-9a-f]{64}")
# Fields that stay text: what they look like, also in words.
PATTERNS = {
    **dict.fromkeys(("model", "corpus"), (NAME, "a name of at most 200 characters")),
    **dict.fromkeys(("layers", "heads"), (RANGES, "numbers and ranges such as 0-3,7")),
    "live": (DIGEST, "the 64 hex digits of a live input"),
    "pinned": (PINS, "layers with their heads such as 5:0-2;8"),
    "selection": (DIGEST, "the 64 hex digits of a selection"),
}

# Fields that only the inspect pages have.
INSPECT_FIELDS = (
    "layers", "heads", "pinned", "pairs", "sort", "drawn", "dimensions", "rotary", "compare",
)  # fmt: skip


@dataclass(frozen=True)
class ViewState:
    """One view, whole: two people with equal states see the same.

    Parameters
    ----------
    model, corpus : by name, as in a `pipeline.specs.AtlasSpec`.
    part : of an encoder-decoder model; other models have one, and it is ignored.
    normalisation, guidance, method, dims : which maps.
    layer, head : from 0; whether the model has them is known only to who opens its atlas.
    encoding, palette : which colours; see `pipeline.encodings` and `app.theme`.
    sequence : number of the selected sequence in the corpus, or None.
    token : place of the selected token in that sequence, or None.
    side : "query" or "key", the side of the selected token.
    layers, heads : which are shown, as ranges such as "0-3,7"; empty for all.
    pinned : further layers beside that of the head view, with their heads: "5:0-2,7;8".
    pairs : segments of a pair whose attention is shown: "ab" from the first to the second.
    sort, drawn : order of the model view's thumbnails, and what they are.
    dimensions, rotary : order of the neuron view's dimensions, and which vectors it shows.
    compare : place of the query that the neuron view compares with, or None.
    live : capture of a live input, or None; what was typed is never in an address.
    selection : digest of the points that are shown alone, or None for all.
    image_mode : of the image beside a map: heat of one patch, strongest keys, or all flows.
    image_least, image_contrast : least weight of all flows; whether heat is divided by its largest.
    """

    model: str = "minilm"
    corpus: str = "sentences"
    part: str = PARTS[0]
    normalisation: str = "faithful"
    guidance: float = DEFAULT_GUIDANCE
    method: str = "tsne"
    dims: int = 2
    layer: int = 0
    head: int = 0
    encoding: str = "type"
    palette: str = "default"
    sequence: int | None = None
    token: int | None = None
    side: str = "query"
    layers: str = ""
    heads: str = ""
    pinned: str = ""
    pairs: str = "all"
    sort: str = "grid"
    drawn: str = "lines"
    dimensions: str = "index"
    rotary: str = "after"
    compare: int | None = None
    live: str | None = None
    selection: str | None = None
    image_mode: str = "patch"
    image_least: float = 0.1
    image_contrast: str = "off"


def parse(query: Mapping[str, Any]) -> tuple[ViewState, list[str]]:
    """Read a view from the query of an address, whatever it holds.

    Parameters
    ----------
    query : name -> text, as Dash gives it to a layout (a list of texts where a name comes twice).
        Names that are not fields of `ViewState` are ignored.

    Returns
    -------
    The view, with the default for each value that cannot be used, and a sentence for each of these.
    """
    values: dict[str, Any] = {}
    notices = []
    for field in fields(ViewState):
        if field.name not in query:
            continue
        try:
            values[field.name] = _read(field.name, query[field.name])
        except ValueError as error:
            # Cut after quoting: one character can take ten, as in \U0001da8c.
            found = reprlib.repr(str(query[field.name]))
            notices.append(
                f"The address asks for {field.name} {found}, expected {error}. "
                f"Shown instead: {'none' if field.default is None else field.default}."
            )
    if values.get("token") is not None and values.get("sequence") is None:
        del values["token"]
        notices.append("The address names a token without its sequence. No token is selected.")
    return ViewState(**values), notices


def to_query(state: ViewState) -> str:
    """Return the query of an address, without "?": what differs from the defaults, in their order.

    A name that `parse` refuses is written too; opening the link then says so.
    """
    changed = {
        field.name: _write(getattr(state, field.name))
        for field in fields(state)
        if getattr(state, field.name) != field.default
    }
    return urlencode(changed, quote_via=quote, safe="/")


def _write(value: object) -> str:
    """Return a value as scripts write it: 0, not 0.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read(name: str, text: object) -> str | int | float:
    """Return the value of a field from its text; ValueError says what would be a value."""
    if name in CHOICES:
        for choice in CHOICES[name]:
            if text == _write(choice):
                return choice  # type: ignore[no-any-return]
        raise ValueError(f"one of {', '.join(map(_write, CHOICES[name]))}")
    if name in PATTERNS:
        pattern, words = PATTERNS[name]
        if not isinstance(text, str) or not pattern.fullmatch(text):
            raise ValueError(words)
        return text
    if name in SHARES:
        least, most = SHARES[name]
        if isinstance(text, str) and SHARE.fullmatch(text) and least <= float(text) <= most:
            return float(text)
        raise ValueError(f"a number from {least:g} to {most:g} such as 0.25")
    if not isinstance(text, str) or not NUMBER.fullmatch(text):
        raise ValueError("a whole number")
    return int(text)
