"""Patch labels: maps move exactly like their image, the majority wins, and who says so is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.atlas import read_atlas
from pipeline.build import find_built
from pipeline.convert import DINOV2S_PREPROCESSOR
from pipeline.corpora import load_corpus
from pipeline.errors import InputError
from pipeline.images import png_to_labels
from pipeline.label_stage import warp_labels
from pipeline.models import LoadedModel, pixels, seen
from pipeline.patch_labels import PatchLabels, encode_labels, majority, read_labels
from pipeline.search import find_tokens
from pipeline.segmentation import load_segmenter, segment_image
from pipeline.specs import AtlasSpec
from pipeline.store import Store
from tests.conftest import build
from tests.unit.pipeline.tiny_models import copy_of, load_tiny, save_preprocessor, source_of

COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], np.uint8)
PREPROCESSORS: dict[str, dict[str, Any]] = {
    "resize": {"image_processor_type": "ViTImageProcessor", "size": 32},
    "resize and crop": {"image_processor_type": "BitImageProcessor",
                        "size": {"shortest_edge": 40},
                        "crop_size": {"height": 32, "width": 32}},
    "not square": {"image_processor_type": "SiglipImageProcessor", "do_convert_rgb": None,
                   "size": {"height": 32, "width": 24}},
    "letterbox": DINOV2S_PREPROCESSOR,
    "CLIP": {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32},
}  # fmt: skip


def with_preprocessor(settings: dict[str, Any], hub_cache: Path, folder: Path) -> LoadedModel:
    copy_of("tiny/vit", hub_cache, folder)
    save_preprocessor(folder, settings)
    return load_tiny(str(folder), hub_cache)


def quarters(height: int, width: int) -> NDArray[np.uint16]:
    """Return a map whose four quarters are of the classes 1 to 4, cut off the middle."""
    labels = np.ones((height, width), np.uint16)
    labels[:, width * 2 // 5 :] += 1
    labels[height * 3 // 5 :] += 2
    return labels


@pytest.mark.parametrize("kind", PREPROCESSORS)
@pytest.mark.parametrize("size", [(90, 130), (120, 60)])
def test_a_map_moves_exactly_like_its_image(
    kind: str, size: tuple[int, int], hub_cache: Path, tmp_path: Path
) -> None:
    loaded = with_preprocessor(PREPROCESSORS[kind], hub_cache, tmp_path / "copy")
    labels = quarters(*size)
    warped = warp_labels(loaded, labels)
    picture = seen(loaded, pixels(loaded, [COLOURS[labels - 1]]))[0].astype(int)
    assert picture.shape[:2] == warped.shape
    distance = np.abs(picture[:, :, None] - COLOURS[None, None].astype(int)).sum(axis=-1)
    is_pure = distance.min(axis=-1) < 40  # elsewhere the image blends two quarters, or is margin
    assert is_pure.mean() > 0.4
    assert (warped[is_pure] == distance.argmin(axis=-1)[is_pure] + 1).all()
    # Only along the edges, two pixels wide at most, may the two differ.
    assert (~is_pure & (warped >= 0)).sum() <= 6 * sum(warped.shape)
    is_margin = warped < 0
    assert is_margin.any() == (kind == "letterbox")
    assert (picture[is_margin] == 0).all()


def test_a_processor_that_blends_maps_is_refused(hub_cache: Path) -> None:
    loaded = load_tiny("tiny/vit", hub_cache)

    def blending(*, resample: int, **options: Any) -> Any:
        del resample
        return loaded.image_processor(resample=2, **options)

    blends = LoadedModel(loaded.model, None, blending, loaded.source)
    with pytest.raises(InputError, match="blends the pixels of label maps"):
        warp_labels(blends, np.arange(90 * 70, dtype=np.uint16).reshape(90, 70) % 7 * 30)


def test_the_majority_of_a_patch_wins_and_margins_have_no_vote() -> None:
    labels = np.full((9, 8), 2)  # the last row belongs to no patch
    labels[:4, :4] = [[0, 0, 1, 1]] * 4  # a draw: the smaller class
    labels[:4, 4:] = -1
    labels[0, 7] = 5
    labels[4:8, :4] = -1
    found = majority(labels, (2, 2), 4)
    assert found.tolist() == [[0, 5], [-1, 2]]


def test_labels_of_gradients_are_the_names_of_their_colours(
    tiny_store: Store, image_atlas: dict[str, Any]
) -> None:
    capture = read_atlas(tiny_store, image_atlas["atlas"]).capture
    labels = read_labels(tiny_store, capture.record["key"])
    assert labels is not None
    assert labels.source.startswith("by construction")
    assert labels.texts[0] == ""  # [CLS]
    first_row = labels.texts[1:5]  # hue rising to the right
    assert first_row[0] in ("red", "yellow")
    assert first_row[-1] in ("blue", "magenta")
    maps = load_corpus("gradients").label_maps
    assert maps is not None
    assert set(np.unique(png_to_labels(maps.maps[8])).tolist()) == {7, 8, 9}  # brightness
    found = find_tokens(capture.tokens, "Red, [CLS]", labels=labels.texts)
    assert found[0].tokens.tolist() == [i for i, text in enumerate(labels.texts) if text == "red"]
    assert found[1].tokens.size == 8


def test_five_colours_show_the_most_frequent_labels_all_others_and_none() -> None:
    names = {n: f"class {n}" for n in range(7)}
    numbers = np.array([-1, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 6])
    found = encode_labels(PatchLabels(numbers, names, "", ""))
    assert found.legend == ("class 0", "class 1", "class 2", "all others", "no label")
    assert found.values.tolist() == [4, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 3]
    few = encode_labels(PatchLabels(np.array([0, 1, 1]), names, "", ""))
    assert few.legend == ("class 1", "class 0")


def test_a_segmentation_model_labels_a_whole_image_whatever_its_shape(hub_cache: Path) -> None:
    segmenter = load_segmenter(source_of("tiny/segformer", hub_cache), device="cpu")
    assert segmenter.names == {0: "bg", 1: "person", 2: "tree"}
    rng = np.random.default_rng(0)
    for size in ((40, 100), (1, 1), (130, 30)):
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        found = segment_image(segmenter, image)
        assert found.shape == size
        assert set(np.unique(found)) <= {0, 1, 2}


def test_a_build_labels_with_a_model_and_without_one_by_construction_again(
    hub_cache: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    spec: dict[str, Any] = {
        "model": "tiny/vit", "corpus": "gradients", "limit": 3, "methods": ("pca",), "dims": (2,)
    }  # fmt: skip
    with_model = build(store, hub_cache, **spec, segmentation="tiny/segformer")
    key = read_atlas(store, with_model["atlas"]).capture.record["key"]
    labels = read_labels(store, key)
    assert labels is not None
    assert labels.source == "the segmentation model tiny/segformer@01234567"
    assert set(labels.names.values()) <= {"bg", "person", "tree"}
    plain = AtlasSpec(**spec)
    assert find_built(plain, store, hub_cache=hub_cache) is None  # it asks for other labels
    assert build(store, hub_cache, **spec)["atlas"] == with_model["atlas"]
    labels = read_labels(store, key)
    assert labels is not None
    assert labels.source.startswith("by construction")
    assert find_built(plain, store, hub_cache=hub_cache) is not None


@pytest.mark.parametrize(
    ("corpus", "segmentation", "message"),
    [("gradients", "tiny/vit", "no semantic segmentation model"),
     ("sentences", "tiny/segformer", "labels images only")],
)  # fmt: skip
def test_what_cannot_label_is_refused_in_words(
    corpus: str, segmentation: str, message: str, hub_cache: Path, tmp_path: Path
) -> None:
    from pipeline.errors import PipelineError

    with pytest.raises(PipelineError, match=message):
        build(Store(tmp_path), hub_cache, model="tiny/vit", corpus=corpus, limit=2,
              methods=("pca",), dims=(2,), segmentation=segmentation)  # fmt: skip
