"""No page keeps anybody out: axe-core finds nothing serious, in any state that lasts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import wait_for

pytestmark = pytest.mark.browser
MATRIX, HEAD, SENTENCE = "matrix-view", "head-view", "sentence-view"
DINO = "model=dinov2s&corpus=gradients"
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
NewPage = Callable[..., Page]


def serious_barriers(page: Page) -> dict[str, list[str]]:
    """Return what axe-core finds serious: rule -> the first elements."""
    assert AXE.exists(), "axe-core is missing: run `npm ci` in the repository"
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    return {
        one["id"]: [node["html"][:120] for node in one["nodes"]][:3]
        for one in found
        if one["impact"] in ("serious", "critical")
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", [
    "/?method=pca", "/head?layer=2&head=4&method=pca&sequence=1&token=2", "/build", "/about",
    f"/head?{DINO}&method=pca&sequence=0&token=9",
])  # fmt: skip
def test_no_page_has_a_serious_barrier(new_page: NewPage, path: str, theme: str) -> None:
    page = new_page(path, color_scheme=theme)
    expect(page.locator("h1:visible").first).to_be_attached()  # other pages' stand there hidden
    if path.startswith(("/?", "/head")):
        wait_for(page, MATRIX if path.startswith("/?") else HEAD, state="ready")
    assert serious_barriers(page) == {}


def test_a_sentence_whose_attention_still_loads_has_no_serious_barrier(new_page: NewPage) -> None:
    page = new_page("/", color_scheme="dark")
    page.route("**/attention/**", lambda _: None)  # never answered
    page.goto(page.url + "head?layer=2&head=4&method=pca&sequence=1&token=2")
    wait_for(page, SENTENCE, state="loading")
    assert serious_barriers(page) == {}
