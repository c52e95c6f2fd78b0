"""Finds tokens by what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.records import TokenTable

MAX_QUERY_CHARACTERS = 200


def find_tokens(tokens: TokenTable, query: str) -> NDArray[np.int64]:
    """Return the tokens that say one of the searched words, as a whole and in any case.

    Parameters
    ----------
    tokens : of a capture.
    query : one word, or several with commas between them; a space in front of a token, which
        byte-level vocabularies have, does not count.

    Returns
    -------
    (n_found,) int64 token numbers, ascending; empty for an empty query.

    Raises
    ------
    InputError
        if the query is too long.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InputError(
            f"search: found {len(query)} characters, expected at most {MAX_QUERY_CHARACTERS}"
        )
    words = {word.strip().casefold() for word in query.split(",")} - {""}
    found = [i for i, text in enumerate(tokens.token_text) if text.strip().casefold() in words]
    return np.array(found, dtype=np.int64)
