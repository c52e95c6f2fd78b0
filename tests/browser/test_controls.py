"""What the controls of matrix and head do to the picture. Data is asserted, not pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from pipeline.atlas import Atlas, read_atlas
from pipeline.store import Store
from tests.browser.conftest import tick, view_state, wait_for

pytestmark = pytest.mark.browser
MATRIX, HEAD = "matrix-view", "head-view"
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def atlas(store: Store) -> Atlas:
    [key] = [record["key"] for record in store.records("atlas") if record["model"] == "minilm"
             and record["corpus"] == "sentences"]  # fmt: skip
    return read_atlas(store, key)


def widths(page: Page) -> list[float]:
    """Return how wide the points of each cell lie, as shares of a cell."""
    found: list[float] = page.evaluate(
        """() => {
            const { data, options, config } = qk_atlas.views["matrix-view"];
            const placed = qk_atlas.points.make_placed(config.n_points);
            return data.cells.map((cell, i) => {
                const share = options.scale === "common" ? cell.span / data.largest_span : null;
                const box = { left: 0, top: 0, side: 1 };
                qk_atlas.matrix_cells.place_cell(data.coordinates[i], 2, box, share, placed);
                const reach = (values) => Math.max(...values) - Math.min(...values);
                return Math.max(reach(placed.x), reach(placed.y));
            });
        }"""
    )
    return found


def test_at_a_common_scale_sizes_of_heads_can_be_compared(new_page: NewPage) -> None:
    page = new_page("/?method=pca")
    own = wait_for(page, MATRIX, state="ready")["raster_hash"]
    assert widths(page) == pytest.approx([1.0] * 72, abs=0.02)
    tick(page.locator("#controls-scale").get_by_role("radio", name="common"))
    while view_state(page, MATRIX)["raster_hash"] == own:
        page.wait_for_timeout(50)
    spans = page.evaluate("() => qk_atlas.views['matrix-view'].data.cells.map((c) => c.span)")
    assert widths(page) == pytest.approx([span / max(spans) for span in spans], abs=0.02)


def test_a_3d_cell_stands_still_where_motion_is_not_wanted(new_page: NewPage) -> None:
    page = new_page("/?method=pca&dims=3", reduced_motion="reduce")
    wait_for(page, MATRIX, state="ready")
    page.get_by_role("link", name="Layer 0 head 0", exact=True).hover()
    expect(page.locator(f"#{MATRIX}-card")).to_be_visible()
    page.wait_for_timeout(300)  # in which it would have turned
    assert view_state(page, MATRIX)["n_turns"] == 0


def test_labels_lines_and_sizes_are_shown_and_hidden(new_page: NewPage, atlas: Atlas) -> None:
    page = new_page("/head?layer=2&head=4&method=pca")
    plain = wait_for(page, HEAD, state="ready", n_labels=0, n_lines=0)
    tick(page.get_by_role("checkbox", name="token labels"))
    while view_state(page, HEAD)["n_labels"] == 0:
        page.wait_for_timeout(50)
    few = view_state(page, HEAD)["n_labels"]
    texts = page.evaluate("() => qk_atlas.views['head-view'].labels.map(({ text }) => text)")
    assert set(texts) <= set(atlas.capture.tokens.token_text)
    page.get_by_role("checkbox", name="token labels").click(force=True)
    wait_for(page, HEAD, n_labels=0)
    assert few > 5
    tick(page.get_by_role("checkbox", name="size by norm"))
    while view_state(page, HEAD)["raster_hash"] == plain["raster_hash"]:
        page.wait_for_timeout(50)


def test_lines_of_a_sequence_are_its_strongest_weights(new_page: NewPage, atlas: Atlas) -> None:
    page = new_page("/head?layer=2&head=4&method=pca&sequence=1&token=2")
    weights = atlas.capture.attention(1, 2, 4)
    kept = [row[row >= 0.05] for row in weights]
    n_lines = sum(min(2, row.size) for row in kept)
    wait_for(page, HEAD, state="ready", n_lines=n_lines)
    page.locator("#head-bar summary").click()
    with page.expect_download() as download:
        page.locator("#head-bar .qk-menu-item", has_text="SVG").click()
    drawing = Path(download.value.path()).read_text(encoding="utf-8")
    assert drawing.count("<line") == n_lines
    assert drawing.count("<text") == view_state(page, HEAD)["n_labels"] + 1  # and the caption
    page.get_by_role("checkbox", name="attention lines").click(force=True)
    wait_for(page, HEAD, n_lines=0)


def test_the_card_of_a_point_tells_the_value_of_its_colour(new_page: NewPage, atlas: Atlas) -> None:
    page = new_page("/head?layer=2&head=4&method=pca&encoding=token_frequency")
    wait_for(page, HEAD, state="ready", encoding="token_frequency")
    found = page.evaluate(
        """() => {
            const view = qk_atlas.views["head-view"];
            const { x, y } = view.placed_css();
            const box = document.querySelector(".qk-head-canvas").getBoundingClientRect();
            return { x: box.left + x[0], y: box.top + y[0] };
        }"""
    )
    page.mouse.move(found["x"], found["y"])
    card = page.locator(f"#{HEAD}-card")
    expect(card).to_contain_text("token frequency: ")
    token = page.evaluate(
        """() => {
            const view = qk_atlas.views["head-view"];
            return view.data.meaning_of(view.hovered).token;
        }"""
    )
    words = [text.strip().casefold() for text in atlas.capture.tokens.token_text]
    n = words.count(words[token])
    expect(card).to_contain_text(f"token frequency: {n} time")


def test_parts_of_speech_are_offered_with_their_legend(new_page: NewPage) -> None:
    page = new_page("/?method=pca&encoding=part_of_speech")
    wait_for(page, MATRIX, state="ready", encoding="part_of_speech")
    expect(page.locator("#controls-legend")).to_contain_text("adjective or adverb")


def test_the_link_that_is_copied_is_that_of_the_view(new_page: NewPage) -> None:
    page = new_page("/head?layer=4&head=7&method=pca", permissions=["clipboard-read",
                                                                    "clipboard-write"])  # fmt: skip
    wait_for(page, HEAD, state="ready", layer=4, head=7)
    page.get_by_role("button", name="copy link").click()
    expect(page.locator("#shell-copy-link")).to_have_text("copied")
    assert page.evaluate("() => navigator.clipboard.readText()") == page.url
    assert "layer=4&head=7" in page.url


@pytest.mark.parametrize("size", [(1280, 720), (1440, 900), (1920, 1080)])
def test_nothing_scrolls_sideways_or_lies_outside(new_page: NewPage, size: tuple[int, int]) -> None:
    page = new_page("/?method=pca")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    wait_for(page, MATRIX, state="ready")
    for path in ("/?method=pca", "/head?layer=2&head=4&method=pca&sequence=1&token=2", "/build"):
        page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/", 3)[2] + path)
        expect(page.locator("h1").first).to_be_attached()
        wide = page.evaluate(
            """() => [...document.querySelectorAll("header, main, footer, .qk-bar, .qk-detail")]
                .filter((one) => one.getClientRects().length)
                .map((one) => one.getBoundingClientRect().right).filter((x) => x > innerWidth)"""
        )
        assert wide == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
