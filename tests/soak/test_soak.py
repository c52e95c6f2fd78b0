"""Each part of the soak with a small count: every target must be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.__main__ import PARTS, run
from tests.soak.common import make_place


@pytest.mark.parametrize("name", [name for name, (_, _, count) in PARTS.items() if count])
def test_a_small_soak_reaches_every_target(name: str, tmp_path: Path, hub_cache: Path) -> None:
    part, _, count = PARTS[name]
    figures = run(part, make_place(tmp_path, hub_cache=hub_cache), count)
    assert figures
    assert [figure for figure in figures if not figure.reached] == []
