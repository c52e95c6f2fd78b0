"""Builds an atlas, stage by stage; what is stored already is not computed again.

Only what has to be computed loads torch: an atlas that is complete is answered from the store.
"""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.atlas import Atlas, read_atlas
from pipeline.catalogue import NeedsPreparation, find_source
from pipeline.corpora import load_corpus
from pipeline.device import resolve_device
from pipeline.errors import InputError, MemoryShortage
from pipeline.heads import MapSet
from pipeline.label_stage import has_labels, label_stage
from pipeline.maps import finish_heads, open_map_set, project_pca_sets, qualities
from pipeline.orders import order_stage, read_orders
from pipeline.records import Progress
from pipeline.specs import AtlasSpec
from pipeline.stages import Clock, Request, atlas_stage, capture_stage
from pipeline.store import Store

logger = logging.getLogger(__name__)

Report = Callable[[Progress], None]


def run_build(spec_json: dict[str, Any], store: Store, report: Report) -> dict[str, Any]:
    """Build from plain JSON; what a worker runs for a job."""
    return build_atlas(AtlasSpec.from_json(spec_json), store, hub_cache=hub_cache(), report=report)


def hub_cache() -> Path:
    """Return the folder of downloaded models, as huggingface_hub finds it in its environment."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def build_atlas(
    spec: AtlasSpec, store: Store, *, hub_cache: Path, report: Report, per_head: bool = False
) -> dict[str, Any]:
    """Build what is missing of an atlas and return its summary.

    Parameters
    ----------
    spec : what to build.
    store : where everything goes; other builds may use it at the same time.
    hub_cache : folder of downloaded models.
    report : told of progress; may raise `Cancelled`.
    per_head : as for `summary`.

    Returns
    -------
    What `summary` returns.

    Raises
    ------
    PipelineError
        with a message for the user, on bad input, a model that is refused, or a full disk.
    """
    report(Progress("prepare", 0, 1, f"reading {spec.corpus} and {spec.model}"))
    request = _prepare(spec, store, hub_cache, report)
    try:
        atlas = _make(request, store, report)
    except MemoryShortage as error:
        if spec.device != "auto" or request.device == "cpu":
            raise
        logger.warning("on the processor instead: %s", error)
        request = replace(request, device="cpu")
        atlas = _make(request, store, report)
    return summary(read_atlas(store, atlas.key), request.map_sets, per_head=per_head)


def _make(request: Request, store: Store, report: Report) -> Atlas:
    """Run all stages, each unless its result is stored."""
    clock = Clock()

    def tell_waiting() -> None:
        report(Progress("wait", 0, 1, "another process is building the same capture"))

    with store.lock(f"build-{request.capture_key}", on_wait=tell_waiting):
        capture = capture_stage(request, store, clock, report)
        with clock.stage("labels"):
            label_stage(request, capture, report)
        atlas = atlas_stage(request, capture, clock, report)
        for map_set in request.map_sets:
            open_map_set(atlas, map_set)
        with clock.stage("pca"):
            pca_sets = [m for m in request.map_sets if m.spec.method == "pca"]
            project_pca_sets(atlas, pca_sets, report=report)
        with clock.stage("order"):
            order_stage(atlas, report)
        with clock.stage("maps"):
            n_workers = os.cpu_count() or 1
            finish_heads(
                atlas, request.map_sets,
                n_workers=n_workers, device=request.device, report=report,
            )  # fmt: skip
        _note_costs(atlas, clock)
    return atlas


def find_built(
    spec: AtlasSpec, store: Store, *, hub_cache: Path, per_head: bool = False
) -> dict[str, Any] | None:
    """Return the summary of an atlas that is complete already, without loading torch; else None.

    Raises
    ------
    PipelineError
        if the corpus or the model cannot be used at all.
    """
    try:
        request = _resolve(spec, store, hub_cache)
    except NeedsPreparation:
        return None
    if store.get_record(request.atlas_key) is None:
        return None
    if not has_labels(request, read_atlas(store, request.atlas_key).capture):
        return None
    if any(qualities(store, map_set) is None for map_set in request.map_sets):
        return None
    if request.corpus.modality == "image" and read_orders(store, request.atlas_key) is None:
        return None
    return summary(read_atlas(store, request.atlas_key), request.map_sets, per_head=per_head)


def summary(atlas: Atlas, map_sets: list[MapSet], *, per_head: bool = False) -> dict[str, Any]:
    """Return what a build is judged by: shapes, errors, fidelity, seconds and memory.

    Parameters
    ----------
    atlas : a built atlas.
    map_sets : its complete maps; at least one.
    per_head : add every figure of every map for each head, under `per_head` of the map.

    Returns
    -------
    `fidelity.mean_spearman` is the pooled rank correlation of cosine distance and dot product of
    the normalised vectors, mean over heads; -1 is ideal. `norm_difference` is raw query norm minus
    key norm. `seconds` are those of each stage when it was computed. Matrices are
    (n_layers, n_heads).
    """
    capture, record = atlas.capture, atlas.record
    layers = capture.layers
    corpus = capture.record["corpus"]
    figures = {m.spec.name: qualities(capture.store, m) or [] for m in map_sets}
    space = next(iter(figures.values()))
    spearman = [figure["space_spearman"] for figure in space]
    # All but PCA are shaped alike.
    shaped = max((m.spec for m in map_sets), key=lambda spec: spec.method != "pca")
    return {
        "atlas": atlas.key,
        "model": record["model"],
        "corpus": corpus["name"],
        "normalisation": record["normalisation"],
        "n_layers": len(layers),
        "n_heads": max(layer.n_heads for layer in layers),
        "n_kv_heads": max(layer.n_kv_heads for layer in layers),
        "head_dim": max(layer.head_dim for layer in layers),
        "n_sequences": corpus["n_sequences"],
        "n_sequences_given": corpus["n_sequences_given"],
        "n_truncated": corpus["n_truncated"],
        "left_out": corpus["left_out"],
        "n_tokens": capture.n_tokens,
        "n_points": capture.n_points,
        "part": capture.record["part"],
        "rotary": capture.record["rotary"],
        "route": capture.record["route"],
        "reconstruction_error_max": capture.record["reconstruction_error_max"],
        "fidelity": {
            "mean_spearman": float(np.mean(spearman)),
            "per_head": _by_layer(atlas, spearman),
            "per_query_rho": float(np.mean([f["space_per_query_rho"] for f in space])),
            "per_query_rho_per_head": _by_layer(atlas, [f["space_per_query_rho"] for f in space]),
        },
        "maps": {name: _figures(atlas, rows, per_head=per_head) for name, rows in figures.items()},
        "guidance": shaped.guidance,
        "neighbours": shaped.neighbours,
        "scale": record["scale"],
        "norm_difference": {
            "mean": float(np.mean([x for row in record["norm_difference"] for x in row])),
            "per_head": record["norm_difference"],
        },
        "seconds": record["seconds"],
        "peak_rss_bytes": record.get("peak_rss_bytes", 0),
    }


def _resolve(spec: AtlasSpec, store: Store, hub_cache: Path) -> Request:
    corpus = load_corpus(spec.corpus, column=spec.column)
    if spec.limit is not None:
        corpus = corpus.first(spec.limit)
    where: dict[str, Any] = {
        "cache": store.root, "hub_cache": hub_cache, "remembered": store.file_sha256,
    }  # fmt: skip
    source = find_source(spec.model, **where)
    segmentation = None
    if spec.segmentation is not None:
        if corpus.modality != "image":
            raise InputError(
                f"corpus {corpus.name!r} holds texts; a segmentation model labels images only: "
                "leave it out"
            )
        segmentation = find_source(spec.segmentation, **where)
    return Request(spec, corpus, source, resolve_device(spec.device), segmentation)


def _prepare(spec: AtlasSpec, store: Store, hub_cache: Path, report: Report) -> Request:
    """Resolve a spec; convert or fetch the model when that has to be done first."""
    try:
        return _resolve(spec, store, hub_cache)
    except NeedsPreparation:
        from pipeline.models import prepare

        for model in filter(None, (spec.model, spec.segmentation)):
            prepare(model, cache=store.root, hub_cache=hub_cache, report=report)
    return _resolve(spec, store, hub_cache)


def _note_costs(atlas: Atlas, clock: Clock) -> None:
    """Add what this build has cost to the record of the atlas."""
    processes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in processes)
    record = atlas.record | {
        # A stage that found everything stored does not hide what computing it took.
        "seconds": clock.seconds | atlas.record["seconds"],
        "peak_rss_bytes": max(peak * 1024, atlas.record.get("peak_rss_bytes", 0)),
    }
    atlas.capture.store.put_record(atlas.key, record)


def _by_layer(atlas: Atlas, values: list[float]) -> list[list[float]]:
    rows: list[list[float]] = [[] for _ in atlas.capture.layers]
    for (layer, _), value in zip(atlas.capture.cells, values, strict=True):
        rows[layer].append(value)
    return rows


def _figures(atlas: Atlas, rows: list[dict[str, float]], *, per_head: bool) -> dict[str, Any]:
    """Return the mean over heads of each figure of a map."""
    names = [name for name in rows[0] if not name.startswith("space_")]
    result: dict[str, Any] = {n: float(np.mean([row[n] for row in rows])) for n in names}
    if per_head:
        result["per_head"] = {n: _by_layer(atlas, [row[n] for row in rows]) for n in names}
    return result
