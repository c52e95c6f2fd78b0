"""A selection laid out by itself, and the panel of the weights: real maps, real jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from pipeline.atlas import Atlas, read_atlas
from pipeline.projection.pca import project_pca
from pipeline.store import Store
from tests.browser.conftest import tick, view_state, wait_for

pytestmark = pytest.mark.browser
HEAD = "head-view"
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def atlas(store: Store) -> Atlas:
    [key] = [record["key"] for record in store.records("atlas") if record["model"] == "minilm"
             and record["corpus"] == "sentences"]  # fmt: skip
    return read_atlas(store, key)


def shown_map(page: Page) -> tuple[np.ndarray, np.ndarray]:
    """Return the point numbers that the head shows, and where: 0..1 of its frame."""
    points, places = page.evaluate(
        """() => {
            const { data, config } = qk_atlas.views["head-view"];
            return [[...data.order], [...data.coordinates].map((one) => one / 65535)];
        }"""
    )
    return np.array(points), np.array(places).reshape(len(points), -1)


def test_a_selection_gets_a_map_of_its_own_that_a_link_opens_again(
    new_page: NewPage, atlas: Atlas
) -> None:
    page = new_page("/head?layer=2&head=4&method=pca")
    n_all = wait_for(page, HEAD, state="ready")["n_points"]
    page.locator("[data-tool=box]").click()
    box = page.locator(".qk-head-canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 45)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 60, steps=4)
    page.mouse.up()
    n = wait_for(page, "selection-view")["n"]
    assert 10 < n < n_all
    page.get_by_role("button", name="re-project").click()
    wait_for(page, HEAD, state="ready", n_points=n, n_selected=0)
    expect(page.locator(".qk-crumb")).to_contain_text(f"{n:,} selected points")
    assert "selection=" in page.url

    points, places = shown_map(page)
    chosen = np.sort(points)
    expected = project_pca(atlas.unit_points(2, 4)[chosen], n_components=2)
    middle = (expected.min(axis=0) + expected.max(axis=0)) / 2
    frame = (expected - middle) / np.ptp(expected, axis=0).max() + 0.5
    assert np.allclose(places, frame[np.searchsorted(chosen, points)], atol=2e-4)

    page.locator("#head-bar summary").click()
    with page.expect_download() as download:
        page.locator(".qk-menu-item", has_text="CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if not line.startswith("#")]) == n + 1
    assert any(line.startswith("# selection: ") for line in lines)

    page.reload()
    wait_for(page, HEAD, state="ready", n_points=n)
    page.keyboard.press("ArrowRight")  # the same points in the next head
    wait_for(page, HEAD, state="ready", head=5, n_points=n)
    page.get_by_role("button", name="all points").click()
    wait_for(page, HEAD, state="ready", head=5, n_points=n_all)
    assert "selection=" not in page.url


def test_a_selection_that_is_gone_says_so_and_leads_back(new_page: NewPage) -> None:
    page = new_page("/head?method=pca")
    wait_for(page, HEAD, state="ready")
    # Chromium logs every refused request as an error; this one is asked for here.
    answer = {"state": "failed", "error": "this selection is not in the cache any more"}
    page.route("**/selection/**", lambda route: route.fulfill(json=answer))
    page.goto(f"{page.url.split('?')[0]}?method=pca&selection={'a' * 64}")
    expect(page.locator(f"#{HEAD}")).to_contain_text("not in the cache any more")
    page.get_by_role("button", name="all points").click()
    wait_for(page, HEAD, state="ready")


def test_the_weights_of_a_head_are_found_by_a_job_and_shown(
    new_page: NewPage, atlas: Atlas
) -> None:
    page = new_page("/head?layer=2&head=4&method=pca")
    wait_for(page, HEAD, state="ready")
    tick(page.get_by_role("radio", name="Vectors"))
    panel = page.locator("#weights-panel")
    expect(panel.locator(".js-plotly-plot")).to_have_count(3, timeout=120_000)
    expect(panel).to_contain_text("encoder.layer.2.attention.self.query")
    expect(panel).to_contain_text("2,000 of 12,288 entries")
    assert view_state(page, HEAD)["head"] == 4
    page.keyboard.press("Escape")
