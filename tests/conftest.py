"""Shared fixtures: kept conversions, small real atlases, and choices of what to run."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from pipeline import convert
from pipeline.build import build_atlas
from pipeline.specs import AtlasSpec
from pipeline.store import Store
from tests.unit.pipeline.tiny_models import SENTENCES, make_hub

# No test measures speed: a busy machine is no failure.
settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--gpu", action="store_true", help="run tests that need a CUDA device")
    parser.addoption("--network", action="store_true", help="run tests that need the internet")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for mark in ("gpu", "network"):
            if item.get_closest_marker(mark) and not config.getoption(f"--{mark}"):
                item.add_marker(pytest.mark.skip(reason=f"not asked for: pytest --{mark}"))


@pytest.fixture(scope="session")
def conversions(pytestconfig: pytest.Config) -> Path:
    """A folder of converted models that is kept until convert.py changes: it costs half a minute.

    Use it as, or link it into, the `models` folder of a store.
    """
    assert pytestconfig.cache is not None
    kept = pytestconfig.cache.mkdir("conversions")
    version = hashlib.sha256(Path(convert.__file__).read_bytes()).hexdigest()
    for old in kept.iterdir():
        if old.name != version:
            shutil.rmtree(old)
    folder = kept / version
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models with random weights in the layout of the hub cache."""
    return make_hub(tmp_path_factory.mktemp("hub"))


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine short sentences of different length."""
    path = tmp_path_factory.mktemp("corpus") / "tiny.txt"
    path.write_text("\n".join(" ".join(SENTENCES[: 1 + i % 3]) for i in range(9)))
    return path


def build(store: Store, hub_cache: Path, **spec: Any) -> dict[str, Any]:
    """Build an atlas in this process and return its summary."""
    return build_atlas(AtlasSpec(**spec), store, hub_cache=hub_cache, report=lambda _: None)


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """An empty store for atlases of tiny models."""
    return Store(tmp_path_factory.mktemp("tiny-store"))


@pytest.fixture(scope="session")
def tiny_atlas(tiny_store: Store, hub_cache: Path, tiny_corpus: Path) -> dict[str, Any]:
    """The summary of an atlas of a tiny BERT."""
    corpus = str(tiny_corpus)
    return build(tiny_store, hub_cache, model="tiny/bert", corpus=corpus, methods=("pca",))


@pytest.fixture(scope="session")
def image_atlas(tiny_store: Store, hub_cache: Path) -> dict[str, Any]:
    """The summary of an atlas of a tiny ViT (4 x 4 patches) on 8 gradients of hue."""
    return build(tiny_store, hub_cache, model="tiny/vit", corpus="gradients", limit=8,
                 methods=("pca",), dims=(2,))  # fmt: skip


@pytest.fixture(scope="session")
def real_store(tmp_path_factory: pytest.TempPathFactory, conversions: Path) -> Store:
    """An empty store that has the kept conversions."""
    root = tmp_path_factory.mktemp("real-store")
    (root / "models").symlink_to(conversions)
    return Store(root)
