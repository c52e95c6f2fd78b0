"""What each colouring says of every token, in words: for the card of a point."""

from __future__ import annotations

from collections import Counter

import numpy as np

from pipeline.captured import Capture
from pipeline.encodings import bare, encode

HUES = ("red", "yellow", "green", "cyan", "blue", "magenta")


def encoding_words(capture: Capture, name: str) -> list[str]:
    """Return (n_tokens,) words, "" where a token has no value or the card says it anyway.

    Raises
    ------
    InputError
        if the capture has no such encoding.
    """
    encoding = encode(capture, name)
    tokens = capture.tokens
    if name.startswith("field_"):
        fields = list(capture.record["corpus"]["columns"].values())
        column = [_plain(value) for value in fields[int(name.removeprefix("field_"))]]
        return [column[sequence] for sequence in tokens.sequence_index]
    if encoding.ramp == "discrete" and name != "position_mod_5":
        return [encoding.legend[int(value)] for value in encoding.values]
    if name == "token_length":
        return [_count(len(bare(text)), "character") for text in tokens.token_text]
    if name == "sequence_length":
        lengths = np.diff(tokens.sequence_offset)
        return [_count(int(lengths[sequence]), "token") for sequence in tokens.sequence_index]
    if name == "token_frequency":
        words = [text.strip().casefold() for text in tokens.token_text]
        counts = Counter(words)
        return [_count(counts[word], "time") for word in words]
    if name == "brightness":
        return ["" if np.isnan(value) else f"{value:.0%}" for value in encoding.values]
    if name == "angle":
        return ["" if np.isnan(v) else f"{float(v) * 180:.0f}°" for v in encoding.values]
    if name == "hue":
        return ["" if np.isnan(v) else HUES[round(float(v) * 6) % 6] for v in encoding.values]
    return [""] * tokens.n_tokens


def _count(n: int, unit: str) -> str:
    return f"{n:,} {unit}{'' if n == 1 else 's'}"


def _plain(value: str | float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
