"""What is read back from a real small atlas."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pipeline.atlas import read_atlas
from pipeline.captured import STRONG, Capture
from pipeline.store import Store


@pytest.fixture(scope="module")
def capture(tiny_store: Store, tiny_atlas: dict[str, Any]) -> Capture:
    return read_atlas(tiny_store, tiny_atlas["atlas"]).capture


def test_strong_pairs_are_all_pairs_above_the_threshold(capture: Capture) -> None:
    query, key, weights = capture.strong_pairs(1, 2)
    offset = capture.tokens.sequence_offset
    table = np.zeros((capture.n_tokens, capture.n_tokens), dtype=np.float32)
    for sequence, (start, end) in enumerate(pairwise(offset)):
        table[start:end, start:end] = capture.attention(sequence, 1, 2)
    assert query.size > capture.n_tokens
    assert np.array_equal(table[query, key], weights)
    assert query.size == (table > STRONG).sum()
