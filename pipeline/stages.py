"""The stages of a build that come before the maps: capture, then normalisation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipeline.atlas import Atlas
from pipeline.captured import Capture, read_capture
from pipeline.catalogue import ModelSource
from pipeline.heads import MapSet
from pipeline.normalise import choose_normalisation
from pipeline.objects import object_refs
from pipeline.parts import parts_beside
from pipeline.records import CAPTION, Corpus, Progress
from pipeline.sampling import N_PAIRS, draw_order, sample_pairs
from pipeline.specs import AtlasSpec, atlas_key, capture_key, map_key
from pipeline.store import Store
from pipeline.token_files import token_objects

if TYPE_CHECKING:  # they import torch
    from pipeline.inputs import ModelInputs
    from pipeline.layer_files import CapturedLayer
    from pipeline.models import LoadedModel

DTYPE = "float32"
IMAGES_AT_A_TIME = 16

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Request:
    """A spec with everything that its keys need.

    Parameters
    ----------
    spec : what the user asked for.
    corpus : already cut to `spec.limit`.
    source : where the model's files are.
    device : "cpu" or "cuda".
    segmentation : where the files of the model that labels patches are, if one was asked for.
    """

    spec: AtlasSpec
    corpus: Corpus
    source: ModelSource
    device: str
    segmentation: ModelSource | None = None

    @property
    def capture_key(self) -> str:
        """Key of the capture stage."""
        return capture_key(
            self.spec,
            files=self.source.files,
            corpus_sha256=self.corpus.sha256,
            device_class=f"{self.device} {DTYPE}",
        )

    @property
    def atlas_key(self) -> str:
        """Key of the atlas."""
        return atlas_key(self.capture_key, self.spec.normalisation)

    @property
    def map_sets(self) -> list[MapSet]:
        """Return the requested maps, PCA first."""
        return [MapSet(map_key(self.atlas_key, spec), spec) for spec in self.spec.maps]


class Clock:
    """Seconds of each stage of one build."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the wall time of the block to a stage."""
        start = time.perf_counter()
        yield
        elapsed = time.perf_counter() - start
        self.seconds[name] = round(self.seconds.get(name, 0) + elapsed, 3)


def capture_stage(request: Request, store: Store, clock: Clock, report: Report) -> Capture:
    """Return the stored capture of a request, or run the model and store it."""
    stored = read_capture(store, request.capture_key)
    if stored is not None:
        return stored
    # Imported here: torch and transformers take seconds, and a stored capture needs neither.
    from pipeline.models import load
    from pipeline.tokens import prepare_inputs

    with clock.stage("load"):
        report(Progress("load", 0, 1, f"loading {request.source.name}"))
        loaded = load(request.source, device=request.device, dtype=DTYPE, attention=None)
    with clock.stage("tokenise"):
        spec = request.spec
        inputs = prepare_inputs(loaded, request.corpus, seed=spec.seed, part=spec.part)
    with store.hasty():
        record = capture_record(request, loaded, inputs, store, clock, report)
    with clock.stage("capture"):
        store.settle(object_refs(record["objects"]))
    store.put_record(request.capture_key, record)
    return Capture(record, store)


def capture_record(
    request: Request, loaded: LoadedModel, inputs: ModelInputs, store: Store, clock: Clock,
    report: Report,
) -> dict[str, Any]:  # fmt: skip
    """Run a loaded model over its inputs, publish what was captured, return the record of it."""
    from pipeline.extract import extract
    from pipeline.image_inputs import seen_images

    with clock.stage("capture"):
        layers, survey = extract(
            loaded, inputs, store, report=report, rotary=request.spec.rotary
        )  # fmt: skip
        images = [
            store.put_bytes(png, ".png").to_json()
            for start in range(0, len(inputs.images), IMAGES_AT_A_TIME)
            for png in seen_images(loaded, inputs, start, start + IMAGES_AT_A_TIME)
        ]
    return {
        "kind": "capture",
        "key": request.capture_key,
        "model": _model_facts(request.source, type(loaded.model).__name__),
        "corpus": _corpus_facts(request.corpus, inputs.chosen, inputs.n_truncated),
        "device": request.device,
        "dtype": DTYPE,
        "n_tokens": inputs.table.n_tokens,
        "n_queries": int(inputs.query_lengths.sum()),
        "n_keys": int(inputs.key_lengths.sum()),
        "part": inputs.part,
        "target": _target(request.corpus) if inputs.part in ("decoder", "cross") else None,
        # Before the rotary embedding: a view of content, whose dot products are not the logits.
        "rotary": request.spec.rotary,
        "route": survey.route,
        "layers": [layer.record.to_json() for layer in layers],
        "reconstruction_error_max": max(max(layer.record.error_max) for layer in layers),
        "hidden_state_difference": survey.hidden_state_difference,
        "seconds": dict(clock.seconds),
        "objects": token_objects(inputs.table, store)
        | _layer_objects(layers, store)
        | {
            "order": _put(store, draw_order(layers[0].norms.shape[1], seed=request.spec.seed)),
            "query_tokens": _tokens(store, inputs.query_tokens),
            "key_tokens": _tokens(store, inputs.key_tokens),
            "images": images,
        },
    }


def _layer_objects(layers: list[CapturedLayer], store: Store) -> dict[str, Any]:
    """Return what was written of all layers, None where a layer has no such file."""
    names = (
        "queries", "keys", "softmax_queries", "softmax_keys", "additive", "additive_rows", "sinks",
        "value_norms",
    )  # fmt: skip
    refs = {name: [getattr(layer, name) for layer in layers] for name in names}
    files = {name: [ref and ref.to_json() for ref in row] for name, row in refs.items()}
    return files | {"norms": _put(store, np.concatenate([layer.norms for layer in layers]))}


def atlas_stage(request: Request, capture: Capture, clock: Clock, report: Report) -> Atlas:
    """Return the stored atlas of a request, or choose c and translation of every head."""
    store = capture.store
    stored = store.get_record(request.atlas_key)
    if stored is not None:
        return Atlas(stored, capture)
    # One thread: waiting for a second one costs seconds on these small products when the machine
    # is shared, and gains nothing on a quiet one.
    with clock.stage("normalise"), threadpool_limits(1, user_api="blas"):
        layers = []
        for layer in range(len(capture.layers)):
            layers.append(_normalise_layer(request, capture, layer))
            report(Progress("normalise", layer + 1, len(capture.layers)))
    curves = np.concatenate([curve for _, _, curve in layers])
    record = {
        "kind": "atlas",
        "key": request.atlas_key,
        "capture": request.capture_key,
        "model": request.spec.model,
        "corpus": request.spec.corpus,
        "column": request.spec.column,
        "normalisation": request.spec.normalisation,
        "limit": request.spec.limit,
        "seed": request.spec.seed,
        "part": capture.record["part"],
        "parts": parts_beside(capture.record["part"], capture.record["corpus"]["modality"]),
        "rotary": request.spec.rotary,
        "created_s": time.time(),
        "scale": [scale for scale, _, _ in layers],
        "norm_difference": _norm_difference(capture),
        "seconds": capture.record["seconds"] | clock.seconds,
        "objects": {
            "translations": [_put(store, translation) for _, translation, _ in layers],
            "curves": _put(store, curves),
        },
    }
    store.put_record(request.atlas_key, record)
    return Atlas(record, capture)


def _normalise_layer(
    request: Request, capture: Capture, layer: int
) -> tuple[list[float], NDArray[np.float32], NDArray[np.float64]]:
    """Return scale, translation and curve of each head of a layer."""
    chosen = []
    for head in range(capture.layers[layer].n_heads):
        pairs = sample_pairs(
            capture.query_offset, capture.reachable(layer, head), n_pairs=N_PAIRS,
            seed=request.spec.seed, key_offset=capture.key_offset,
        )  # fmt: skip
        vectors = capture.vectors(layer, head)
        chosen.append(choose_normalisation(vectors, *pairs, mode=request.spec.normalisation))
    return (
        [choice.scale for choice in chosen],
        np.stack([choice.translation for choice in chosen]),
        np.stack([choice.curve for choice in chosen]),
    )


def _norm_difference(capture: Capture) -> list[list[float]]:
    """Return the mean raw query norm minus the mean raw key norm, (n_layers, n_heads)."""
    rows: list[list[float]] = [[] for _ in capture.layers]
    for (layer, _), norms in zip(capture.cells, capture.norms(), strict=True):
        queries, keys = np.split(norms, [capture.n_queries])
        means = queries.mean(dtype=np.float64), keys.mean(dtype=np.float64)
        rows[layer].append(float(means[0] - means[1]))
    return rows


def _model_facts(source: ModelSource, class_name: str) -> dict[str, Any]:
    return {
        "name": source.name,
        "hub_id": source.hub_id,
        "revision": source.revision,
        "class": class_name,
        "files": source.files,
    }


def _corpus_facts(
    corpus: Corpus, chosen: NDArray[np.int64], n_truncated: int
) -> dict[str, Any]:  # fmt: skip
    return {
        "name": corpus.name,
        "modality": corpus.modality,
        "sha256": corpus.sha256,
        "source": corpus.source,
        "licence": corpus.licence,
        "n_sequences": len(chosen),
        "n_sequences_given": corpus.n_sequences,
        "n_truncated": n_truncated,
        "left_out": list(corpus.left_out),
        "labels": [corpus.labels[i] for i in chosen],
        "columns": {name: [column[i] for i in chosen] for name, column in corpus.columns.items()},
    }


def _target(corpus: Corpus) -> str:
    """Say what a model was given to decode."""
    if corpus.modality == "image":
        what = "its caption" if CAPTION in corpus.columns else "a question"
        return f"each image and {what}"
    return "the second text of each pair" if corpus.text_pairs else "the same text as the source"


def _tokens(store: Store, tokens: NDArray[np.int64] | None) -> dict[str, Any] | None:
    return None if tokens is None else _put(store, tokens)


def _put(store: Store, array: NDArray[Any]) -> dict[str, Any]:
    return store.put_array(array).to_json()
