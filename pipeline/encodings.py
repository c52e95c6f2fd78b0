"""What the colour of a point can stand for: a value for each token, and words for a legend.

The norm, which differs from head to head, and colours themselves are not here.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.captured import Capture
from pipeline.errors import InputError
from pipeline.parts_of_speech import CLASSES, can_tag, parts_of_speech
from pipeline.patches import angles, brightness, hue, mean_colours

Float64 = NDArray[np.float64]
Values = NDArray[np.float64]

N_CLASSES = 5
MAX_FIELDS = 20
WORD_KINDS = ("word", "number", "punctuation", "special token")
TEXT = {
    "type": ("query or key", "type"),
    "position": ("position in the sequence", "sequential"),
    "position_mod_5": ("position modulo 5", "discrete"),
    "punctuation": ("punctuation", "discrete"),
    "norm": ("norm of the vector", "sequential"),
    "token_length": ("token length", "sequential"),
    "sequence_length": ("sequence length", "sequential"),
    "token_frequency": ("token frequency", "sequential"),
    "part_of_speech": ("part of speech", "discrete"),
}
IMAGE = {
    "type": ("query or key", "type"),
    "picture": ("colour of the patch", "picture"),
    "row": ("row", "sequential"),
    "column": ("column", "sequential"),
    "hue": ("mean hue of the patch", "cyclic"),
    "brightness": ("mean brightness of the patch", "sequential"),
    "angle": ("angle of the pattern in the patch", "cyclic"),
    "norm": ("norm of the vector", "sequential"),
}
# Of a decoder that is shown images, whose sequences also hold text.
IMAGE_TEXT = {
    "type": IMAGE["type"],
    "token_kind": ("patch or word", "discrete"),
    "position": TEXT["position"],
} | IMAGE
MIDDLE_GREY = 4 * 32 + 4 * 4 + 2  # of what has no colour: no hole in the map, dark or light
TOKEN_KINDS = ("patch", "word", "special token")


@dataclass(frozen=True)
class Encoding:
    """What one colouring says of every token.

    Parameters
    ----------
    ramp : "sequential" or "cyclic": values 0 .. 1; "discrete": class numbers 0 .. 4; "picture":
        256 colours, three bits of red, three of green, two of blue; "type": no values.
    values : (n_tokens,) float64; NaN where a token has none.
    legend : sequential: words for the least, the middle and the greatest; cyclic: for the start of
        each sixth; discrete: for each class; else empty.
    """

    ramp: str
    values: Values
    legend: tuple[str, ...] = ()


def list_encodings(capture: Capture) -> dict[str, tuple[str, str]]:
    """Return name -> (words, ramp) of all encodings that a capture has, in order of the menu."""
    known = TEXT
    if capture.tokens.grid:
        has_words = bool(((capture.tokens.row < 0) & ~capture.tokens.is_special).any())
        known = IMAGE_TEXT if has_words else IMAGE
    if not can_tag():
        known = {name: meaning for name, meaning in known.items() if name != "part_of_speech"}
    fields = list(_fields(capture))[:MAX_FIELDS]
    return known | {
        f"field_{i}": (name, _field_ramp(_fields(capture)[name])) for i, name in enumerate(fields)
    }


def encode(capture: Capture, name: str) -> Encoding:
    """Return the values of one encoding, except of "norm".

    Raises
    ------
    InputError
        if the capture has no such encoding.
    """
    if name == "norm" or name not in list_encodings(capture):
        known = ", ".join(n for n in list_encodings(capture) if n != "norm")
        raise InputError(f"encoding: found {name!r}, expected one of {known}")
    if name == "type":
        return Encoding("type", np.zeros(capture.n_tokens))
    if name.startswith("field_"):
        return _field(capture, int(name.removeprefix("field_")))
    if name in ("picture", "hue", "brightness", "angle"):
        return _patch_colours(capture, name)
    found: Encoding = _MAKERS[name](capture)
    return found


def _position(capture: Capture) -> Encoding:
    tokens = capture.tokens
    last = np.diff(tokens.sequence_offset)[tokens.sequence_index] - 1
    share = tokens.token_index / np.maximum(last, 1)
    return Encoding("sequential", share, ("first", "half way", "last of its sequence"))


def _token_kind(capture: Capture) -> Encoding:
    tokens = capture.tokens
    kinds = np.where(tokens.row >= 0, 0.0, np.where(tokens.is_special, 2.0, 1.0))
    return Encoding("discrete", kinds, TOKEN_KINDS)


def _position_mod_5(capture: Capture) -> Encoding:
    words = tuple(f"position {i}, {i + 5}, {i + 10}, …" for i in range(N_CLASSES))
    return Encoding("discrete", (capture.tokens.token_index % N_CLASSES).astype(np.float64), words)


def _punctuation(capture: Capture) -> Encoding:
    tokens = capture.tokens
    kinds = {text: _word_kind(text) for text in set(tokens.token_text)}
    values = np.array([kinds[text] for text in tokens.token_text], dtype=np.float64)
    values[tokens.is_special] = WORD_KINDS.index("special token")
    return Encoding("discrete", values, WORD_KINDS)


def _word_kind(text: str) -> int:
    letters = bare(text)
    classes = {unicodedata.category(letter)[0] for letter in letters}
    if classes and classes <= {"P", "S"}:
        return WORD_KINDS.index("punctuation")
    return WORD_KINDS.index("number" if classes == {"N"} else "word")


def is_punctuation(text: str) -> bool:
    """Tell whether a token consists of punctuation marks and symbols alone."""
    return WORD_KINDS[_word_kind(text)] == "punctuation"


def bare(text: str) -> str:
    """Return a token without the space or the `##` that says where it stands in a word."""
    stripped = text.strip()
    return stripped[2:] if stripped.startswith("##") and len(stripped) > 2 else stripped


def _token_length(capture: Capture) -> Encoding:
    lengths = np.array([len(bare(text)) for text in capture.tokens.token_text], dtype=np.float64)
    return _amounts(lengths, "character")


def _sequence_length(capture: Capture) -> Encoding:
    lengths = np.diff(capture.tokens.sequence_offset).astype(np.float64)
    return _amounts(lengths[capture.tokens.sequence_index], "token")


def _token_frequency(capture: Capture) -> Encoding:
    words = [text.strip().casefold() for text in capture.tokens.token_text]
    counts = Counter(words)
    often = np.log([counts[word] for word in words])
    most = float(often.max())
    middle = round(float(np.exp(most / 2)))
    amounts = (1, middle, round(float(np.exp(most))))
    times = tuple(f"{n:,} time{'' if n == 1 else 's'}" for n in amounts)
    return Encoding("sequential", often / (most or 1.0), times)


def _part_of_speech(capture: Capture) -> Encoding:
    return Encoding("discrete", parts_of_speech(capture.tokens).astype(np.float64), CLASSES)


def _row(capture: Capture) -> Encoding:
    return _place(capture, capture.tokens.row, 0, "row")


def _column(capture: Capture) -> Encoding:
    return _place(capture, capture.tokens.column, 1, "column")


def _place(capture: Capture, place: NDArray[np.int64], axis: int, word: str) -> Encoding:
    last = (capture.tokens.grid or (1, 1))[axis] - 1
    share = np.where(place >= 0, place / max(last, 1), np.nan)
    return Encoding("sequential", share, (f"{word} 0", f"{word} {last / 2:g}", f"{word} {last}"))


def _patch_colours(capture: Capture, name: str) -> Encoding:
    """Return what the pixels of patches show; special tokens have none."""
    if name == "angle":
        turns = ("0°, upright", "30°", "60°", "90°, level", "120°", "150°")
        return Encoding("cyclic", angles(capture), turns)
    colours = mean_colours(capture)
    if name == "picture":
        red, green, blue = (np.rint(colours.T * np.array([[7], [7], [3]]))).astype(np.float64)
        values = red * 32 + green * 4 + blue
        return Encoding("picture", np.where(np.isnan(values), MIDDLE_GREY, values))
    if name == "brightness":
        words = ("black", "middle grey", "white")
        return Encoding("sequential", brightness(colours), words)
    return Encoding("cyclic", hue(colours), ("red", "yellow", "green", "cyan", "blue", "magenta"))


def _fields(capture: Capture) -> dict[str, list[str | float]]:
    """Return the columns of the user's file, one value a sequence."""
    found: dict[str, list[str | float]] = capture.record["corpus"].get("columns", {})
    return found


def _field_ramp(column: list[str | float]) -> str:
    return "discrete" if any(isinstance(value, str) for value in column) else "sequential"


def _field(capture: Capture, number: int) -> Encoding:
    column = list(_fields(capture).values())[number]
    of_token = capture.tokens.sequence_index
    if _field_ramp(column) == "sequential":
        return _amounts(np.array(column, dtype=np.float64)[of_token], "")
    common = [value for value, _ in Counter(map(str, column)).most_common()]
    shown = common[:N_CLASSES] if len(common) <= N_CLASSES else common[: N_CLASSES - 1]
    place = {value: i for i, value in enumerate(shown)}
    classes = np.array([place.get(str(value), N_CLASSES - 1) for value in column], dtype=np.float64)
    words = (*shown, "all others") if len(common) > N_CLASSES else tuple(shown)
    return Encoding("discrete", classes[of_token], words)


def _amounts(values: Float64, unit: str) -> Encoding:
    """Spread amounts from the least to the 99.5th percentile, so that no outlier hides the rest."""
    least, most = float(np.nanmin(values)), float(np.nanpercentile(values, 99.5))
    share = np.clip((values - least) / ((most - least) or 1.0), 0, 1)
    share[np.isnan(values)] = np.nan
    words = [f"{x:,.4g} {unit}{'s' if unit and x != 1 else ''}".strip()
             for x in (least, (least + most) / 2, most)]  # fmt: skip
    if np.nanmax(values) > most:
        words[-1] += " or more"
    return Encoding("sequential", share, tuple(words))


_MAKERS = {
    "position": _position, "position_mod_5": _position_mod_5, "punctuation": _punctuation,
    "token_length": _token_length, "sequence_length": _sequence_length,
    "token_frequency": _token_frequency, "part_of_speech": _part_of_speech, "row": _row,
    "column": _column, "token_kind": _token_kind,
}  # fmt: skip
