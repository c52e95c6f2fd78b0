"""The three views of one input: the examples of BertViz' paper, links, hostile tokens, access."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from pipeline.atlas import read_atlas
from pipeline.captured import Capture
from pipeline.catalogue import find_source
from pipeline.corpora import load_corpus
from pipeline.specs import AtlasSpec
from pipeline.stages import Clock, Request, capture_stage
from pipeline.store import Store
from tests.browser.conftest import view_state, wait_for, wait_until
from tests.browser.test_access import serious_barriers

pytestmark = pytest.mark.browser
MODEL, LINES, NEURONS = "inspect-model-view", "inspect-lines-view", "inspect-neuron-view"
VIEWS = {MODEL: "model", LINES: "heads", NEURONS: "neurons"}
SINGLE, PAIR, HOSTILE = 0, 1, 2
LITERALS = "</script>", "<s>", "<imgsrc", "onerror"
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def capture(store: Store, paper: Path) -> Capture:
    [key] = [r["key"] for r in store.records("atlas") if r["corpus"] == str(paper)]
    return read_atlas(store, key).capture


@pytest.fixture
def open_view(new_page: NewPage, paper: Path) -> Callable[..., Page]:
    """Open a view on a sequence of the paper's examples, and wait for it."""

    def open_page(view: str, sequence: int, query: str = "", **options: str) -> Page:
        corpus = quote(str(paper), safe="/")
        page = new_page(
            f"/inspect/{VIEWS[view]}?corpus={corpus}&sequence={sequence}{query}", **options
        )
        wait_for(page, view, ready=True)
        return page

    return open_page


def query_of(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def settle_address(page: Page, **expected: str) -> None:
    """Wait until the address says something."""
    for name, value in expected.items():
        page.wait_for_url(lambda url, n=name, v=value: parse_qs(urlsplit(url).query).get(n) == [v])


def test_the_model_view_shows_every_head_and_opens_one_with_its_tokens(open_view) -> None:
    page = open_view(MODEL, SINGLE)
    state = view_state(page, MODEL)
    assert (state["n_cells"], state["n_painted"], state["n_tokens"]) == (72, 6, [11, 11])
    page.get_by_label("layer 0 head 0").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    wait_for(page, MODEL, large="L0 H1")
    expect(page.locator(".qk-large .qk-of-query .qk-token")).to_have_text(
        ["[CLS]", "the", "quick", ",", "brown", "fox", "jumps", "over", "the", "lazy", "[SEP]"]
    )
    page.keyboard.press("Escape")
    wait_for(page, MODEL, large=None)


def test_the_model_view_filters_and_sorts_and_the_address_knows(open_view, capture) -> None:
    page = open_view(MODEL, PAIR)
    page.get_by_label("layers").fill("1-2, 5")
    page.keyboard.press("Enter")
    wait_for(page, MODEL, layers="1-2,5", n_cells=36)
    page.get_by_label("sort by").select_option("same")
    n = np.arange(int(np.diff(capture.query_offset)[PAIR]))
    cells = [(layer, head) for layer in (1, 2, 5) for head in range(12)]
    best = max(cells, key=lambda cell: capture.attention(PAIR, *cell)[n, n].mean())
    wait_for(page, MODEL, ready=True, sort="same", first=f"L{best[0]} H{best[1]}")
    settle_address(page, layers="1-2,5", sort="same")
    page.reload()
    wait_for(page, MODEL, ready=True, n_cells=36, first=f"L{best[0]} H{best[1]}")


def test_heads_are_toggled_isolated_and_brought_back(open_view) -> None:
    page = open_view(LINES, PAIR, "&layer=2")
    square = page.get_by_role("button", name="head 4", exact=True)
    square.click()
    wait_for(page, LINES, heads=[0, 1, 2, 3, *range(5, 12)])
    square.dblclick()
    wait_for(page, LINES, heads=[4])
    settle_address(page, heads="4")
    square.dblclick()
    wait_for(page, LINES, heads=list(range(12)))
    square.press("i")
    wait_for(page, LINES, heads=[4])


def test_pairs_are_filtered_and_layers_pinned(open_view, capture) -> None:
    page = open_view(LINES, PAIR, "&layer=2&heads=4")
    page.get_by_label("pairs").select_option("ab")
    weights = capture.attention(PAIR, 2, 4)
    found = view_state(page, LINES)["n_tokens"][0]
    is_second = np.arange(found) >= 8  # [CLS], six words, [SEP]
    shown = weights[np.ix_(~is_second, is_second)]
    wait_for(page, LINES, pairs="ab", n_lines=[int((np.rint(shown * 255) >= 0.05 * 255).sum())])
    page.get_by_role("button", name="pin this layer").click()
    wait_for(page, LINES, ready=True, layer=3, pinned=[2])
    page.go_back()
    page.go_forward()
    wait_for(page, LINES, ready=True, layer=3, pinned=[2], pairs="ab")


def test_numbers_of_a_token_are_its_exact_weights(open_view, capture) -> None:
    page = open_view(LINES, SINGLE, "&layer=2&heads=4")
    page.get_by_role("button", name="numbers").click()
    page.locator(f"#{LINES} .qk-of-query [data-position='5']").click()
    wait_for(page, LINES, picked={"side": "query", "position": 5})
    best = capture.attention(SINGLE, 2, 4)[5].max()
    expect(page.locator(f"#{LINES} .qk-table td").nth(2)).to_have_text(f"{best:.3f}")
    settle_address(page, token="5")


def test_the_neuron_view_sums_to_the_weights(open_view, capture) -> None:
    page = open_view(NEURONS, SINGLE, "&layer=2&head=4&token=5")
    state = view_state(page, NEURONS)
    assert state["weights"] == pytest.approx(capture.attention(SINGLE, 2, 4)[5, :8], abs=1e-6)
    assert state["sums"] == pytest.approx([1])
    assert (state["head_dim"], state["columns"]) == (32, ["q · k", "\u00d7 0.1768"])
    page.locator(f"#{NEURONS} [data-position='3']").hover()
    wait_for(page, NEURONS, ready=True, queries=[5, 3])
    page.locator(f"#{NEURONS} [data-position='3']").press("c")
    page.mouse.move(10, 10)
    wait_for(page, NEURONS, compare=3)
    settle_address(page, compare="3")
    page.locator(f"#{NEURONS} [data-position='6']").click()
    page.get_by_label("dimensions").select_option("pair")
    wait_for(page, NEURONS, ready=True, query=6, dimensions="pair")


def test_views_lead_to_maps_and_back(open_view) -> None:
    page = open_view(NEURONS, PAIR, "&layer=3&head=9&token=2")
    page.get_by_role("link", name="open L3 H9 on its map").click()
    wait_for(page, "head-view", layer=3, head=9)
    page.get_by_role("link", name="inspect it in all heads").click()
    wait_for(page, LINES, ready=True, sequence=PAIR, layer=3)
    assert view_state(page, LINES)["picked"] == {"side": "query", "position": 2}


def test_a_sequence_is_found_by_its_words(open_view) -> None:
    page = open_view(MODEL, SINGLE)
    page.get_by_role("combobox", name="find a sequence").fill("rug cat")
    page.keyboard.press("Enter")
    wait_for(page, MODEL, ready=True, sequence=PAIR)
    settle_address(page, sequence=str(PAIR))
    page.get_by_role("button", name="previous sequence").click()
    wait_for(page, MODEL, ready=True, sequence=SINGLE)


def captured(store: Store, hub_cache: Path, folder: Path, text: str) -> Capture:
    """Capture one text, as a live input is captured: without any map."""
    path = folder / f"{len(list(folder.iterdir()))}.txt"
    path.write_text(text)
    source = find_source(
        "minilm", cache=store.root, hub_cache=hub_cache, remembered=store.file_sha256
    )
    request = Request(AtlasSpec("minilm", str(path)), load_corpus(str(path)), source, "cpu")
    return capture_stage(request, store, Clock(), lambda _: None)


def test_a_changed_input_is_shown_as_a_difference_in_every_view(
    open_view, store: Store, hub_cache: Path, tmp_path: Path
) -> None:
    before, now = (
        captured(store, hub_cache, tmp_path, f"the {animal} sat on the mat")
        for animal in ("cat", "dog")
    )
    page = open_view(LINES, SINGLE, "&layer=2&heads=4&head=4&token=2")
    source = {"capture": now.record["key"], "compared": before.record["key"], "sequence": 0,
              "model": "minilm", "is_live": True}  # fmt: skip
    page.evaluate("s => dash_clientside.set_props('inspect-source', {data: s})", source)
    weights = [np.rint(255 * c.attention(0, 2, 4)) for c in (now, before)]
    change = weights[0] - weights[1]
    n_lines = int((np.abs(change) >= 0.05 * 255).sum())
    assert n_lines > 0
    wait_for(page, LINES, ready=True, is_difference=True, n_lines=[n_lines])
    expect(page.locator(".qk-change-less")).to_have_text(f"less \u2212{-change.min() / 255:.3f}")
    go_to(page, MODEL)
    wait_for(page, MODEL, is_difference=True, n_painted=6)
    go_to(page, NEURONS)
    page.locator(f"#{NEURONS} [data-position='2']").click()
    state = wait_for(page, NEURONS, ready=True, is_difference=True, query=2)
    change = now.attention(0, 2, 4)[2] - before.attention(0, 2, 4)[2]
    assert state["weights"] == pytest.approx(change, abs=1e-6)
    assert state["sums"] == pytest.approx([0], abs=1e-9)


def go_to(page: Page, view: str) -> None:
    """Follow the tabs of the column to another view of the same input."""
    page.get_by_role("navigation", name="views of this input").get_by_role(
        "link", name={MODEL: "Model", LINES: "Heads", NEURONS: "Neurons"}[view]
    ).click()
    wait_for(page, view, ready=True)


def test_tokens_that_try_to_be_more_are_shown_as_they_are(open_view) -> None:
    page = open_view(NEURONS, HOSTILE, "&layer=1&head=2")
    for view in (NEURONS, LINES, MODEL):
        go_to(page, view)
        if view == MODEL:
            page.get_by_label("layer 1 head 2").click()
            wait_for(page, MODEL, large="L1 H2")
        tokens = page.locator(f"#{view} .qk-of-query .qk-token-text")

        def text(tokens: Locator = tokens) -> str:
            return "".join(tokens.all_inner_texts()).replace("##", "")

        # A view is there before all its tokens are.
        wait_until(page, lambda: all(literal in text() for literal in LITERALS))
        assert "\u202e" not in text()
        assert page.locator(f"#{view} img, #{view} script").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_view_has_a_serious_barrier(open_view, theme: str) -> None:
    query = "&layer=2&head=4&token=2&compare=4&pinned=3"
    page = open_view(NEURONS, PAIR, query, color_scheme=theme)
    for view in (NEURONS, LINES, MODEL):
        go_to(page, view)
        assert serious_barriers(page) == {}
    page.get_by_label("layer 2 head 4").click()
    wait_for(page, MODEL, large="L2 H4")
    assert serious_barriers(page) == {}
