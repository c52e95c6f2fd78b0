"""Opens links and atlases: from names in the address to digests that the scripts can draw."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from dash import Dash, Input, Output, State, html, no_update

from app import ids
from app.view_state import ViewState, parse
from pipeline.atlas import Atlas
from pipeline.errors import PipelineError
from pipeline.jobs import JobRecord
from pipeline.service import Service
from pipeline.specs import DEFAULT_GUIDANCE, GUIDANCES, PARTS

WORDS_OF_PARTS = {
    "encoder": "the encoder of ", "decoder": "the decoder of ", "cross": "the cross-attention of ",
}  # fmt: skip


def register(app: Dash, service: Service) -> None:
    """Connect the address, the choosers and the atlas."""

    @app.callback(
        Output(ids.MODEL, "options"), Output(ids.CORPUS, "options"),
        Output(ids.MODEL, "value"), Output(ids.CORPUS, "value"), Output(ids.PART, "value"),
        Output(ids.NORMALISATION, "value"), Output(ids.GUIDANCE, "value"),
        Output(ids.METHOD, "value"), Output(ids.DIMS, "value"),
        Output(ids.ENCODING, "value"), Output(ids.PALETTE, "value"),
        Output(ids.PLACE, "data"), Output(ids.PICKED, "data"), Output(ids.NOTICES, "children"),
        Input(ids.LOCATION, "search"),
    )  # fmt: skip
    def open_link(search: Any) -> tuple[Any, ...]:
        text = search.removeprefix("?") if isinstance(search, str) else ""
        query = dict(parse_qsl(text))
        state, notices = parse(query)
        method = state.method if "method" in query else usual_method(service, state)
        models, corpora = choices(service, state)
        picked = None
        if state.sequence is not None and state.token is not None:
            picked = {"sequence": state.sequence, "position": state.token, "side": state.side}
        place = {"layer": state.layer, "head": state.head, "selection": state.selection}
        return (
            models, corpora, state.model, state.corpus, state.part, state.normalisation,
            state.guidance, method, state.dims,
            state.encoding, state.palette, place, picked,
            [html.P(notice) for notice in notices],
        )  # fmt: skip

    @app.callback(
        Output(ids.ATLAS, "data"), Output(ids.JOB, "data"), Output(ids.ENCODING, "options"),
        Output(ids.PART_FIELD, "hidden"), Output(ids.PART, "options"),
        Input(ids.MODEL, "value"), Input(ids.CORPUS, "value"), Input(ids.PART, "value"),
        Input(ids.NORMALISATION, "value"), Input(ids.GUIDANCE, "value"), Input(ids.STAGE, "data"),
        State(ids.ENCODING, "value"),
        prevent_initial_call=True,
    )  # fmt: skip
    def open_atlas(
        model: Any,
        corpus: Any,
        part: Any,
        normalisation: Any,
        guidance: Any,
        _stage: Any,
        encoding: Any,
    ) -> tuple[Any, ...]:
        if not (isinstance(model, str) and isinstance(corpus, str)):
            return (no_update,) * 5
        job = service.builds.last(model, corpus)
        share = guidance if guidance in GUIDANCES else DEFAULT_GUIDANCE
        wanted = part if part in PARTS else PARTS[0]
        description = describe(service, model, corpus, normalisation or "faithful", share, wanted)
        is_live = job is not None and job.is_live
        is_shown = is_live or (job is not None and job.state == "interrupted")
        options = encoding_options(description.get("encodings"), encoding)
        description |= {"building": is_live, "failed": why_failed(job)}
        job_id = job.id if job and is_shown else None
        parts = _options({part: part for part in description["parts"] or PARTS})
        return description, job_id, options, not description["has_parts"], parts


def why_failed(job: JobRecord | None) -> str:
    """Return why the last build of an atlas failed, "" when it did not."""
    return (job.error or "no reason is known") if job and job.state == "failed" else ""


def encoding_options(encodings: dict[str, tuple[str, str]] | None, chosen: Any) -> Any:
    """Return the colourings to choose from; the chosen one stays, also where it has no meaning."""
    if encodings is None:
        return no_update
    words = {name: label for name, (label, _) in encodings.items()}
    if isinstance(chosen, str):
        words.setdefault(chosen, f"{chosen.replace('_', ' ')} (not in this atlas)")
    return _options(words)


def describe(
    service: Service,
    model: str,
    corpus: str,
    normalisation: str,
    guidance: float = DEFAULT_GUIDANCE,
    part: str = PARTS[0],
) -> dict[str, Any]:
    """Return what the scripts need to draw an atlas, or the words that say it is not there.

    Returns
    -------
    Names; `has_parts`, whether there are `parts` to choose from; and when the atlas exists
    `capture`, `maps` ({"tsne_2": {key, complete}}), `cells`, `rows`, `columns`, `n_tokens`,
    `modality`, `grid`, `summary`.
    """
    names = {"model": model, "corpus": corpus, "normalisation": normalisation,
             "guidance": guidance, "part": part, "has_parts": False, "parts": ()}  # fmt: skip
    try:
        parts = service.parts(model, corpus)
        # Until something of a model is built, only the address can know that it has parts.
        names["parts"] = (PARTS if part != PARTS[0] else ()) if parts is None else parts
        names["has_parts"] = bool(names["parts"])
        atlas = service.find_atlas(model, corpus, normalisation, part)
    except PipelineError as error:
        return names | {"missing": str(error)}
    if atlas is None:
        what = WORDS_OF_PARTS[part] if names["has_parts"] else ""
        return names | {"missing": f"There is no atlas of {what}{model} on {corpus} yet."}
    return names | _drawable(service, atlas, guidance)


def usual_method(service: Service, state: ViewState) -> str:
    """Return the default method if all its maps are there, else PCA, which is there first."""
    try:
        atlas = service.find_atlas(state.model, state.corpus, state.normalisation, state.part)
        maps = service.map_sets(atlas.key, guidance=state.guidance) if atlas else {}
    except PipelineError:
        maps = {}
    found = maps.get((state.method, state.dims))
    return state.method if found and found["cells"] else "pca"


def choices(service: Service, state: ViewState) -> tuple[list[Any], list[Any]]:
    """Return the models and corpora to choose from: known ones, and those with an atlas."""
    models = {s.entry.name: f"{s.entry.name} ({s.entry.modality})" for s in service.models()}
    corpora = {info.name: f"{info.name} ({info.modality})" for info in service.corpora()}
    for record in service.atlases():
        models.setdefault(record["model"], record["model"])
        corpora.setdefault(record["corpus"], record["corpus"])
    models.setdefault(state.model, state.model)
    corpora.setdefault(state.corpus, state.corpus)
    return _options(models), _options(corpora)


def _options(names: dict[str, str]) -> list[dict[str, str]]:
    return [{"value": name, "label": label} for name, label in names.items()]


def _drawable(service: Service, atlas: Atlas, guidance: float) -> dict[str, Any]:
    capture = atlas.capture
    corpus = capture.record["corpus"]
    maps = {
        f"{method}_{dims}": {
            "key": record["key"],
            "complete": bool(record["cells"]),
            "rho": mean_rho(record),
        }
        for (method, dims), record in service.map_sets(atlas.key, guidance=guidance).items()
    }
    return {
        "atlas": atlas.key,
        "capture": capture.record["key"],
        "maps": maps,
        "cells": [{"layer": layer, "head": head} for layer, head in capture.cells],
        "rows": len(capture.layers),
        "columns": max(layer.n_heads for layer in capture.layers),
        "n_tokens": capture.n_tokens,
        "n_points": capture.n_points,
        "modality": corpus["modality"],
        "rotary": capture.record["rotary"],
        "grid": capture.tokens.grid,
        "encodings": service.encodings(capture.record["key"]),
        **_labels(service, capture.record),
        "provenance": _provenance(atlas),
        "kind": capture.record["part"],
        "no_aggregate": service.why_no_aggregate(capture.record["key"]),
        "error": capture.record["reconstruction_error_max"],
        "summary": f"{len(capture.cells)} heads · {capture.n_points:,} points each · "
        f"{corpus['n_sequences']} {'images' if corpus['modality'] == 'image' else 'sequences'}",
    }


def _labels(service: Service, capture: dict[str, Any]) -> dict[str, Any]:
    """Return where patch labels are from, and a sentence for everything that was left out."""
    labels = service.labels(capture["key"])
    found = {"fingerprint": labels.fingerprint[:16], "source": labels.source} if labels else None
    notes = dict.fromkeys((*capture["corpus"]["left_out"], *(labels.notes if labels else ())))
    return {"labels": found, "left_out": list(notes)}


def mean_rho(record: dict[str, Any]) -> float | None:
    """Return the mean rank correlation per query over all heads of a map set, once it is known."""
    cells = record["cells"] or []
    found = [cell["quality"]["per_query_rho"] for cell in cells if cell["quality"]]
    return sum(found) / len(found) if found and len(found) == len(cells) else None


def _provenance(atlas: Atlas) -> dict[str, Any]:
    """Return what every export says about where it is from."""
    record, capture = atlas.record, atlas.capture.record
    return {
        "model": record["model"], "revision": capture["model"]["revision"],
        "corpus": record["corpus"], "corpus_sha256": capture["corpus"]["sha256"],
        "normalisation": record["normalisation"], "seed": record["seed"], "atlas": atlas.key,
        **({} if record["part"] == "self" else {"part": record["part"]}),
    }  # fmt: skip
