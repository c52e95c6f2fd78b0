"""Images reach the model as its own processor makes them, and are shown as the model sees them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import ViTConfig, ViTModel

from pipeline.convert import DINOV2S_PREPROCESSOR
from pipeline.errors import ModelError
from pipeline.models import LoadedModel, pixels, seen
from tests.unit.pipeline.tiny_models import (
    SMALL,
    VIT_PREPROCESSOR,
    copy_of,
    load_tiny,
    make_hub,
    save_preprocessor,
)


@pytest.fixture(scope="module")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_hub(tmp_path_factory.mktemp("hub"))


PREPROCESSORS: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "ViT": (VIT_PREPROCESSOR, (32, 32)),
    "DINOv2": ({"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 40},
                "crop_size": {"height": 32, "width": 32}}, (32, 32)),
    "CLIP": ({"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32},
             (32, 32)),
    "DeiT": ({"feature_extractor_type": "DeiTFeatureExtractor", "size": 40, "crop_size": 32},
             (32, 32)),
    "SigLIP": ({"image_processor_type": "SiglipImageProcessor", "do_convert_rgb": None,
                "size": {"height": 32, "width": 24}}, (32, 24)),
    "fast": ({"image_processor_type": "ViTImageProcessorFast",
              "size": {"height": 32, "width": 32}}, (32, 32)),
}  # fmt: skip


def with_preprocessor(settings: dict[str, Any], hub_cache: Path, folder: Path) -> LoadedModel:
    copy_of("tiny/vit", hub_cache, folder)
    save_preprocessor(folder, settings)
    return load_tiny(str(folder), hub_cache)


@pytest.mark.parametrize("family", PREPROCESSORS)
def test_the_image_processors_of_the_families_work_without_torchvision(
    family: str, hub_cache: Path, tmp_path: Path
) -> None:
    settings, shape = PREPROCESSORS[family]
    loaded = with_preprocessor(settings, hub_cache, tmp_path / "copy")
    red = np.array([255, 0, 0], np.uint8)
    images = [np.broadcast_to(red, (*size, 3)) for size in ((50, 70), (90, 3), (3, 90))]
    values = pixels(loaded, images)
    assert values.shape == (3, 3, *shape)
    assert values.dtype == np.float32
    assert (seen(loaded, values) == red).all()


def checkerboard(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_an_image_of_the_models_own_size_is_seen_unchanged(hub_cache: Path) -> None:
    loaded = load_tiny("tiny/vit", hub_cache)
    image = checkerboard(32, 32)
    np.testing.assert_array_equal(seen(loaded, pixels(loaded, [image]))[0], image)


def test_pixels_are_scaled_as_the_model_expects(hub_cache: Path) -> None:
    loaded = load_tiny("tiny/vit", hub_cache)
    image = checkerboard(32, 32)
    expected = (image / 255 - 0.5) / 0.5
    np.testing.assert_allclose(pixels(loaded, [image])[0], np.moveaxis(expected, -1, 0), atol=1e-6)


def test_dinov2s_sees_the_whole_image_between_black_margins(
    hub_cache: Path, tmp_path: Path
) -> None:
    loaded = with_preprocessor(DINOV2S_PREPROCESSOR, hub_cache, tmp_path / "copy")
    image = checkerboard(100, 200)
    picture = seen(loaded, pixels(loaded, [image]))[0]
    assert picture.shape == (224, 224, 3)
    expected = Image.fromarray(image).resize((224, 112), Image.Resampling.BOX)
    np.testing.assert_array_equal(picture[56:168], np.asarray(expected))
    assert picture[:56].max() == picture[168:].max() == 0


def test_a_processor_of_another_kind_is_refused(hub_cache: Path) -> None:
    loaded = load_tiny("tiny/vit", hub_cache)
    flat = LoadedModel(
        loaded.model, None, lambda **_: {"pixel_values": np.zeros((1, 9, 5))}, loaded.source
    )
    with pytest.raises(ModelError, match=r"makes shape \(1, 9, 5\) of 1 images, expected"):
        pixels(flat, [checkerboard(8, 8)])


@pytest.mark.parametrize(("size", "patch", "tokens"), [(224, 16, 197), (224, 32, 50)])
def test_the_vit_grids_of_the_paper_have_their_token_counts(
    size: int, patch: int, tokens: int, tmp_path: Path
) -> None:
    config = ViTConfig(image_size=size, patch_size=patch, **SMALL)
    ViTModel(config).save_pretrained(tmp_path)
    save_preprocessor(tmp_path, VIT_PREPROCESSOR | {"size": size})
    loaded = load_tiny(str(tmp_path), tmp_path)
    values = pixels(loaded, [np.zeros((30, 50, 3), np.uint8)])
    with torch.no_grad():
        states = loaded.model(torch.from_numpy(values)).last_hidden_state
    assert states.shape == (1, tokens, 32)
