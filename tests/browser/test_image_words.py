"""Words that a decoder reads with an image: their attention, and their points on the map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from safetensors.torch import load_file, save_file

from pipeline.atlas import read_atlas
from pipeline.captured import Capture
from pipeline.store import Store
from tests.browser.conftest import tick, view_state, wait_for, wait_until
from tests.browser.test_access import serious_barriers
from tests.conftest import build
from tests.unit.pipeline.test_images import noise
from tests.unit.pipeline.tiny_image_texts import save_llava

pytestmark = pytest.mark.browser
HEAD, IMAGE, SENTENCE = "head-view", "image-view", "sentence-view"
LAYER, NUMBER, WORD = 1, 2, 18  # the word stands behind 16 patches, a line break and "a"
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def words(
    store: Store, hub_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Capture, str]:
    """A tiny LLaVA's decoder on one image of 4 x 4 fields with a caption, and its address."""
    model, corpus = (tmp_path_factory.mktemp("words") / name for name in ("llava", "photos"))
    save_llava(model)
    sharpen(model / "model.safetensors")
    corpus.mkdir()
    fields = noise(4, 4).repeat(8, axis=0).repeat(8, axis=1)
    Image.fromarray(fields).save(corpus / "cat.png")
    (corpus / "cat.txt").write_text("a cat sat on the mat")
    made = build(store, hub_cache, model=str(model), corpus=str(corpus), part="decoder",
                 methods=("pca",), dims=(2,))  # fmt: skip
    address = f"/head?model={model}&corpus={corpus}&part=decoder&method=pca&layer={LAYER}"
    return read_atlas(store, made["atlas"]).capture, f"{address}&head={NUMBER}&sequence=0"


def sharpen(weights: Path) -> None:
    """Make the nearly even attention of a random model choose."""
    tensors = load_file(weights)
    for name in tensors:
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            tensors[name] *= 12
    save_file(tensors, weights, metadata={"format": "pt"})


def heat_of(page: Page) -> NDArray[np.float64]:
    """Return how opaque each patch is drawn, row by row: 0 to 1."""
    script = """() => { const heat = document.querySelector(".qk-heat");
        const { data } = heat.getContext("2d").getImageData(0, 0, heat.width, heat.height);
        return [...data].filter((_, i) => i % 4 === 3); }"""
    return np.array(page.evaluate(script)) / 255


def marked(page: Page) -> list[int]:
    found: list[int] = view_state(page, HEAD)["marked"]
    return found


def index_of(page: Page, token: int, side: str) -> int:
    script = f"qk_atlas.views['{HEAD}'].data.point_of({{ token: {token}, side: '{side}' }})"
    found: int = page.evaluate(script)
    return found


def place_of(page: Page, index: int) -> tuple[float, float]:
    """Return where a point of the map is on the page."""
    script = f"""() => {{ const {{ canvas, placed, ratio }} = qk_atlas.views["{HEAD}"];
        const {{ x, y }} = canvas.getBoundingClientRect();
        return [x + placed.x[{index}] / ratio, y + placed.y[{index}] / ratio]; }}"""
    x, y = page.evaluate(script)
    return x, y


def test_the_attention_of_a_word_lands_on_its_patches(
    new_page: NewPage, words: tuple[Capture, str]
) -> None:
    capture, address = words
    weights = capture.attention(0, LAYER, NUMBER)
    page = new_page(f"{address}&token={WORD}", color_scheme="dark")
    wait_for(page, IMAGE, state="ready", picked={"side": "query", "position": WORD})
    button = page.locator(".qk-image-word[aria-pressed=true]")
    assert button.inner_text() == capture.tokens.token_text[WORD].strip()
    page.get_by_role("button", name="contrast").click()
    wait_for(page, IMAGE, contrast=True)
    to_patches = weights[WORD, :16]
    assert np.abs(heat_of(page) - to_patches / to_patches.max()).max() <= 1 / 255
    assert np.ptp(to_patches) > 4 / 255  # else any patch would do
    page.locator(f"#{IMAGE}").get_by_role("button", name="as key").click()
    wait_for(page, IMAGE, picked={"side": "key", "position": WORD})
    from_words = weights[:, WORD]
    assert heat_of(page).max() == 0  # patches come first and cannot look ahead
    other = page.locator(".qk-image-word").nth(WORD - 16 + 2)
    other.hover()
    expect(page.locator(".qk-readout")).to_contain_text(f"weight {from_words[WORD + 2]:.3f}")
    assert serious_barriers(page) == {}


def test_a_word_below_the_pointer_marks_its_point_on_the_map_and_the_other_way_round(
    new_page: NewPage, words: tuple[Capture, str]
) -> None:
    page = new_page(f"{words[1]}&token=3")
    wait_for(page, IMAGE, state="ready")
    page.locator(".qk-image-word").nth(WORD - 16).hover()
    key = index_of(page, WORD, "key")  # a query is picked, so keys are pointed at
    wait_until(page, lambda: marked(page) == [key])
    page.mouse.move(5, 5)
    wait_until(page, lambda: marked(page) == [])
    page.mouse.move(*place_of(page, key))
    wait_until(page, lambda: view_state(page, HEAD)["hovered"] is not None)
    hovered = view_state(page, HEAD)["hovered"]
    token = page.evaluate(f"qk_atlas.views['{HEAD}'].data.meaning_of({hovered}).token")
    wait_until(page, lambda: (view_state(page, IMAGE)["hot"] or {}).get("position") == token)
    assert serious_barriers(page) == {}


def test_words_or_patches_leave_map_and_lines(
    new_page: NewPage, words: tuple[Capture, str]
) -> None:
    capture, address = words
    n_tokens = capture.n_tokens
    page = new_page(f"{address}&token=3")
    assert wait_for(page, HEAD, state="ready")["n_shown"] == 2 * n_tokens
    page.get_by_label("points of words").click()
    wait_for(page, HEAD, n_shown=2 * 16, n_in_sequence=2 * 16)
    page.get_by_label("points of words").click()
    page.get_by_label("points of patches").click()
    wait_for(page, HEAD, n_shown=2 * (n_tokens - 16))
    page.locator(".qk-kinds").get_by_role("button", name="text").click()
    wait_for(page, SENTENCE, state="ready")
    tick(page.locator(f"#{SENTENCE} [data-filter=words]"))
    weights = capture.attention(0, LAYER, NUMBER)[:16, :16]
    shares = page.evaluate(f"[...qk_atlas.views['{SENTENCE}'].shares]")
    found = np.array(shares).reshape(n_tokens, n_tokens)
    assert np.abs(found[:16, :16] - weights / weights.sum(axis=1, keepdims=True)).max() <= 1e-6
    assert not found[16:].any()
    assert not found[:, 16:].any()
    assert serious_barriers(page) == {}
