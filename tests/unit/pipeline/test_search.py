"""Search for tokens."""

from __future__ import annotations

from dataclasses import replace

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
    assert tokens_of(find_tokens(tokens, query)) == expected


def tokens_of(found):
    return sorted(i for one in found for i in one.tokens.tolist())


@pytest.mark.parametrize(
    ("manner", "query", "expected"),
    [
        ("prefix", "MAY", [1, 2, 4]),
        ("substring", "may", [1, 2, 3, 4]),
        ("regex", "^##|e$", [3, 4, 5]),
        ("regex", "^m.{2}$", [1, 2]),
        ("regex", "^ju ^.cls", [0, 5]),
    ],
)
def test_manners_of_search(tokens, manner, query, expected):
    assert tokens_of(find_tokens(tokens, query, manner=manner)) == expected


def test_each_term_has_its_own_tokens(tokens):
    found = find_tokens(tokens, 'june, may, june, "a, b"')
    assert [(one.term, one.tokens.tolist()) for one in found] == [
        ("june", [5]),
        ("may", [1, 2]),
        ("a, b", []),
    ]


def test_a_comma_can_be_found(tokens):
    text = (",", *tokens.token_text[1:])
    tokens = replace(tokens, token_text=text)
    assert tokens_of(find_tokens(tokens, ",")) == [0]
    assert tokens_of(find_tokens(tokens, '",", june')) == [0, 5]


def test_a_pattern_that_never_ends_is_stopped(tokens):
    tokens = replace(tokens, token_text=("a" * 40 + "!", *tokens.token_text[1:]))
    with pytest.raises(InputError, match=r"longer than 0\.5 s"):
        find_tokens(tokens, "^(a|aa)+$", manner="regex")


@pytest.mark.parametrize(
    ("query", "manner", "words"),
    [
        ("(", "regex", "no regular expression"),
        ("a,b,c,d,e,f", "word", "at most 5"),
        ("a", "fuzzy", "word, prefix, substring, regex"),
    ],
)
def test_what_cannot_be_searched_is_refused(tokens, query, manner, words):
    with pytest.raises(InputError, match=words):
        find_tokens(tokens, query, manner=manner)


def test_a_long_query_is_refused(tokens):
    with pytest.raises(InputError, match="at most 200"):
        find_tokens(tokens, "a" * 201)
