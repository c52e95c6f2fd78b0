"""What is measured of patches, on pictures whose patches are known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.corpora import load_corpus
from pipeline.images import array_to_png
from pipeline.patches import patch_angles, patch_means

GRID = (16, 16)


@pytest.fixture(scope="module")
def waves():
    return load_corpus("waves")


@pytest.mark.parametrize("cycles", [2.0, 5.0, 10.0, 20.0])
def test_stripes_have_the_angle_they_were_drawn_with(waves, cycles):
    kinds, frequencies, angles = (waves.columns[n] for n in ("kind", "frequency", "angle"))
    chosen = [
        i for i, kind in enumerate(kinds) if kind == "stripes" and frequencies[i] == cycles
    ]  # fmt: skip
    assert len(chosen) == 4
    for i in chosen:
        found = patch_angles(waves.images[i], GRID) * 180
        off = np.abs(found - angles[i])
        off = np.minimum(off, 180 - off)
        assert np.nanmedian(off) < 2
        assert np.isnan(found).mean() < 0.05


def test_an_even_patch_has_no_angle():
    assert np.isnan(patch_angles(array_to_png(np.full((32, 32, 3), 90, np.uint8)), (2, 2))).all()


def test_noise_has_no_angle_but_its_colour_is_a_mean():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.isnan(patch_angles(array_to_png(pixels), (2, 2))).mean() >= 0.75
    expected = pixels.reshape(2, 32, 2, 32, 3).mean(axis=(1, 3)) / 255
    assert np.allclose(patch_means(array_to_png(pixels), (2, 2)), expected, atol=1 / 255)


def test_patches_need_not_divide_the_picture():
    pixels = np.tile(np.arange(50, dtype=np.uint8)[:, None] * 5, (1, 45))
    found = patch_angles(array_to_png(np.repeat(pixels[..., None], 3, axis=2)), (3, 4))
    assert found.shape == (3, 4)
    assert np.allclose(found, 0.5, atol=0.01)
