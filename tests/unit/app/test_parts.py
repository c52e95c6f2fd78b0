"""Encoder, decoder and cross-attention: which part is found, offered and built."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.opening import describe
from app.view_state import ViewState, parse, to_query
from pipeline.service import Service
from pipeline.store import Store
from tests.conftest import build
from tests.reference.families import save_family


@pytest.fixture(scope="module")
def folder(
    tiny_store: Store, hub_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> str:  # fmt: skip
    """A tiny BART with atlases of its encoder and its cross-attention on pairs of texts."""
    path = str(save_family("bart", tmp_path_factory.mktemp("bart") / "bart"))
    for part in ("cross", None):
        build(tiny_store, hub_cache, model=path, corpus="pairs", limit=3, methods=("pca",),
              dims=(2,), part=part)  # fmt: skip
    return path


def test_a_part_is_found_by_its_name(service: Service, folder: str) -> None:
    for part, kinds in (("encoder", {"encoder"}), ("cross", {"cross"})):
        atlas = service.find_atlas(folder, "pairs", "faithful", part)
        assert atlas is not None
        assert {layer.kind for layer in atlas.capture.layers} == kinds
    assert service.find_atlas(folder, "pairs", "faithful", "decoder") is None


def test_a_missing_part_is_named_and_can_be_chosen(service: Service, folder: str) -> None:
    found = describe(service, folder, "pairs", "faithful", part="decoder")
    assert found["has_parts"]
    assert found["part"] == "decoder"
    assert "the decoder of" in found["missing"]


def test_a_model_of_one_part_ignores_the_choice(service: Service, tiny_corpus: Path) -> None:
    found = describe(service, "tiny/bert", str(tiny_corpus), "faithful", part="cross")
    assert not found["has_parts"]
    assert found["kind"] == "self"


def test_of_an_unknown_model_only_the_address_can_know(service: Service) -> None:
    assert describe(service, "org/new", "pairs", "faithful", part="cross")["has_parts"]
    assert not describe(service, "org/new", "pairs", "faithful")["has_parts"]


def test_cross_attention_is_said_to_have_positions_of_its_own(
    service: Service, folder: str
) -> None:
    found = describe(service, folder, "pairs", "faithful", part="cross")
    assert found["kind"] == found["provenance"]["part"] == "cross"
    assert found["no_aggregate"] == ""


def test_the_part_is_in_the_address_and_a_wrong_one_is_refused() -> None:
    assert to_query(ViewState(part="cross")) == "part=cross"
    assert parse({"part": "cross"}) == (ViewState(part="cross"), [])
    state, notices = parse({"part": "middle"})
    assert state.part == "encoder"
    assert "part 'middle'" in notices[0]
