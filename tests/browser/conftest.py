"""A running dashboard over a small real atlas, and Chromium to look at it."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright
from werkzeug.serving import make_server

from app.serve import build_dashboard
from app.settings import Settings
from pipeline.store import Store
from tests.conftest import build

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
N_SENTENCES = 16
N_IMAGES = 2


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, conversions: Path, hub_cache: Path) -> Store:
    """A cache with two atlases: minilm on 16 sentences, dinov2s on 2 gradients."""
    root = tmp_path_factory.mktemp("browser-store")
    (root / "models").symlink_to(conversions)
    found = Store(root)
    build(found, hub_cache, model="minilm", corpus="sentences", limit=N_SENTENCES,
          methods=("pca",))  # fmt: skip
    build(found, hub_cache, model="dinov2s", corpus="gradients", limit=N_IMAGES,
          methods=("pca",), dims=(2,))  # fmt: skip
    return found


@pytest.fixture(scope="session")
def paper(store: Store, hub_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus of an atlas: the examples of BertViz' paper, and tokens that try to be more."""
    path = tmp_path_factory.mktemp("paper") / "paper.csv"
    path.write_text(
        "text,text_pair\n"
        '"The quick, brown fox jumps over the lazy",\n'
        "the cat sat on the mat,the cat lay on the rug\n"
        "</script> <s> \u202eevil\u202c <img src=x onerror=alert(1)>,\n"
    )
    build(store, hub_cache, model="minilm", corpus=str(path), methods=("pca",), dims=(2,))
    return path


@pytest.fixture(scope="session")
def address(store: Store, hub_cache: Path) -> Iterator[str]:
    """The address of a dashboard with its worker, headers and all."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    dashboard = build_dashboard(Settings(cache=store.root, hub_cache=hub_cache))
    server = make_server("127.0.0.1", 0, dashboard.app.server, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()
    dashboard.supervisor.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or Playwright's own where there is none."""
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Open pages; the test fails on any console error, page error or request to another host."""
    faults: list[str] = []
    contexts = []
    host = urlsplit(address).netloc

    def watch(page: Page) -> None:
        page.on("console", lambda m: faults.append(fault_of(m)) if m.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))

        def check(request: Any) -> None:
            parts = urlsplit(request.url)
            if parts.scheme in ("http", "https") and parts.netloc != host:
                faults.append(f"request to {request.url}")

        page.on("request", check)

    def open_page(path: str = "/", **options: Any) -> Page:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        watch(page)
        page.goto(address + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def view_state(page: Page, view: str) -> dict[str, Any]:
    """Return what a view says it shows; {} while it is not mounted."""
    found: dict[str, Any] = page.evaluate(
        "id => globalThis.qk_atlas?.views[id]?.state() ?? {}", view
    )
    return found


def fault_of(message: ConsoleMessage) -> str:
    return f"{message.text} ({message.location['url']})"


def tick(box: Locator) -> None:
    """Choose a box or a button of a group; a busy page shows that only a moment later."""
    box.click(force=True)
    expect(box).to_be_checked(timeout=30_000)


def wait_until(page: Page, holds: Callable[[], bool], timeout_s: float = 60) -> None:
    """Wait for a condition that no locator can state."""
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s, "what was waited for did not come"
        page.wait_for_timeout(50)


def wait_for(page: Page, view: str, timeout_s: float = 60, **expected: Any) -> dict[str, Any]:
    """Wait until a view shows what is expected; the policy of the pages forbids wait_for_function.

    Returns
    -------
    The state of the view.
    """
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        state = view_state(page, view)
        if state and all(state.get(name) == value for name, value in expected.items()):
            return state
        page.wait_for_timeout(50)
    pytest.fail(f"{view} shows {view_state(page, view)}, expected {expected}")
