"""Search for tokens."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.records import TokenTable
from pipeline.search import find_tokens


@pytest.fixture
def tokens() -> TokenTable:
    text = ("[CLS]", "May", " may", "##may", "maybe", "june")
    n = len(text)
    zeros = np.zeros(n, dtype=np.int64)
    return TokenTable(
        text, zeros, zeros, np.arange(n), zeros, np.zeros(n, dtype=bool), zeros - 1, zeros - 1
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("may", [1, 2]),
        (" MAY ", [1, 2]),
        ("june, may", [1, 2, 5]),
        ("[cls]", [0]),
        ("##may", [3]),
        ("ma", []),
        ("", []),
        (" , ", []),
    ],
)
def test_whole_tokens_match_in_any_case(tokens, query, expected):
    assert find_tokens(tokens, query).tolist() == expected


def test_a_long_query_is_refused(tokens):
    with pytest.raises(InputError, match="at most 200"):
        find_tokens(tokens, "a" * 201)
