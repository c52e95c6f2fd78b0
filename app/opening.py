"""What an address shows: from names to the digests that the scripts draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from app.view_state import INSPECT_FIELDS, ViewState, parse
from pipeline.atlas import Atlas
from pipeline.errors import PipelineError
from pipeline.jobs import JobRecord
from pipeline.service import Service
from pipeline.specs import DEFAULT_GUIDANCE, GUIDANCES, NORMALISATIONS, PARTS

WORDS_OF_PARTS = {
    "encoder": "the encoder of ", "decoder": "the decoder of ", "cross": "the cross-attention of ",
}  # fmt: skip
# For estimates: what is usual for the sample corpora.
TOKENS_OF_TEXT, PATCHES = 21, 200
HEAD_S = 3.0
BYTES_PER_POINT = 4 * (64 + 2 + 3 + 2 + 2)  # half a query and a key, and four maps


def open_link(service: Service, query: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that a page starts from.

    Parameters
    ----------
    query : of the address; whatever it holds.

    Returns
    -------
    `view` as the address tells it, with a method that has maps; `inspect`, those fields of it that
    the inspect pages change; `notices` on what of the address could not be used; `models` and
    `corpora` to choose from, {name: words}; and what `open_atlas` returns.
    """
    state, notices = parse(query)
    models, corpora = choices(service, state)
    names = {name: getattr(state, name)
             for name in ("model", "corpus", "part", "normalisation", "guidance")}  # fmt: skip
    opened = open_atlas(service, names)
    method = state.method if "method" in query else usual_method(opened["atlas"], state)
    view = asdict(state) | {"method": method}
    return {
        "view": view, "inspect": {name: view[name] for name in INSPECT_FIELDS}, "notices": notices,
        "models": models, "corpora": corpora, **opened,
    }  # fmt: skip


def open_atlas(service: Service, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return `atlas`, see `describe`, and the `job` that builds it, None where there is none.

    Parameters
    ----------
    names : model, corpus, part, normalisation, guidance; what cannot be is taken for the default.
    """
    model, corpus = str(names.get("model")), str(names.get("corpus"))
    usual = ViewState()
    normalisation = _known(names.get("normalisation"), NORMALISATIONS, usual.normalisation)
    guidance = _known(names.get("guidance"), GUIDANCES, usual.guidance)
    part = _known(names.get("part"), PARTS, usual.part)
    atlas = describe(service, model, corpus, normalisation, guidance, part)
    job = service.builds.last(model, corpus)
    is_live = job is not None and job.is_live
    atlas |= {"building": is_live, "failed": why_failed(job)}
    if not (is_live or "capture" in atlas):
        atlas["estimate"] = estimate(service, model, corpus)
    is_shown = job is not None and (is_live or job.state == "interrupted")
    return {"atlas": atlas, "job": job.id if job and is_shown else None}


def _known(value: Any, choices: Sequence[Any], usual: Any) -> Any:
    return value if value in choices else usual


def why_failed(job: JobRecord | None) -> str:
    """Return why the last build of an atlas failed, "" when it did not."""
    return (job.error or "no reason is known") if job and job.state == "failed" else ""


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


def usual_method(atlas: dict[str, Any], state: ViewState) -> str:
    """Return the default method if all its maps are there, else PCA, which is there first."""
    found = atlas.get("maps", {}).get(f"{state.method}_{state.dims}")
    return state.method if found and found["complete"] else "pca"


def choices(service: Service, state: ViewState) -> tuple[dict[str, str], dict[str, str]]:
    """Return models and corpora to choose from in words: known ones, and those with an atlas."""
    models = {s.entry.name: f"{s.entry.name} ({s.entry.modality})" for s in service.models()}
    corpora = {info.name: f"{info.name} ({info.modality})" for info in service.corpora()}
    for record in service.atlases():
        models.setdefault(record["model"], record["model"])
        corpora.setdefault(record["corpus"], record["corpus"])
    models.setdefault(state.model, state.model)
    corpora.setdefault(state.corpus, state.corpus)
    return models, corpora


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


def estimate(service: Service, model: Any, corpus: Any) -> str:
    """Say what building an atlas will cost, from what the catalogues know and earlier builds."""
    entries = [state for state in service.models() if state.entry.name == model]
    infos = [info for info in service.corpora() if info.name == corpus]
    if not entries or not infos:
        return ""
    [state], [info] = entries, infos
    n_heads = state.entry.layers * state.entry.heads
    n_points = 2 * info.n_sequences * (TOKENS_OF_TEXT if info.modality == "text" else PATCHES)
    seconds = n_heads * service.builds.seconds_per_head(HEAD_S)
    size_mb = n_heads * n_points * BYTES_PER_POINT / 1e6
    return (
        f"{n_heads} heads with about {n_points:,} points each: the first picture in less than a "
        f"minute, everything in about {in_words(seconds)}, {size_mb:,.0f} MB. {state.advice}"
    ).strip()


def in_words(seconds: float) -> str:
    """Return a time in words."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
