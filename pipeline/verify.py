"""Tells, without building anything, what is found in a model and whether it can be rebuilt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.catalogue import NeedsPreparation, find_source
from pipeline.corpora import load_corpus
from pipeline.errors import PipelineError
from pipeline.extract import verify_layers
from pipeline.image_texts import image_token_id
from pipeline.inputs import ModelInputs
from pipeline.models import LoadedModel, load, prepare
from pipeline.records import Corpus
from pipeline.store import Store
from pipeline.tokens import generated_sounds, prepare_inputs, reads_sound

# Of different length, so that padding, windows and biases show.
TEXTS = (
    "The cat sat on the mat, and the dog that had seen it from the window ran over the green hill.",
    "A quick brown fox jumps over the lazy dog while the small birds sing in the old trees.",
    "Nothing is as it seems.",
)
PARTS = ("encoder", "decoder", "cross")


def verify(
    model: str, store: Store, *, hub_cache: Path, device: str, text: str | None = None
) -> dict[str, Any]:
    """Capture short texts, an image or a sound, and compare with the model's own attention.

    Parameters
    ----------
    model : a name, hub id or folder.
    store : its cache holds converted models; nothing else is written.
    hub_cache : folder of downloaded models.
    device : "cpu" or "cuda".
    text : a text of the user's own, first of several.

    Returns
    -------
    `model`, `class`, `reconstruction_error_max`, `hidden_state_difference`, `route` ("interface"
    or "fallback"), `layers`, one row a layer: `tower`, `error` (largest of its heads) and what
    `LayerRecord` holds, and `left_out`, a sentence for a part that cannot be shown. Both towers and
    all other parts of a model are there.

    Raises
    ------
    PipelineError
        if the model cannot be found, loaded, captured or rebuilt.
    """
    paths = {"cache": store.root, "hub_cache": hub_cache}
    try:
        source = find_source(model, **paths, remembered=store.file_sha256)
    except NeedsPreparation:
        prepare(model, **paths, report=lambda _: None)
        source = find_source(model, **paths, remembered=store.file_sha256)
    loaded = load(source, device=device, dtype="float32", attention=None)
    rows, differences, routes = [], [], []
    inputs_of_parts, left_out = _inputs(loaded, text)
    for inputs in inputs_of_parts:
        layers, found = verify_layers(loaded, inputs)
        tower = type(inputs.tower(loaded)).__name__
        rows += [
            {"tower": tower, "error": max(layer.error_max), **layer.to_json()} for layer in layers
        ]
        differences.append(found.hidden_state_difference)
        routes.append(found.route)
    return {
        "model": model,
        "class": type(loaded.model).__name__,
        "reconstruction_error_max": max(row["error"] for row in rows),
        "hidden_state_difference": max(differences),
        "route": max(routes, key=["interface", "fallback"].index),
        "layers": rows,
        "left_out": left_out,
    }


def story(found: dict[str, Any]) -> list[str]:
    """Return what `verify` found as lines of text, one a layer."""
    lines = [
        f"{found['model']} ({found['class']}) by the {found['route']}: rebuilt attention differs "
        f"by at most {found['reconstruction_error_max']:.1e}, the last hidden state by "
        f"{found['hidden_state_difference']:.1e}",
        "layer  error    kind     heads keys width scale   rotary mask               bias"
        "         module",
    ]
    for place, row in enumerate(found["layers"]):
        extra = [f"softcap {row['softcap']:g}"] if row["softcap"] else []
        extra += ["sinks"] if row["has_sinks"] else []
        extra += ["no values"] if not row["value_dim"] else []
        extra += ["no output projection"] if not row["projection"] else []
        lines.append(
            f"{place:5}  {row['error']:.1e}  {row['kind']:8} {row['n_heads']:4} "
            f"{row['n_kv_heads']:4} {row['head_dim']:5} {row['scaling']:<7.4g} "
            f"{'yes' if row['has_rotary'] else 'no':6} {row['mask']:18} {row['bias']:12} "
            f"{row['tower']}.{row['module']} {' '.join(extra)}".rstrip()
        )
    return lines + [f"left out: {reason}" for reason in found["left_out"]]


def _inputs(loaded: LoadedModel, text: str | None) -> tuple[list[ModelInputs], list[str]]:
    """Return what each tower and part of a model reads, and why a part reads nothing."""
    if reads_sound(loaded):
        return [generated_sounds(loaded, seed=0)], []
    inputs, left_out = [], []
    if loaded.tokenizer is not None:
        texts = (text, *TEXTS) if text else TEXTS
        labels = tuple(f"text {i}" for i in range(len(texts)))
        corpus = Corpus("texts", "text", "", "", texts=texts, labels=labels)
        parts = PARTS if loaded.model.config.is_encoder_decoder else (None,)
        inputs += [prepare_inputs(loaded, corpus, seed=0, part=part) for part in parts]
    if loaded.image_processor is not None:
        images = load_corpus("gradients").first(2)
        has_parts = image_token_id(loaded) is not None
        for part in ("encoder", "decoder") if has_parts else (None,):
            try:
                inputs.append(prepare_inputs(loaded, images, seed=0, part=part))
            except PipelineError as error:
                if not has_parts:
                    raise
                left_out.append(f"{part} of images: {error}")
    return inputs, left_out
