"""A text of one's own: typed, run by the worker, on the map, edited, reopened, taken along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import view_state, wait_for
from tests.browser.test_access import serious_barriers

HOSTILE = "The quick, brown </script><b>fox</b> jumps \u202eover <!-- the lazy"
PATIENCE_MS = 120_000  # the worker imports torch first


def type_text(page: Page, text: str) -> dict[str, Any]:
    """Open the box beside the head and run a text."""
    page.locator(".qk-detail label", has_text="Live").click()
    box = page.locator("#live-head-box")
    box.get_by_role("textbox", name="text", exact=True).fill(text)
    box.get_by_role("button", name="Run").click()
    expect(box.locator(".qk-chip").first).to_be_visible(timeout=PATIENCE_MS)
    return view_state(page, "live-head-box")


def test_a_typed_text_is_seen_everywhere_edited_and_reopened(new_page: Callable[..., Page]) -> None:
    page = new_page("/head?layer=3&head=9&method=pca")
    wait_for(page, "head-view", ready=True)
    typed = type_text(page, HOSTILE)
    assert (typed["error"], typed["edits"]) == ("", [])
    chips = page.locator("#live-head-box .qk-chip").all_text_contents()
    assert [chips[i] for i in (0, 5, 6, 7)] == ["[CLS]", "<", "/", "script"]
    placed = wait_for(page, "head-view", n_live=2 * typed["n_tokens"])
    assert typed["n_tokens"] < placed["n_labels"] <= placed["n_live"]  # all that do not overlap
    expect(page.locator("#live-placed-note")).to_contain_text("PCA places them exactly")
    wait_for(page, "live-sentence-view", state="ready", n_tokens=typed["n_tokens"])
    query = parse_qs(urlsplit(page.url).query)
    assert query["live"] == [typed["capture"]]
    assert "quick" not in page.url
    assert serious_barriers(page) == {}

    page.locator("#live-head-box .qk-chip").nth(4).click()
    page.locator("#live-head-box").get_by_role("button", name="Mask").click()
    expect(page.locator("#live-head-box [data-edited]")).to_have_text("[MASK]", timeout=PATIENCE_MS)
    edited = wait_for(page, "live-head-box", edits=[[4, None]], state="ready")
    assert edited["n_tokens"] == typed["n_tokens"]

    again = new_page(f"/inspect/heads?layer=3&live={edited['capture']}")
    shown = wait_for(again, "inspect-lines-view", ready=True, is_difference=True)
    assert shown["n_tokens"] == [typed["n_tokens"]] * 2
    least, greatest = shown["changes"]
    assert least < 0 < greatest
    expect(again.locator(".qk-change-more")).to_have_text(f"+{greatest:.3f} more")
    expect(again.locator("#inspect-legend")).to_contain_text("more attention than before the edit")
    expect(again.locator("#inspect-live-box [data-edited]")).to_have_text("[MASK]")


def test_a_link_to_a_text_that_is_gone_says_so(new_page: Callable[..., Page]) -> None:
    page = new_page(f"/inspect/heads?layer=3&live={'0' * 64}")
    wait_for(page, "inspect-lines-view", ready=True)
    expect(page.locator("#shell-notices")).to_contain_text("is not in the cache any more")
    assert "live=" not in page.url


def test_a_view_as_a_file_opens_offline_and_shows_hostile_tokens_as_text(
    new_page: Callable[..., Page], browser: Browser, address: str, tmp_path: Path
) -> None:
    page = new_page("/head?layer=3&head=9&method=pca")
    wait_for(page, "head-view", ready=True)
    key = type_text(page, HOSTILE)["capture"]
    context = browser.new_context(offline=True)
    for kind, expected in (("bipartite", {"state": "ready"}), ("head_lines", {"ready": True})):
        answer = page.request.get(f"{address}/export/{key}/{kind}.html?layer=3&head=9")
        path = tmp_path / f"{kind}.html"
        path.write_bytes(answer.body())
        faults: list[str] = []
        file = context.new_page()
        file.on("console", lambda m, faults=faults: faults.append(m.text))
        file.on("pageerror", lambda e, faults=faults: faults.append(str(e)))
        file.on("dialog", lambda d, faults=faults: faults.append(d.message))
        file.goto(path.as_uri())
        wait_for(file, "qk-standalone", **expected)
        assert file.locator("b").count() == 0
        assert file.get_by_role("button", name="script").count() > 0
        assert faults == []
    context.close()
