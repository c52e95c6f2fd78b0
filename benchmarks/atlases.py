"""The three atlases that benchmarks run on, 10k points a head; built when they are missing."""

from __future__ import annotations

import os
import tempfile
from importlib.resources import files
from pathlib import Path

from PIL import Image

from pipeline.atlas import Atlas
from pipeline.build import _prepare, hub_cache
from pipeline.records import Progress
from pipeline.specs import AtlasSpec
from pipeline.stages import Clock, atlas_stage, capture_stage
from pipeline.store import Store

MODELS = ("minilm", "smollm2", "dinov2s")
# Twenty images of 257 patches are 10,280 points.
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "camera.png")
QUARTERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def open_store() -> Store:
    """Return the store of the folder that `QKATLAS_CACHE` names."""
    return Store(Path(os.environ.get("QKATLAS_CACHE") or "cache"))


def open_atlas(store: Store, model: str) -> Atlas:
    """Return the atlas of a model on sentences or quarters of photographs, without any map."""
    with tempfile.TemporaryDirectory() as folder:
        return build_vectors(store, model, corpus_of(model, Path(folder)))


def build_vectors(store: Store, model: str, corpus: str, *, limit: int | None = None) -> Atlas:
    """Capture and normalise, unless it is stored."""
    spec, clock = AtlasSpec(model, corpus, methods=("pca",), limit=limit), Clock()
    request = _prepare(spec, store, hub_cache(), _no_report)
    return atlas_stage(request, capture_stage(request, store, clock, _no_report), clock, _no_report)


def _no_report(progress: Progress) -> None:
    del progress


def corpus_of(model: str, folder: Path) -> str:
    """Return the corpus of a model by name; images are written to a folder."""
    if model != "dinov2s":
        return "sentences"
    for name in PHOTOS:
        with Image.open(str(files("skimage").joinpath("data", name))) as image:
            width, height = image.width // 2, image.height // 2
            for row, column in QUARTERS:
                left, top = column * width, row * height
                quarter = image.convert("RGB").crop((left, top, left + width, top + height))
                quarter.save(folder / f"{Path(name).stem}-{row}{column}.png")
    return str(folder)
