"""Frozen descriptions of work to do, checked when built, and the keys under which it is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipeline.errors import InputError

SCHEMA = 1
# Raise a stage's number in the change that alters what it computes.
STAGE_VERSIONS = {
    "capture": 3, "atlas": 2, "pca": 1, "umap": 4, "tsne": 4, "quality": 2, "order": 1, "labels": 1,
    "reproject": 1,
}  # fmt: skip

METHODS = ("pca", "umap", "tsne")
DIMS = (2, 3)
# 3-D t-SNE and UMAP cost three times as much as 2-D and are made when asked for.
DEFAULT_DIMS = {"pca": (2, 3), "umap": (2,), "tsne": (2,)}
NORMALISATIONS = ("faithful", "paper", "none")
NEIGHBOURS = ("plain", "balanced")
# Chosen on all heads of three models: docs/fidelity.md.
DEFAULT_NEIGHBOURS = "plain"
DEFAULT_GUIDANCE = 0.08
MAX_GUIDANCE = 0.5
# What the dashboard offers: 0 is AttentionViz' method.
GUIDANCES = (0.0, 0.05, DEFAULT_GUIDANCE, 0.15, 0.3, MAX_GUIDANCE)
DEVICES = ("auto", "cpu", "cuda")
PARTS = ("encoder", "decoder", "cross")
ROTARY = ("after", "before")
# 100,000 points a head: what the browser and the projections are made for.
MAX_TOKENS = 50_000


@dataclass(frozen=True)
class AtlasSpec:
    """What to build: one model on one corpus.

    Parameters
    ----------
    model, corpus : a name, hub id, file or folder, as the user wrote it.
    methods : which maps; a subset of `METHODS`.
    dims : a subset of (2, 3); None for what each method is usually looked at in (`DEFAULT_DIMS`).
    normalisation : "faithful", "paper" or "none" (see `normalise.py`).
    guidance : 0 .. 0.5, the share of real attention in t-SNE and UMAP (see `guidance.py`).
    neighbours : "plain", or "balanced" for as many queries as keys (see `knn.py`).
    limit : use the first so many sequences; None for all.
    seed : of every random step.
    device : "auto", "cpu" or "cuda".
    column : column of a CSV, TSV or JSON lines file; None lets the reader choose.
    part : of an encoder-decoder model "encoder" (also for None), "decoder" or "cross"; of a model
        that is shown images in texts the "encoder" of images (also for None) or the "decoder".
    rotary : queries and keys "after" the rotary embedding, or "before" it.
    segmentation : a semantic segmentation model that labels the patches of images; None for the
        masks that come with the images, if any.
    """

    model: str
    corpus: str
    methods: tuple[str, ...] = METHODS
    dims: tuple[int, ...] | None = None
    normalisation: str = "faithful"
    guidance: float = DEFAULT_GUIDANCE
    neighbours: str = DEFAULT_NEIGHBOURS
    limit: int | None = None
    seed: int = 0
    device: str = "auto"
    column: str | None = None
    part: str | None = None
    rotary: str = "after"
    segmentation: str | None = None

    def __post_init__(self) -> None:
        for name, found, known in (
            ("methods", self.methods, METHODS),
            ("dims", DIMS if self.dims is None else self.dims, DIMS),
            ("normalisation", (self.normalisation,), NORMALISATIONS),
            ("neighbours", (self.neighbours,), NEIGHBOURS),
            ("device", (self.device,), DEVICES),
            ("part", (self.part or PARTS[0],), PARTS),
            ("rotary", (self.rotary,), ROTARY),
        ):
            if not (found and all(_is_one_of(value, known) for value in found)):
                raise InputError(f"{name}: found {list(found)}, expected some of {list(known)}")
        if type(self.guidance) not in (int, float) or not 0 <= self.guidance <= MAX_GUIDANCE:
            raise InputError(f"guidance: found {self.guidance}, expected 0 to {MAX_GUIDANCE}")
        if self.limit is not None and not _is_whole(self.limit, 1):
            raise InputError(f"limit: found {self.limit}, expected 1 or more sequences")
        if not _is_whole(self.seed, 0) or self.seed >= 2**31:
            raise InputError(f"seed: found {self.seed}, expected 0 to {2**31 - 1}")

    @property
    def maps(self) -> list[MapSpec]:
        """Return the requested maps, PCA first: it is there at once."""
        return [
            MapSpec(method, dims, self.seed)
            if method == "pca"
            else MapSpec(method, dims, self.seed, float(self.guidance), self.neighbours)
            for method in sorted(self.methods, key=METHODS.index)
            for dims in sorted(self.dims or DEFAULT_DIMS[method])
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> AtlasSpec:
        """Read what `to_json` wrote; unknown names raise TypeError."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        return cls(**values)


def _is_one_of(value: object, known: tuple[object, ...]) -> bool:
    """Tell whether a value is a known one and of its type: 2.0 and True are no whole numbers."""
    return any(type(value) is type(one) and value == one for one in known)


def _is_whole(value: object, least: int) -> bool:
    return type(value) is int and value >= least


def digest(parts: Mapping[str, Any]) -> str:
    """Return the sha256 of canonical JSON: sorted keys, no spaces, NaN refused."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def major(package: str) -> str:
    """Return the major version of an installed package, "none" when it is not there."""
    try:
        return version(package).split(".", maxsplit=1)[0]
    except PackageNotFoundError:
        return "none"


def capture_key(
    spec: AtlasSpec, *, files: Mapping[str, str], corpus_sha256: str, device_class: str
) -> str:
    """Name a capture by everything that shapes it.

    Parameters
    ----------
    files : name -> sha256 of every model, tokeniser and processor file.
    corpus_sha256 : digest of what the model will see, after `limit`.
    device_class : "cpu" or "cuda", with the dtype it computes in.
    """
    return digest({
        "schema": SCHEMA,
        "stage": "capture",
        "version": STAGE_VERSIONS["capture"],
        "files": dict(files),
        "corpus": corpus_sha256,
        "seed": spec.seed,
        # What is left out means the encoder of an encoder-decoder model, and nothing to others.
        "part": spec.part if spec.part != PARTS[0] else None,
        "rotary": spec.rotary,
        "device_class": device_class,
        "libraries": {name: major(name) for name in ("torch", "transformers")},
    })  # fmt: skip


def atlas_key(capture: str, normalisation: str) -> str:
    """Name an atlas: a capture under one normalisation."""
    return digest({
        "schema": SCHEMA,
        "stage": "atlas",
        "version": STAGE_VERSIONS["atlas"],
        "capture": capture,
        "normalisation": normalisation,
    })  # fmt: skip


@dataclass(frozen=True)
class MapSpec:
    """Which maps of all heads: a method, its dimension, and what shapes it.

    Parameters
    ----------
    method, dims : such as "tsne", 2.
    seed : of the projection.
    guidance, neighbours : as in `AtlasSpec`; PCA knows neither and keeps the defaults here.
    """

    method: str
    dims: int
    seed: int = 0
    guidance: float = 0.0
    neighbours: str = "plain"

    @property
    def name(self) -> str:
        """Return the name used in files: `tsne_2d`."""
        return f"{self.method}_{self.dims}d"


def map_key(atlas: str, spec: MapSpec) -> str:
    """Name the maps of all heads of an atlas."""
    library = {"pca": "numpy", "umap": "umap-learn", "tsne": "numba"}[spec.method]
    return digest({
        "schema": SCHEMA,
        "stage": spec.method,
        "version": STAGE_VERSIONS[spec.method],
        "quality": STAGE_VERSIONS["quality"],
        "atlas": atlas,
        "map": asdict(spec) | {"guidance": float(spec.guidance)},
        "libraries": {name: major(name) for name in (library, "numba")},
    })  # fmt: skip


def head_key(map_set: str, layer: int, head: int) -> str:
    """Name the map of one head of a map set."""
    return digest({"stage": "head", "map_set": map_set, "layer": layer, "head": head})


@dataclass(frozen=True)
class RemapSpec:
    """Which points of which head to lay out by themselves.

    Parameters
    ----------
    atlas, selection : keys.
    layer, head : from 0.
    map : method, dimension and what shapes it.
    """

    atlas: str
    layer: int
    head: int
    selection: str
    map: MapSpec

    @property
    def key(self) -> str:
        """Name the map by everything that shapes it."""
        return digest({
            "stage": "reproject", "version": STAGE_VERSIONS["reproject"],
            "layer": self.layer, "head": self.head,
            "selection": self.selection, "map_set": map_key(self.atlas, self.map),
            "quality": STAGE_VERSIONS["quality"],
        })  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> RemapSpec:
        """Read what `to_json` wrote."""
        return cls(**{**row, "map": MapSpec(**row["map"])})
