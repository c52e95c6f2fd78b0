"""The image view in its three modes, linked with the map. Numbers are those of the capture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect

from pipeline.atlas import read_atlas
from pipeline.captured import Capture
from pipeline.patch_labels import read_labels
from pipeline.store import Store
from tests.browser.conftest import view_state, wait_for

pytestmark = pytest.mark.browser
HEAD, IMAGE = "head-view", "image-view"
LAYER, NUMBER, SEQUENCE, TOKEN = 3, 2, 1, 100
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def capture(store: Store) -> Capture:
    [key] = [r["key"] for r in store.records("atlas") if r["model"] == "dinov2s"]
    return read_atlas(store, key).capture


@pytest.fixture
def page(new_page: NewPage) -> Page:
    place = f"layer={LAYER}&head={NUMBER}&sequence={SEQUENCE}&token={TOKEN}"
    opened = new_page(f"/head?model=dinov2s&corpus=gradients&method=pca&{place}")
    wait_for(opened, IMAGE, state="ready")
    return opened


def flows_from(weights: NDArray[np.float32], least: float) -> int:
    return int((weights >= np.float32(least)).sum())


def test_modes_show_the_weights_of_the_capture_and_heads_keep_them(
    page: Page, capture: Capture
) -> None:
    weights = capture.attention(SEQUENCE, LAYER, NUMBER)
    patches = weights[1:]  # [CLS] stands first and has no arrow
    state = wait_for(page, IMAGE, mode="patch", picked={"side": "query", "position": TOKEN})
    assert state["max_weight"] == pytest.approx(weights[TOKEN, 1:].max(), abs=1e-6)
    panel = page.locator(f"#{IMAGE}")
    panel.get_by_role("button", name="as key").click()
    state = wait_for(page, IMAGE, picked={"side": "key", "position": TOKEN})
    assert state["max_weight"] == pytest.approx(weights[1:, TOKEN].max(), abs=1e-6)
    page.locator(".qk-stage").press("Escape")
    panel.get_by_role("button", name="strongest").click()
    strong = patches[patches.max(axis=1) >= np.float32(0.05)]
    state = wait_for(page, IMAGE, mode="strongest", n_flows=len(strong))
    assert state["counts"]["square"] == int((strong.argmax(axis=1) == 0).sum())
    assert state["counts"]["triangle"] == 0
    panel.get_by_role("button", name="all flows").click()
    page.wait_for_url("**image_mode=flows**")
    wait_for(page, IMAGE, mode="flows", n_flows=flows_from(weights, 0.1))
    panel.get_by_label("least weight that is drawn").fill("0.3")
    wait_for(page, IMAGE, threshold=0.3, n_flows=flows_from(weights, 0.3))
    page.wait_for_url("**image_least=0.3**")
    page.locator("#head-bar [data-direction=right]").click()
    wait_for(page, HEAD, state="ready", head=NUMBER + 1)
    other = capture.attention(SEQUENCE, LAYER, NUMBER + 1)
    wait_for(page, IMAGE, state="ready", mode="flows", n_flows=flows_from(other, 0.3))
    page.locator(".qk-stage").press("ArrowRight")  # picks the first patch
    picked = {"side": "key", "position": 1}
    wait_for(page, IMAGE, picked=picked)
    page.wait_for_url("**token=1&side=key**")
    page.reload()
    wait_for(page, IMAGE, state="ready", mode="flows", threshold=0.3, picked=picked)


def test_patches_and_boxes_are_linked_with_the_map_both_ways(page: Page, capture: Capture) -> None:
    first = int(capture.tokens.sequence_offset[SEQUENCE])
    page.locator(".qk-stage").press("ArrowRight")
    wait_for(page, IMAGE, picked={"side": "query", "position": TOKEN + 1})
    wait_for(page, HEAD, picked={"side": "query", "token": first + TOKEN + 1})
    page.locator(".qk-special-box").click()
    wait_for(page, IMAGE, picked={"side": "query", "position": 0})
    wait_for(page, HEAD, picked={"side": "query", "token": first})
    page.locator(".qk-stage").hover(position={"x": 3, "y": 3})
    hot = {"side": "key", "position": 1}
    assert wait_for(page, IMAGE, hot=hot)["hot"] == hot
    weight = capture.attention(SEQUENCE, LAYER, NUMBER)[0, 1]
    labels = read_labels(capture.store, capture.record["key"])
    assert labels is not None
    expect(page.locator(".qk-readout")).to_have_text(
        f"key at row 0, column 0 ({labels.texts[first + 1]}): weight {weight:.3f}"
    )


def test_what_is_shown_can_be_taken_along(
    page: Page, capture: Capture, browser: Browser, tmp_path: Path
) -> None:
    def export(name: str) -> bytes:
        page.locator(f"#{IMAGE} summary").click()
        with page.expect_download() as download:
            page.locator(f"#{IMAGE} .qk-menu-item", has_text=name).click()
        return Path(download.value.path()).read_bytes()

    lines = export("CSV").decode().splitlines()
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    found = np.array([float(row[-1]) for row in rows[1:]])
    weights = capture.attention(SEQUENCE, LAYER, NUMBER)
    assert np.allclose(found, weights[TOKEN], atol=1e-6)
    assert "# model: dinov2s" in lines
    drawing = export("SVG").decode()
    assert drawing.count("<rect") == 1 + 16 * 16
    assert "data:image/png;base64," in drawing
    assert export("PNG").startswith(b"\x89PNG")
    assert view_state(page, IMAGE)["state"] == "ready"
    path = tmp_path / "image.html"
    path.write_bytes(export("HTML"))
    context = browser.new_context(offline=True)
    file = context.new_page()
    file.goto(path.as_uri())
    wait_for(file, "qk-standalone", state="ready", n_tokens=1 + 16 * 16)
    context.close()
