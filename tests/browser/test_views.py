"""What the matrix and the head offer beyond the main journeys. Data is asserted, not pixels."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from pipeline.atlas import Atlas, read_atlas
from pipeline.store import Store
from tests.browser.conftest import tick, view_state, wait_for
from tests.conftest import build

pytestmark = pytest.mark.browser
MATRIX, HEAD, BAR = "matrix-view", "head-view", "matrix-bar"
DINO = "model=dinov2s&corpus=gradients"
SEARCH = "#controls-search"
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def atlas(store: Store) -> Atlas:
    [key] = [record["key"] for record in store.records("atlas") if record["model"] == "minilm"
             and record["corpus"] == "sentences"]  # fmt: skip
    return read_atlas(store, key)


@pytest.fixture(scope="module")
def hostile(store: Store, hub_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus of an atlas whose texts and columns try to be HTML and formulas."""
    path = tmp_path_factory.mktemp("hostile") / "hostile.csv"
    rows = ["text,topic", "<img src=x onerror=alert(1)> may,<b>bold</b>",
            "=1+1 <script>alert(2)</script>,plain"]  # fmt: skip
    path.write_text("\n".join(rows))
    build(store, hub_cache, model="minilm", corpus=str(path), methods=("pca",), dims=(2,))
    return path


def open_matrix(new_page: NewPage, query: str = "method=pca") -> Page:
    page = new_page(f"/?{query}")
    wait_for(page, MATRIX, state="ready")
    return page


def open_head(new_page: NewPage, query: str = "layer=2&head=4&method=pca") -> Page:
    page = new_page(f"/head?{query}")
    wait_for(page, HEAD, state="ready")
    return page


def choose(page: Page, control: str, option: str) -> None:
    """Choose an option of one of Dash's dropdowns."""
    page.locator(control).click()
    page.get_by_role("option", name=option, exact=True).click()


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def middle_of(page: Page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize(
    ("option", "query", "matches"),
    [
        ("beginning", "th", lambda text: text.startswith("th")),
        ("part", "he", lambda text: "he" in text),
        ("regular expression", "^.{2}$", lambda text: len(text) == 2),
    ],
)
def test_tokens_are_found_in_every_manner(
    new_page: NewPage, atlas: Atlas, option: str, query: str, matches: Callable[[str], bool]
) -> None:
    n_found = sum(matches(text.strip().casefold()) for text in atlas.capture.tokens.token_text)
    assert n_found > 3
    page = open_matrix(new_page)
    choose(page, "#controls-manner", option)
    page.locator(SEARCH).fill(query)
    wait_for(page, MATRIX, n_highlighted=2 * n_found)
    expect(page.locator("#controls-search-count")).to_have_text(f"{n_found} tokens")
    assert urlsplit(page.url).query == "method=pca"  # free text never goes into the address


def test_several_terms_have_marks_and_survive_the_way_to_a_head_and_back(
    new_page: NewPage, atlas: Atlas
) -> None:
    text = [t.casefold() for t in atlas.capture.tokens.token_text]
    counts = [text.count(word) for word in ("the", "of")]
    page = open_matrix(new_page)
    page.locator(SEARCH).fill("the, of")
    wait_for(page, MATRIX, n_terms=2, n_highlighted=2 * sum(counts))
    terms = page.locator("#controls-search-count .qk-term")
    expect(terms).to_have_text([f"the {counts[0]} tokens", f"of {counts[1]} tokens"])
    page.get_by_role("link", name="Layer 1 head 1", exact=True).click()
    wait_for(page, HEAD, state="ready", n_highlighted=2 * sum(counts))
    page.get_by_role("button", name="all heads").click()
    wait_for(page, MATRIX, state="ready", n_terms=2)
    expect(page.locator(SEARCH)).to_have_value("the, of")


def test_the_wheel_zooms_a_drag_moves_and_the_button_resets(new_page: NewPage) -> None:
    page = open_matrix(new_page)
    side = view_state(page, MATRIX)["side"]
    page.mouse.move(*middle_of(page, f"#{MATRIX}"))
    page.mouse.wheel(0, -900)
    expect(page.get_by_role("button", name="reset zoom")).to_be_visible()
    zoomed = view_state(page, MATRIX)
    assert zoomed["side"] > 2 * side
    where = page.evaluate("() => document.querySelector('.qk-points-body').scrollTop")
    x, y = middle_of(page, f"#{MATRIX}")
    drag(page, (x, y), (x, y - 120))
    after = page.evaluate("() => document.querySelector('.qk-points-body').scrollTop")
    assert after - where == pytest.approx(120, abs=3)
    expect(page.locator(f"#{HEAD}")).to_be_hidden()  # the drag opened nothing
    page.get_by_role("button", name="reset zoom").click()
    wait_for(page, MATRIX, side=side, n_cells_drawn=72)


def test_a_tall_grid_stands_in_blocks_that_arrow_keys_pass(new_page: NewPage) -> None:
    page = new_page("/?model=dinov2s&corpus=gradients&method=pca")
    wait_for(page, MATRIX, state="ready", n_blocks=2, n_cells_drawn=72)
    boxes = {
        layer: page.get_by_role("link", name=f"Layer {layer} head 0", exact=True).bounding_box()
        for layer in (0, 5, 6)
    }
    assert boxes[6]["y"] == boxes[0]["y"] < boxes[5]["y"]
    assert boxes[6]["x"] > boxes[5]["x"]
    numbers = page.locator(".qk-matrix-layers.qk-within span")
    number = numbers.first.bounding_box()
    assert boxes[6]["y"] < number["y"] < boxes[6]["y"] + boxes[6]["height"]
    assert number["x"] + number["width"] <= boxes[6]["x"]
    assert numbers.all_text_contents() == ["6", "7", "8", "9", "10", "11"]
    page.get_by_role("link", name="Layer 5 head 0", exact=True).focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="Layer 6 head 0", exact=True)).to_be_focused()
    page.set_viewport_size({"width": 800, "height": 900})
    wait_for(page, MATRIX, n_blocks=1)


def test_heads_are_sorted_dimmed_and_hidden_by_a_figure(new_page: NewPage) -> None:
    page = open_matrix(new_page)
    figure = page.get_by_label("figure of the heads")
    figure.select_option("space_per_query_rho")
    page.get_by_label("order", exact=True).select_option("figure")
    values = page.evaluate(
        """() => {
            const { data, grid } = qk_atlas.views["matrix-view"];
            const seen = data.cells.map((cell, i) => [grid.places[i], cell.quality]);
            seen.sort(([a], [b]) => a.row - b.row || a.column - b.column);
            return seen.map(([, quality]) => quality.space_per_query_rho);
        }"""
    )
    assert len(values) == 72
    assert values == sorted(values, reverse=True)
    bound = page.get_by_label("bound of the figure")
    bound.fill("50")
    middle = (min(values) + max(values)) / 2
    n_kept = sum(value >= middle for value in values)
    wait_for(page, MATRIX, n_kept=n_kept)
    expect(page.locator(".qk-matrix-link.qk-dimmed")).to_have_count(72 - n_kept)
    page.get_by_label("others", exact=True).select_option("hide")
    wait_for(page, MATRIX, n_cells_drawn=n_kept)
    page.get_by_label("others", exact=True).select_option("outline")
    expect(page.locator(".qk-matrix-link.qk-outlined")).to_have_count(n_kept)


def test_a_head_is_found_as_its_name_is_typed(new_page: NewPage) -> None:
    page = open_matrix(new_page)
    box = page.get_by_label("go to a head")
    box.fill("L3 H9")
    expect(page.locator(".qk-matrix-link.qk-sought")).to_have_attribute("data-name", "L3 H9")
    box.press("Enter")
    wait_for(page, HEAD, state="ready", layer=3, head=9)


def test_a_middle_click_opens_the_head_in_a_new_tab(new_page: NewPage) -> None:
    page = open_matrix(new_page)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Layer 1 head 2", exact=True).click(button="middle")
    wait_for(opened.value, HEAD, state="ready", layer=1, head=2)
    wait_for(page, MATRIX, state="ready")


def test_a_3d_cell_turns_while_it_is_pointed_at(new_page: NewPage) -> None:
    page = open_matrix(new_page, "method=pca&dims=3")
    before = view_state(page, MATRIX)["raster_hash"]
    page.get_by_role("link", name="Layer 0 head 0", exact=True).hover()
    page.wait_for_timeout(500)
    state = view_state(page, MATRIX)
    assert state["n_turns"] > 2
    assert state["raster_hash"] != before
    page.mouse.move(5, 300)
    for _ in range(100):
        if view_state(page, MATRIX)["raster_hash"] == before:
            return
        page.wait_for_timeout(50)
    pytest.fail("the cell did not return to its place")


def test_a_cell_says_how_far_it_can_be_trusted(new_page: NewPage, atlas: Atlas) -> None:
    page = open_matrix(new_page)
    page.get_by_role("link", name="Layer 2 head 3", exact=True).hover()
    card = page.locator(f"#{MATRIX}-card")
    expect(card).to_contain_text("L2 H3")
    quality = page.evaluate("() => qk_atlas.views['matrix-view'].data.cells[27].quality")
    shown = [f"{quality[name]:.2f}".replace("-", "\u2212") for name in
             ("per_query_rho", "space_per_query_rho")]  # fmt: skip
    expect(card.get_by_role("row", name="rho, per query").get_by_role("cell")).to_have_text(shown)


def test_a_box_selects_counts_and_exports_points(new_page: NewPage) -> None:
    page = open_head(new_page)
    page.locator("[data-tool=box]").click()
    box = page.locator(".qk-head-canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + 5, box["y"] + 45
    drag(page, (x, y), (x + box["width"] / 2, y + box["height"] - 60))
    n = wait_for(page, "selection-view")["n"]
    assert n > 10
    wait_for(page, HEAD, n_selected=n)
    expect(page.locator(".qk-selection-count")).to_contain_text(f"{n:,} points")
    with page.expect_download() as download:
        page.get_by_role("button", name="export CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if not line.startswith("#")]
    assert table[0] == "point,type,token,label,sequence,position"
    assert len(table) == n + 1
    assert "# model: minilm" in lines
    page.keyboard.press("ArrowRight")  # the same points are selected in the next head
    wait_for(page, HEAD, state="ready", head=5, n_selected=n)
    page.get_by_role("button", name="clear").click()
    wait_for(page, HEAD, n_selected=0)


def test_a_drag_with_shift_is_a_lasso(new_page: NewPage) -> None:
    page = open_head(new_page)
    x, y = middle_of(page, ".qk-head-canvas")
    page.keyboard.down("Shift")
    page.mouse.move(x - 150, y - 150)
    page.mouse.down()
    for corner in ((x + 150, y - 150), (x + 150, y + 150), (x - 150, y + 150)):
        page.mouse.move(*corner)
    page.mouse.up()
    page.keyboard.up("Shift")
    assert wait_for(page, "selection-view")["n"] > 0


def test_true_neighbours_of_a_point_are_those_of_the_space(new_page: NewPage, atlas: Atlas) -> None:
    page = open_head(new_page)
    tick(page.get_by_label("true neighbours"))
    found = page.evaluate(
        """() => {
            const view = qk_atlas.views["head-view"];
            const { x, y } = view.placed_css();
            const box = document.querySelector(".qk-head-canvas").getBoundingClientRect();
            return { x: box.left + x[0], y: box.top + y[0] };
        }"""
    )
    page.mouse.move(found["x"], found["y"])
    expect(page.locator(f"#{HEAD}-card")).to_contain_text("nearest in the space")
    state = view_state(page, HEAD)
    order = atlas.capture.draw_order()
    points = atlas.unit_points(2, 4)
    hovered = order[state["hovered"]]
    distance = np.linalg.norm(points - points[hovered], axis=1)
    distance[hovered] = np.inf
    nearest = distance[order[state["near"]["space"]]]
    assert np.allclose(nearest, np.sort(distance)[:10], atol=1e-5)


def test_the_trust_panel_explains_the_head(new_page: NewPage) -> None:
    page = open_head(new_page)
    tick(page.get_by_role("radio", name="Trust"))
    expect(page.locator("#trust-panel")).to_contain_text("In the space, nearer keys get more")
    expect(page.locator("#trust-panel .js-plotly-plot")).to_have_count(3, timeout=60_000)
    tick(page.get_by_role("radio", name="Vectors"))
    expect(page.locator("#norms-panel")).to_contain_text("Mean of queries")


def test_the_picture_of_a_matrix_says_which_heads_are_which(new_page: NewPage) -> None:
    page = open_matrix(new_page)
    page.locator("#matrix-bar summary").click()
    with page.expect_download() as download:
        page.locator(".qk-menu-item", has_text="PNG").click()
    picture = np.asarray(Image.open(download.value.path()).convert("L")).astype(int)
    side = view_state(page, MATRIX)["side"]
    edge = picture[48 : 48 + 12 * side, :64]  # twice as large as on the page
    is_ink = np.abs(edge - picture[0, 0]).max(axis=1) > 50
    n_lines = np.count_nonzero(np.diff(is_ink.astype(int)) == 1)
    assert n_lines == 6  # one number a layer


def test_a_head_is_exported_as_drawing_and_as_arrays(new_page: NewPage, atlas: Atlas) -> None:
    page = open_head(new_page)

    def export(name: str) -> bytes:
        page.locator("#head-bar summary").click()
        with page.expect_download() as download:
            page.locator(".qk-menu-item", has_text=name).click()
        return Path(download.value.path()).read_bytes()

    drawing = export("SVG").decode()
    assert drawing.count("<circle") == 2 * atlas.capture.n_tokens
    assert "seed 0" in drawing
    arrays = np.load(io.BytesIO(export("NPZ")))
    assert np.array_equal(arrays["queries"], atlas.capture.vectors(2, 4).queries)
    assert export("PNG").startswith(b"\x89PNG")


@pytest.mark.parametrize("encoding", ["token_frequency", "punctuation", "sequence_length"])
def test_text_encodings_are_drawn_with_real_values(new_page: NewPage, encoding: str) -> None:
    page = open_matrix(new_page, f"method=pca&encoding={encoding}")
    wait_for(page, MATRIX, state="ready", encoding=encoding)
    expect(page.locator("#controls-legend")).to_have_text(re.compile(r"\d|word"))


@pytest.mark.parametrize("encoding", ["picture", "row", "hue", "brightness"])
def test_image_encodings_are_drawn_in_both_views(new_page: NewPage, encoding: str) -> None:
    page = open_matrix(new_page, f"{DINO}&method=pca&encoding={encoding}")
    wait_for(page, MATRIX, state="ready", encoding=encoding)
    page.get_by_role("link", name="Layer 0 head 1", exact=True).click()
    wait_for(page, HEAD, state="ready", encoding=encoding)


def test_norms_can_be_compared_on_one_scale(new_page: NewPage, atlas: Atlas) -> None:
    page = open_matrix(new_page, "method=pca&encoding=norm")
    own = view_state(page, MATRIX)["raster_hash"]
    tick(page.locator("#controls-norm-scale").get_by_role("radio", name="common"))
    least = float(atlas.capture.norms().min())
    expect(page.locator("#controls-legend")).to_contain_text(f"norm {least:.3g}")
    assert wait_for(page, MATRIX, state="ready")["raster_hash"] != own


def test_hostile_tokens_and_columns_are_shown_literally(new_page: NewPage, hostile: Path) -> None:
    page = new_page(f"/head?corpus={hostile}&method=pca&sequence=1&token=1&encoding=field_0")
    wait_for(page, HEAD, state="ready", encoding="field_0")
    expect(page.locator("#controls-legend")).to_contain_text("<b>bold</b>")
    assert page.locator("#controls-legend b, img[src=x], #sentence-view script").count() == 0
    expect(page.locator("#sentence-view")).to_contain_text("<")
    page.locator(SEARCH).fill("<b>")
    expect(page.locator("#controls-search-count")).to_have_text("0 tokens")


def test_a_menu_of_choices_is_reached_and_opened_by_keyboard(new_page: NewPage) -> None:
    page = open_matrix(new_page)
    page.locator(SEARCH).focus()
    page.keyboard.press("Tab")
    expect(page.locator("#controls-manner")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("option", name="regular expression", exact=True)).to_be_visible()


def test_the_page_that_is_open_is_marked_and_keys_are_listed(new_page: NewPage) -> None:
    page = open_matrix(new_page)
    expect(page.locator('.qk-nav a[aria-current="page"]')).to_have_text("Matrix")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Shift and drag")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
