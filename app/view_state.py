"""What the user is looking at, to and from the query of the address. It alone knows the format.

`assets/50_url.js` writes the same format from the defaults that stand here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import quote, urlencode

from app.theme import PALETTES, SIDES
from pipeline.specs import DEFAULT_GUIDANCE, DIMS, GUIDANCES, METHODS, NORMALISATIONS

# What an atlas may be coloured by; `field_3` is the fourth column of the user's own file.
ENCODINGS = (
    "type", "position", "position_mod_5", "punctuation", "norm", "token_length",
    "sequence_length", "token_frequency", "part_of_speech", "picture", "row", "column", "hue",
    "brightness",
    *(f"field_{i}" for i in range(20)),
)  # fmt: skip
CHOICES: dict[str, tuple[Any, ...]] = {
    "normalisation": NORMALISATIONS,
    "guidance": GUIDANCES,
    "method": METHODS,
    "dims": DIMS,
    "encoding": ENCODINGS,
    "palette": PALETTES,
    "side": SIDES,
}
# A short name, a hub id, or a path without "..": letters, digits and a few signs, no line breaks.
NAME = re.compile(r"(?!.*\.\.)[\w/~.]([\w/~.@+: -]{0,198}[\w/.+-])?")
NUMBER = re.compile("[0-9]{1,7}")
DIGEST = re.compile("[0-9a-f]{64}")

# Of what is no choice: what it looks like, and in words; all others are whole numbers.
FORMS = {
    "model": (NAME, "a name of at most 200 characters"),
    "corpus": (NAME, "a name of at most 200 characters"),
    "selection": (DIGEST, "64 hex digits"),
}


@dataclass(frozen=True)
class ViewState:
    """One view, whole: two people with equal states see the same.

    Parameters
    ----------
    model, corpus : by name, as in a `pipeline.specs.AtlasSpec`.
    normalisation, guidance, method, dims : which maps.
    layer, head : from 0; whether the model has them is known only to who opens its atlas.
    encoding, palette : which colours; see `pipeline.encodings` and `app.theme`.
    sequence : number of the selected sequence in the corpus, or None.
    token : place of the selected token in that sequence, or None.
    side : "query" or "key", the side of the selected token.
    selection : digest of the points that are shown alone, or None for all.
    """

    model: str = "minilm"
    corpus: str = "sentences"
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
    selection: str | None = None


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
            found = str(query[field.name])[:40]
            notices.append(
                f"The address asks for {field.name} {found!r}, expected {error}. "
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
    form, words = FORMS.get(name, (NUMBER, "a whole number"))
    if not isinstance(text, str) or not form.fullmatch(text):
        raise ValueError(words)
    return int(text) if form is NUMBER else text
