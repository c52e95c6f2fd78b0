"""The main ways through the dashboard, on real atlases. What is shown is asked of the views."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pipeline.atlas import read_atlas
from pipeline.captured import Capture
from pipeline.store import Store
from tests.browser.conftest import N_SENTENCES, tick, view_state, wait_for

pytestmark = pytest.mark.browser
MATRIX, HEAD, SENTENCE, IMAGE = "matrix-view", "head-view", "sentence-view", "image-view"
DINO = "model=dinov2s&corpus=gradients"
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def captures(store: Store) -> dict[str, Capture]:
    records = [r for r in store.records("atlas") if r["corpus"] in ("sentences", "gradients")]
    return {record["model"]: read_atlas(store, record["key"]).capture for record in records}


def loneliest_point(page: Page) -> dict[str, Any]:
    """Return token, side and place on the page of the point that is farthest from all others."""
    found: dict[str, Any] = page.evaluate(
        """() => {
            const view = qk_atlas.views["head-view"];
            const { x, y } = view.placed_css();
            const gap = (i) => {
                let least = Infinity;
                for (let j = 0; j < x.length; j += 1) {
                    if (j !== i) least = Math.min(least, Math.hypot(x[i] - x[j], y[i] - y[j]));
                }
                return least;
            };
            const gaps = Array.from(x, (_, i) => gap(i));
            const index = gaps.indexOf(Math.max(...gaps));
            const box = document.querySelector(".qk-head-canvas").getBoundingClientRect();
            const { token, side } = view.data.meaning_of(index);
            return { token, side, x: box.left + x[index], y: box.top + y[index] };
        }"""
    )
    return found


def test_the_matrix_shows_every_head(new_page: NewPage) -> None:
    page = new_page("/")
    state = wait_for(page, MATRIX, state="ready")
    assert state["n_cells_drawn"] == 72
    expect(page.get_by_role("link", name="Layer 5 head 11", exact=True)).to_be_attached()
    expect(page.locator("#shell-status")).to_contain_text("72 heads")


def test_a_click_on_a_cell_opens_its_head(new_page: NewPage) -> None:
    page = new_page("/")
    wait_for(page, MATRIX, state="ready")
    page.get_by_role("link", name="Layer 3 head 9", exact=True).click()
    wait_for(page, HEAD, state="ready", layer=3, head=9)
    expect(page.get_by_role("heading", name="Layer 3 Head 9")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/head\?"))
    expect(page).to_have_url(re.compile("layer=3&head=9"))


def test_a_head_can_be_opened_by_keyboard_alone(new_page: NewPage) -> None:
    page = new_page("/")
    wait_for(page, MATRIX, state="ready")
    page.get_by_role("link", name="Layer 0 head 0", exact=True).focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    wait_for(page, HEAD, state="ready", layer=1, head=2)


def test_a_click_on_a_point_shows_its_sentence(
    new_page: NewPage, captures: dict[str, Capture]
) -> None:
    page = new_page("/head?layer=2&head=4&method=pca")
    wait_for(page, HEAD, state="ready")
    point = loneliest_point(page)
    token, side = point["token"], point["side"]
    page.mouse.click(point["x"], point["y"])
    tokens = captures["minilm"].tokens
    sequence = int(tokens.sequence_index[token])
    start, end = tokens.sequence_offset[sequence : sequence + 2]
    picked = {"side": side, "position": int(tokens.token_index[token])}
    state = wait_for(page, SENTENCE, state="ready", picked=picked)
    assert state["n_tokens"] == end - start
    shown = page.locator(f"#{SENTENCE} .qk-token").all_text_contents()
    assert [text.split("\n")[0] for text in shown].count(tokens.token_text[token]) >= 1
    wait_for(page, HEAD, n_in_sequence=2 * int(end - start))
    assert view_state(page, HEAD)["n_lines"] > 0
    expect(page).to_have_url(re.compile(f"sequence={sequence}"))


def test_the_sentence_view_and_the_map_point_at_each_other(new_page: NewPage) -> None:
    page = new_page("/head?layer=2&head=4&method=pca&sequence=1&token=2")
    wait_for(page, SENTENCE, state="ready", picked={"side": "query", "position": 2})
    page.locator(f"#{SENTENCE} .qk-token").nth(4).hover()
    wait_for(page, SENTENCE, hot={"side": "query", "position": 4})
    tokens = page.evaluate("() => qk_atlas.views['head-view'].options.hover_tokens")
    assert [token["side"] for token in tokens] == ["query"]


def test_search_highlights_the_right_count_in_both_views(
    new_page: NewPage, captures: dict[str, Capture]
) -> None:
    text = [t.casefold() for t in captures["minilm"].tokens.token_text]
    n_found = text.count("the")
    assert n_found > 10
    page = new_page("/")
    wait_for(page, MATRIX, state="ready")
    page.get_by_placeholder("may, june").fill("The")
    # Every token is drawn twice in a cell: as a query and as a key.
    wait_for(page, MATRIX, n_highlighted=2 * n_found)
    expect(page.locator("#controls-search-count")).to_have_text(f"{n_found} tokens")
    page.get_by_role("link", name="Layer 1 head 1", exact=True).click()
    wait_for(page, HEAD, state="ready", n_highlighted=2 * n_found)
    expect(page.get_by_placeholder("may, june")).to_have_value("The")


def test_a_search_for_nothing_that_is_there_says_so(new_page: NewPage) -> None:
    page = new_page("/")
    wait_for(page, MATRIX, state="ready")
    page.get_by_placeholder("may, june").fill("zyzzyva")
    expect(page.locator("#controls-search-count")).to_have_text("0 tokens")


def test_a_deep_link_opens_the_same_view_again(new_page: NewPage) -> None:
    page = new_page("/head?layer=4&head=7&method=pca&encoding=position&sequence=3&token=5&side=key")
    first = wait_for(page, HEAD, state="ready", layer=4, head=7, encoding="position")
    wait_for(page, SENTENCE, state="ready", picked={"side": "key", "position": 5})
    page.reload()
    wait_for(page, SENTENCE, state="ready", picked={"side": "key", "position": 5})
    again = wait_for(page, HEAD, state="ready", n_in_sequence=first["n_in_sequence"] or 0)
    assert (again["layer"], again["head"], again["encoding"]) == (4, 7, "position")


def test_back_returns_to_the_matrix(new_page: NewPage) -> None:
    page = new_page("/")
    wait_for(page, MATRIX, state="ready")
    page.get_by_role("link", name="Layer 0 head 1", exact=True).click()
    wait_for(page, HEAD, state="ready")
    page.go_back()
    wait_for(page, MATRIX, state="ready", n_cells_drawn=72)
    page.go_forward()
    wait_for(page, HEAD, state="ready", layer=0, head=1)


def test_a_bad_link_shows_the_default_and_says_so(new_page: NewPage) -> None:
    page = new_page("/head?layer=x&head=3&dims=7&method=pca&nonsense=1")
    wait_for(page, HEAD, state="ready", layer=0, head=3)
    expect(page.locator("#shell-notices")).to_contain_text("layer 'x'")
    expect(page.locator("#shell-notices")).to_contain_text("dims '7'")


def test_an_address_that_is_no_page_leads_to_those_that_are(new_page: NewPage) -> None:
    page = new_page("/inspect/head?layer=2&head=3&method=pca")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    expect(page.locator(".qk-controls")).to_have_css("display", "none")
    page.locator(".qk-page").get_by_role("link", name="All heads").click()
    wait_for(page, MATRIX, state="ready")


def test_arrows_lead_to_the_neighbours_and_keep_the_sentence(new_page: NewPage) -> None:
    page = new_page("/head?layer=2&head=4&method=pca&sequence=1&token=2")
    wait_for(page, SENTENCE, state="ready")
    page.get_by_role("button", name="layer 2 head 5").click()
    wait_for(page, HEAD, state="ready", layer=2, head=5)
    page.keyboard.press("ArrowDown")
    wait_for(page, HEAD, state="ready", layer=3, head=5)
    wait_for(page, SENTENCE, state="ready", picked={"side": "query", "position": 2})
    expect(page.locator(f"#{SENTENCE} header")).to_contain_text("L3 H5")
    expect(page).to_have_url(re.compile("layer=3&head=5"))


def test_method_mode_and_colour_change_the_picture(new_page: NewPage) -> None:
    page = new_page("/?method=pca")
    flat = wait_for(page, MATRIX, state="ready")
    # Dash lays the button's face over the radio button that takes the keyboard.
    tick(page.get_by_role("radio", name="3-D"))
    deep = wait_for_change(page, flat)
    tick(page.get_by_role("radio", name="classic"))
    wait_for_change(page, deep)
    assert "dims=3" in page.url
    assert "palette=classic" in page.url


def wait_for_change(page: Page, before: dict[str, Any]) -> dict[str, Any]:
    for _ in range(200):
        state = view_state(page, MATRIX)
        if state.get("state") == "ready" and state["raster_hash"] != before["raster_hash"]:
            return state
        page.wait_for_timeout(50)
    pytest.fail("the picture did not change")


@pytest.mark.parametrize("encoding", ["position", "position_mod_5", "norm"])
def test_every_encoding_is_drawn_in_both_views(new_page: NewPage, encoding: str) -> None:
    page = new_page(f"/?method=pca&encoding={encoding}")
    wait_for(page, MATRIX, state="ready", encoding=encoding)
    expect(page.locator("#controls-legend")).to_contain_text("query")
    page.get_by_role("link", name="Layer 0 head 1", exact=True).click()
    wait_for(page, HEAD, state="ready", encoding=encoding)


def test_the_theme_is_that_of_the_system_until_it_is_chosen(new_page: NewPage) -> None:
    page = new_page("/?method=pca", color_scheme="dark")
    dark = wait_for(page, MATRIX, state="ready")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.get_by_role("button", name="light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")
    wait_for_change(page, dark)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")


def test_patches_are_drawn_and_a_click_shows_their_image(
    new_page: NewPage, captures: dict[str, Capture]
) -> None:
    page = new_page(f"/head?{DINO}&method=pca&layer=11&head=2")
    wait_for(page, HEAD, state="ready", layer=11, head=2)
    point = loneliest_point(page)
    token, side = point["token"], point["side"]
    page.mouse.click(point["x"], point["y"])
    tokens = captures["dinov2s"].tokens
    picked = {"side": side, "position": int(tokens.token_index[token])}
    state = wait_for(page, IMAGE, state="ready", picked=picked)
    assert state["grid"] == [16, 16]
    assert state["n_tokens"] == 257
    assert 0 < state["max_weight"] <= 1


def test_a_method_that_is_not_computed_offers_to_build_it(new_page: NewPage) -> None:
    page = new_page("/?method=umap")
    expect(page.locator("#shell-missing")).to_contain_text("UMAP 2-D is not computed")
    expect(page.get_by_role("button", name="Build it")).to_be_visible()


def test_a_missing_atlas_is_built_in_the_background_and_can_be_cancelled(
    new_page: NewPage,
) -> None:
    page = new_page("/?model=minilm&corpus=pairs")
    expect(page.locator("#shell-missing")).to_contain_text("no atlas of minilm on pairs")
    page.get_by_role("button", name="Build it").click()
    expect(page.locator("#shell-job-status")).to_contain_text("minilm on pairs")
    # The first picture is there long before the build has ended.
    wait_for(page, MATRIX, timeout_s=120, n_cells_drawn=72)
    page.get_by_role("button", name="cancel").click()
    expect(page.locator("#shell-job-status")).to_contain_text("cancelled", timeout=20_000)
    wait_for(page, MATRIX, n_cells_drawn=72)


def test_two_visitors_do_not_disturb_each_other(new_page: NewPage) -> None:
    first, second = new_page("/head?layer=1&head=2&method=pca"), new_page(f"/?{DINO}&method=pca")
    wait_for(first, HEAD, state="ready", layer=1, head=2)
    wait_for(second, MATRIX, state="ready", n_cells_drawn=72)
    first.get_by_placeholder("may, june").fill("the")
    wait_for(first, HEAD, layer=1, head=2)
    expect(first.locator("#controls-search-count")).to_contain_text("tokens")
    expect(second.locator("#controls-search-count")).to_have_text("")


@pytest.mark.parametrize("path", ["/build", "/about", "/nowhere"])
def test_other_pages_open_without_a_fault(new_page: NewPage, path: str) -> None:
    page = new_page(path)
    expect(page.locator("h1:visible").first).to_be_visible()


def test_a_corpus_that_is_not_there_is_named_in_the_message(new_page: NewPage) -> None:
    page = new_page("/head?corpus=nothing.txt")
    expect(page.locator("#shell-missing")).to_contain_text("no atlas of minilm on nothing.txt")
    expect(page.locator("#detail-panel")).to_be_hidden()  # there is nothing to tell
    page.get_by_role("button", name="Build it").click()
    expect(page.locator("#shell-notices")).to_contain_text("nothing.txt")


def test_the_corpus_is_as_large_as_these_tests_think(captures: dict[str, Capture]) -> None:
    assert captures["minilm"].record["corpus"]["n_sequences"] == N_SENTENCES
