"""Compares query and key weights of a model and stores what they have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pipeline.atlas import read_atlas
from pipeline.build import hub_cache
from pipeline.catalogue import find_source
from pipeline.corpora import load_corpus
from pipeline.errors import ModelError
from pipeline.inputs import ModelInputs
from pipeline.models import LoadedModel, load
from pipeline.query_key_projections import LayerProjections, find_projections
from pipeline.records import Corpus, Progress
from pipeline.store import Store
from pipeline.survey import Survey, survey
from pipeline.tokens import prepare_inputs
from pipeline.weights import compare_weights, weights_key

Report = Callable[[Progress], None]

TEXT = (
    "The great fire of London began in a bakery in Pudding Lane, in the night of 2 September 1666, "
    "and burned for four days; it left most of the old city in ashes."
)


def run_weights(spec: dict[str, Any], store: Store, report: Report) -> dict[str, Any]:
    """Look at the model of an atlas; what a worker runs for a job.

    Parameters
    ----------
    spec : {"atlas": key}.

    Raises
    ------
    ModelError
        if the files of the model are not those of the atlas any more.
    """
    capture = read_atlas(store, spec["atlas"]).capture.record
    key = weights_key(capture)
    if store.get_record(key) is None:
        report(Progress("load", 0, 2, "loading the model"))
        loaded = _load(capture, store)
        report(Progress("weights", 1, 2, "looking for the projections"))
        inputs = _inputs(loaded, capture)
        keep_weights(loaded, inputs, survey(loaded, inputs), store, capture)
    return {"weights": key}


def keep_weights(
    loaded: LoadedModel, inputs: ModelInputs, found: Survey, store: Store, capture: dict[str, Any]
) -> None:
    """Find the projections of every layer, compare them and store the comparison.

    Parameters
    ----------
    found : how the model is captured.
    capture : record of the capture whose model this is.
    """
    rows, objects = [], []
    for projections in find_projections(loaded, inputs, found):
        row, place = _compared(projections, store)
        rows.append(row)
        objects.append(place)
    key = weights_key(capture)
    store.put_record(key, {
        "kind": "weights", "key": key, "model": capture["model"]["name"], "created_s": time.time(),
        "layers": rows, "objects": {"layers": objects},
    })  # fmt: skip


def _compared(
    found: LayerProjections, store: Store
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return what is said of a layer, and where its arrays are."""
    row: dict[str, Any] = {
        "module": found.module,
        "query_module": found.queries.module if found.queries else "",
        "key_module": found.keys.module if found.keys else "",
        "reason": found.reason,
        "n_entries": 0,
        "correlation": [],
        "symmetry": [],
    }
    if found.reason or found.queries is None or found.keys is None:
        return row, None
    compared = compare_weights(found.queries.weights, found.keys.weights)
    row["n_entries"] = found.queries.weights[0].size
    row |= {name: getattr(compared, name).tolist() for name in ("correlation", "symmetry")}
    place = {
        name: store.put_array(getattr(compared, name)).to_json()
        for name in ("by_dimension", "sampled")
    }
    return row, place


def _load(capture: dict[str, Any], store: Store) -> LoadedModel:
    facts = capture["model"]
    source = find_source(
        facts["name"], cache=store.root, hub_cache=hub_cache(), remembered=store.file_sha256
    )
    if source.files != facts["files"]:
        raise ModelError(
            f"{facts['name']} has other files than when this atlas was built; build it again"
        )
    return load(source, device="cpu", dtype="float32", attention=None)


def _inputs(loaded: LoadedModel, capture: dict[str, Any]) -> ModelInputs:
    """Return something that the model reads: any input shows which weights are used."""
    part = capture["part"] if capture["part"] != "self" else None
    if capture["corpus"]["modality"] == "image":
        return prepare_inputs(loaded, load_corpus("gradients").first(1), seed=0, part=part)
    corpus = Corpus("text", "text", "", "", texts=(TEXT,), labels=("text",))
    return prepare_inputs(loaded, corpus, seed=0, part=part)
