"""Finds tokens by what they say."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import regex
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.records import TokenTable

MAX_QUERY_CHARACTERS = 200
MAX_TERMS = 5
# All patterns of a search together: nobody waits longer, and no pattern can hold up the others.
PATTERN_S = 0.5
MANNERS = ("word", "prefix", "substring", "regex")
# Terms stand between commas; in quotes they may have commas of their own.
TERM = re.compile(r'\s*(?:"([^"]*)"|([^,]+))\s*(?:,|$)')


@dataclass(frozen=True)
class Found:
    """One searched term and the tokens that say it.

    Parameters
    ----------
    term : as it was read from the query.
    tokens : (n_found,) int64 token numbers, ascending.
    """

    term: str
    tokens: NDArray[np.int64]


def find_tokens(
    tokens: TokenTable, query: str, *, manner: str = "word", labels: Sequence[str] | None = None
) -> list[Found]:
    """Return for each searched term the tokens that say it, in any case.

    Parameters
    ----------
    tokens : of a capture.
    query : terms with commas between them, `","` for a comma; a regular expression is one term as
        a whole, or several with spaces between them. A space in front of a token, which byte-level
        vocabularies have, does not count.
    manner : "word": the whole token; "prefix"; "substring"; "regex".
    labels : of patches, one a token, "" for none: found like the tokens themselves.

    Returns
    -------
    At most five, without repetitions; none for an empty query.

    Raises
    ------
    InputError
        if the query is too long, has too many terms or is no regular expression, or if the
        expression takes too long.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InputError(
            f"search: found {len(query)} characters, expected at most {MAX_QUERY_CHARACTERS}"
        )
    if manner not in MANNERS:
        raise InputError(f"search: found {manner!r}, expected one of {', '.join(MANNERS)}")
    terms = _terms(query, manner)
    if len(terms) > MAX_TERMS:
        raise InputError(f"search: found {len(terms)} terms, expected at most {MAX_TERMS}")
    places: dict[str, list[int]] = {}
    for i, text in enumerate(tokens.token_text):
        places.setdefault(text.strip().casefold(), []).append(i)
    for i, label in enumerate(labels or ()):
        if label:
            places.setdefault(label.strip().casefold(), []).append(i)
    deadline_s = time.monotonic() + PATTERN_S
    found = []
    for term in terms:
        matches = _matcher(term, manner, deadline_s)
        hits = {i for text, rows in places.items() if matches(text) for i in rows}
        found.append(Found(term, np.array(sorted(hits), dtype=np.int64)))
    return found


def _terms(query: str, manner: str) -> list[str]:
    if manner == "regex":
        terms = query.split()
    elif query.strip() == ",":
        terms = [","]
    else:
        terms = [(quoted or plain).strip() for quoted, plain in TERM.findall(query)]
    return [term for term in dict.fromkeys(terms) if term]


def _matcher(term: str, manner: str, deadline_s: float) -> Callable[[str], bool]:
    """Return what tells whether a token, in small letters, says a term."""
    if manner == "regex":
        return _pattern_matcher(term, deadline_s)
    word = term.casefold()
    if manner == "prefix":
        return lambda text: text.startswith(word)
    if manner == "substring":
        return lambda text: word in text
    return lambda text: text == word


def _pattern_matcher(term: str, deadline_s: float) -> Callable[[str], bool]:
    try:
        pattern = regex.compile(term, regex.IGNORECASE)
    except (regex.error, OverflowError, RecursionError, MemoryError) as error:
        raise InputError(
            f"search: {term!r} is no regular expression ({error}); expected one such as ^un.*ed$"
        ) from error

    def matches(text: str) -> bool:
        left_s = deadline_s - time.monotonic()
        try:
            if left_s > 0:
                return pattern.search(text, timeout=left_s) is not None
        except TimeoutError:
            pass
        raise InputError(
            f"search: {term!r} took longer than {PATTERN_S} s; expected a simpler expression"
        )

    return matches
