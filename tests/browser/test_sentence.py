"""The sentence view and the aggregate view: hiding, filters, weightings, pairs, parts, exports."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from pipeline.aggregate import aggregate, hidden_tokens, reweighted
from pipeline.captured import Capture, read_capture
from pipeline.store import Store
from tests.browser.conftest import tick, view_state, wait_for, wait_until
from tests.conftest import build
from tests.reference.families import save_family

HEAD, SENTENCE, AGGREGATE = "head-view", "sentence-view", "aggregate-view"
PLACE = "layer=2&head=4&method=pca&sequence=1&token=2"
SHARES = "id => Array.from(qk_atlas.views[id].shares)"

NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def capture(store: Store) -> Capture:
    [record] = [r for r in store.records("atlas")
                if (r["model"], r["corpus"]) == ("minilm", "sentences")]  # fmt: skip
    found = read_capture(store, record["capture"])
    assert found is not None
    return found


@pytest.fixture(scope="module")
def pairs(store: Store, hub_cache: Path) -> str:
    """The address of a head of a tiny model on pairs of texts."""
    build(store, hub_cache, model="tiny/bert", corpus="pairs", limit=3, methods=("pca",), dims=(2,))
    return "/head?model=tiny/bert&corpus=pairs&method=pca&layer=1&head=2"


@pytest.fixture(scope="module")
def cross(store: Store, hub_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the cross-attention of a tiny encoder-decoder model."""
    folder = save_family("bart", tmp_path_factory.mktemp("parts") / "bart")
    build(store, hub_cache, model=str(folder), corpus="pairs", limit=3, methods=("pca",), dims=(2,),
          part="cross")  # fmt: skip
    return f"/head?model={folder}&corpus=pairs&part=cross&method=pca&layer=1&head=2"


def shares(page: Page, view: str = SENTENCE) -> np.ndarray:
    return np.array(page.evaluate(SHARES, view), dtype=np.float32)


def token(page: Page, side: str, position: int, part: str = ".qk-token") -> Any:
    place = f'[data-side="{side}"][data-position="{position}"]'
    return page.locator(f"#{SENTENCE} .qk-row{place} {part}")


def test_another_sentence_takes_over_the_rows_and_nothing_of_the_one_before(
    new_page: NewPage, capture: Capture
) -> None:
    page = new_page(f"/head?{PLACE}")
    wait_for(page, SENTENCE, state="ready")
    token(page, "key", 0).click()
    wait_for(page, SENTENCE, hidden={"query": [], "key": [0]})
    offset = capture.query_offset
    lengths = np.diff(offset)
    longest, shortest = int(np.argmax(lengths)), int(np.argmin(lengths))
    for sequence in (longest, shortest, longest):
        page.evaluate("s => qk_atlas.pages.pick({ sequence: s, position: 1, side: 'query' })",
                      sequence)  # fmt: skip
        picked = {"side": "query", "position": 1}
        wait_for(page, SENTENCE, state="ready", n_tokens=int(lengths[sequence]), picked=picked,
                 hidden={"query": [], "key": []})  # fmt: skip
        expected = list(capture.tokens.token_text[offset[sequence] : offset[sequence + 1]])
        for side in ("query", "key"):
            rows = page.locator(f'#{SENTENCE} .qk-row[data-side="{side}"] .qk-token-text')
            assert rows.all_inner_texts() == expected
        np.testing.assert_allclose(
            shares(page), capture.attention(sequence, 2, 4).ravel(), atol=1e-6
        )
        assert page.locator(f"#{SENTENCE} .qk-gone").count() == 0
        assert page.locator(f"#{SENTENCE} .qk-picked").count() == 1


def test_hidden_tokens_stay_hidden_on_the_way_to_another_head(
    new_page: NewPage, capture: Capture
) -> None:
    page = new_page(f"/head?{PLACE}")
    n = wait_for(page, SENTENCE, state="ready")["n_tokens"]
    token(page, "key", 0).click()
    token(page, "query", 3).click()
    wait_for(page, SENTENCE, hidden={"query": [3], "key": [0]})
    tick(page.get_by_role("checkbox", name="all [SEP]"))
    hidden = {"query": [3, n - 1], "key": [0, n - 1]}
    wait_for(page, SENTENCE, hidden=hidden)
    page.get_by_role("button", name="layer 2 head 5").click()
    wait_for(page, SENTENCE, state="ready", hidden=hidden, filters=["separators"])
    wait_for(page, HEAD, state="ready", head=5)
    gone = np.isin(np.arange(n), hidden["key"])
    expected = reweighted(
        capture.attention(1, 2, 5), norms=None, hidden_keys=gone, has_sinks=False
    )  # fmt: skip
    expected[hidden["query"]] = 0
    assert np.allclose(shares(page), expected.ravel(), atol=1e-6)
    strong = np.sort(expected, axis=1)[:, -2:] >= 0.05
    wait_for(page, HEAD, n_lines=int(strong.sum()))
    token(page, "key", 0).click()
    token(page, "query", 3).click()
    page.get_by_role("checkbox", name="all [SEP]").click(force=True)
    wait_for(page, SENTENCE, hidden={"query": [], "key": []})
    assert np.array_equal(shares(page), capture.attention(1, 2, 5).ravel())


def test_a_token_is_ringed_by_its_number_or_enter_and_hidden_by_space(new_page: NewPage) -> None:
    page = new_page(f"/head?{PLACE}")
    wait_for(page, SENTENCE, state="ready")
    token(page, "key", 5, ".qk-place").click()
    wait_for(page, SENTENCE, picked={"side": "key", "position": 5}, hidden={"query": [], "key": []})
    expect(page).to_have_url(re.compile("token=5&side=key"))
    token(page, "query", 4).focus()
    page.keyboard.press("Enter")
    wait_for(page, SENTENCE, picked={"side": "query", "position": 4})
    page.keyboard.press("Space")
    wait_for(page, SENTENCE, hidden={"query": [4], "key": []})
    page.get_by_role("button", name="clear selection").click()
    wait_for(page, SENTENCE, picked=None)
    page.get_by_role("button", name="show all").click()
    wait_for(page, SENTENCE, hidden={"query": [], "key": []})


def test_filters_and_weighting_go_on_to_the_next_sentence(
    new_page: NewPage, capture: Capture
) -> None:
    page = new_page(f"/head?{PLACE}")
    wait_for(page, SENTENCE, state="ready")
    tick(page.get_by_role("checkbox", name="punctuation"))
    token(page, "key", 1).click()
    page.locator(f"#{SENTENCE} select").select_option("transformed")
    wait_for(page, SENTENCE, weighting="transformed", state="ready")
    page.evaluate(
        "() => dash_clientside.set_props('shell-picked', "
        "{ data: { sequence: 3, position: 2, side: 'key' } })"
    )
    first, end = capture.query_offset[3:5]
    gone = hidden_tokens(capture.tokens, ["punctuation"])[first:end]
    marks = np.flatnonzero(gone).tolist()
    assert marks
    n = len(gone)
    wait_for(page, SENTENCE, state="ready", counts={"query": n, "key": n},
             hidden={"query": marks, "key": marks}, weighting="transformed")  # fmt: skip
    expected = reweighted(
        capture.attention(3, 2, 4), norms=capture.value_norms(3, 2, 4)[1],
        hidden_keys=gone, has_sinks=False,
    )  # fmt: skip
    expected[marks] = 0
    assert np.allclose(shares(page), expected.ravel(), atol=1e-6)
    expect(page.locator(f"#{SENTENCE} .qk-how")).to_contain_text("each row divided by its sum")


def test_one_text_of_a_pair_is_asked_about_the_other(new_page: NewPage, pairs: str) -> None:
    page = new_page(f"{pairs}&sequence=1&token=0")
    state = wait_for(page, SENTENCE, state="ready", pair="all")
    n = state["n_tokens"]
    whole = shares(page).reshape(n, n)
    page.locator(f"#{SENTENCE} label:has-text('pair') select").select_option("A→B")
    wait_for(page, SENTENCE, pair="A→B")
    texts = page.locator(f"#{SENTENCE} .qk-of-query .qk-token-text").all_text_contents()
    first_b = texts.index("[SEP]") + 1
    expected = np.zeros_like(whole)
    expected[:first_b, first_b:] = whole[:first_b, first_b:]
    wait_until(page, lambda: np.array_equal(shares(page).reshape(n, n), expected))
    tick(page.get_by_role("radio", name="Aggregate"))
    expect(page.locator(f"#{AGGREGATE}")).to_contain_text("pairs of texts of different lengths")


def test_the_mean_by_position_tells_how_many_sequences_are_behind_it(
    new_page: NewPage, capture: Capture
) -> None:
    page = new_page("/head?layer=2&head=4&method=pca")
    wait_for(page, HEAD, state="ready")
    tick(page.get_by_role("radio", name="Aggregate"))
    found = aggregate(capture, 2, 4)
    wait_for(page, AGGREGATE, state="ready", n_sequences=found.counts.tolist())
    row = page.locator(f"#{AGGREGATE} .qk-of-query .qk-row").last
    expect(row).to_contain_text(f"n={found.counts[-1]}")
    sums = found.means.sum(axis=1, keepdims=True)
    assert np.allclose(shares(page, AGGREGATE), (found.means / sums).ravel(), atol=1e-6)
    tick(page.locator(f"#{AGGREGATE}").get_by_role("checkbox", name="[CLS]"))
    fewer = aggregate(capture, 2, 4, left_out=["start"])
    wait_for(page, AGGREGATE, state="ready", n_sequences=fewer.counts.tolist())
    page.keyboard.press("Escape")
    page.locator("#head-view canvas").first.focus()
    page.keyboard.press("ArrowRight")
    there = aggregate(capture, 2, 5, left_out=["start"])
    wait_for(page, HEAD, state="ready", head=5)
    wait_for(page, AGGREGATE, state="ready", n_sequences=there.counts.tolist(), filters=["start"])
    sums = np.maximum(there.means.sum(axis=1, keepdims=True), 1e-30)
    assert np.allclose(shares(page, AGGREGATE), (there.means / sums).ravel(), atol=1e-6)


def test_cross_attention_has_the_tokens_of_both_sides(new_page: NewPage, cross: str) -> None:
    page = new_page(f"{cross}&sequence=1&token=1")
    state = wait_for(page, SENTENCE, state="ready", picked={"side": "query", "position": 1})
    assert state["counts"]["query"] != state["counts"]["key"]
    expect(page.locator("#shell-part-field")).to_be_visible()
    sums = shares(page).reshape(state["counts"]["query"], -1).sum(axis=1)
    assert np.allclose(sums, 1, atol=1e-5)
    assert view_state(page, HEAD)["n_in_sequence"] == sum(state["counts"].values())
    page.locator("#shell-part").click()
    page.get_by_role("option", name="decoder").click()
    expect(page.locator("#shell-missing-text")).to_contain_text("the decoder of")
    assert "part=decoder" in page.url


def test_the_view_is_taken_along_as_it_is_shown(new_page: NewPage, tmp_path: Path) -> None:
    page = new_page(f"/head?{PLACE}", accept_downloads=True)
    wait_for(page, SENTENCE, state="ready")
    token(page, "key", 0).click()
    wait_for(page, SENTENCE, hidden={"query": [], "key": [0]})
    files = {}
    for name in ("SVG", "CSV of the weights", "PNG", "HTML file"):
        page.locator(f"#{SENTENCE}").get_by_text("export", exact=True).click()
        with page.expect_download() as download:
            page.locator(f"#{SENTENCE}").get_by_role("button", name=name, exact=True).click()
        files[name] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[name])
    drawing = files["SVG"].read_text(encoding="utf-8")
    assert ">[CLS]</text>" in drawing
    assert drawing.count("<path") == view_state(page, SENTENCE)["n_lines"]
    assert files["PNG"].read_bytes().startswith(b"\x89PNG")
    assert b'id="qk-standalone"' in files["HTML file"].read_bytes()
    lines = files["CSV of the weights"].read_text(encoding="utf-8").splitlines()
    assert "# hidden_keys: 0" in lines
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    assert rows[0][:5] == ["query_position", "query", "key_position", "key", "weight"]
    assert len(rows) - 1 == int((shares(page) > 0).sum())
