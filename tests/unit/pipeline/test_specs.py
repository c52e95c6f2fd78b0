"""Specs and keys."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pipeline import specs
from pipeline.errors import InputError
from pipeline.specs import AtlasSpec, MapSpec, atlas_key, capture_key, digest, map_key

SPEC = AtlasSpec("minilm", "sentences")
FILES = {"model.safetensors": "ab", "tokenizer.json": "cd"}
CAPTURE = {"files": FILES, "corpus_sha256": "ef", "device_class": "cpu float32"}


def test_a_spec_survives_json():
    spec = AtlasSpec("m", "c", methods=("pca",), dims=(3,), limit=5, seed=7, column="text")
    assert AtlasSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"methods": ("mds",)}, "mds"),
        ({"methods": ()}, "methods"),
        ({"dims": (4,)}, "4"),
        ({"normalisation": "best"}, "best"),
        ({"device": "tpu"}, "tpu"),
        ({"limit": 0}, "limit"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_options_are_refused_with_what_was_found(changes, found):
    with pytest.raises(InputError, match=found):
        replace(SPEC, **changes)


def test_maps_come_pca_first_and_3d_only_where_it_is_usual():
    spec = replace(SPEC, methods=("tsne", "pca", "umap"))
    assert [m.name for m in spec.maps] == ["pca_2d", "pca_3d", "umap_2d", "tsne_2d"]


def test_requested_dims_hold_for_every_method():
    found = replace(SPEC, methods=("tsne",), dims=(3, 2)).maps
    assert [m.name for m in found] == ["tsne_2d", "tsne_3d"]


def test_equal_inputs_have_equal_keys_however_they_are_written():
    other = dict(reversed(FILES.items()))
    assert capture_key(SPEC, **CAPTURE) == capture_key(SPEC, **CAPTURE | {"files": other})


@pytest.mark.parametrize(
    "change",
    [
        {"files": FILES | {"tokenizer.json": "00"}},
        {"files": {"model.safetensors": "ab"}},
        {"corpus_sha256": "00"},
        {"device_class": "cuda float32"},
    ],
)
def test_every_field_of_a_capture_changes_its_key(change):
    assert capture_key(SPEC, **CAPTURE) != capture_key(SPEC, **CAPTURE | change)


def test_the_seed_changes_the_key_and_what_only_maps_need_does_not():
    key = capture_key(SPEC, **CAPTURE)
    assert capture_key(replace(SPEC, seed=1), **CAPTURE) != key
    assert capture_key(replace(SPEC, methods=("pca",), dims=(2,)), **CAPTURE) == key


MAP = MapSpec("tsne", 2, seed=0, guidance=0.0, neighbours="plain")


@pytest.mark.parametrize(
    "change",
    [{"method": "umap"}, {"dims": 3}, {"seed": 1}, {"guidance": 0.1}, {"neighbours": "balanced"}],
)
def test_every_field_of_a_map_changes_its_key(change):
    assert map_key("a", replace(MAP, **change)) != map_key("a", MAP)


def test_another_atlas_has_other_maps():
    assert map_key("b", MAP) != map_key("a", MAP)


def test_equal_guidance_is_one_map_however_it_is_written():
    assert map_key("a", replace(MAP, guidance=0)) == map_key("a", MAP)


def test_guidance_leaves_pca_alone():
    maps = {spec.name: spec for spec in replace(SPEC, guidance=0.3, dims=(2,)).maps}
    assert maps["pca_2d"] == MapSpec("pca", 2, SPEC.seed)
    assert maps["tsne_2d"].guidance == 0.3


@pytest.mark.parametrize("guidance", [-0.1, 0.51, float("nan")])
def test_guidance_outside_its_range_is_refused(guidance):
    with pytest.raises(InputError, match="guidance"):
        replace(SPEC, guidance=guidance)


def test_normalisation_changes_the_atlas():
    assert atlas_key("a", "paper") != atlas_key("a", "faithful")


@pytest.mark.parametrize("stage", ["capture", "atlas", "tsne", "quality"])
def test_a_new_stage_version_changes_its_key(monkeypatch, stage):
    def key():
        return {
            "capture": lambda: capture_key(SPEC, **CAPTURE),
            "atlas": lambda: atlas_key("a", "paper"),
            "tsne": lambda: map_key("a", MAP),
            "quality": lambda: map_key("a", MAP),
        }[stage]()

    before = key()
    monkeypatch.setitem(specs.STAGE_VERSIONS, stage, 1000)
    assert key() != before


def test_a_new_library_version_changes_the_key(monkeypatch):
    before = capture_key(SPEC, **CAPTURE)
    monkeypatch.setattr(specs, "major", lambda _: "1000")
    assert capture_key(SPEC, **CAPTURE) != before


def test_one_and_true_and_a_float_are_different_parts():
    assert len({digest({"x": value}) for value in (1, 1.0, True)}) == 3


def test_nan_is_refused():
    with pytest.raises(ValueError, match="Out of range"):
        digest({"x": float("nan")})
