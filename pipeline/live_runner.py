"""Runs a model on one input for somebody who waits; keeps the models that were used last.

What comes out is an ordinary capture of one sequence, made and verified as every other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch

from pipeline.build import hub_cache
from pipeline.captured import Capture, read_capture
from pipeline.catalogue import ModelSource, NeedsPreparation, find_source
from pipeline.device import resolve_device
from pipeline.edits import edit_inputs, find_mask
from pipeline.errors import InputError
from pipeline.images import decode_image
from pipeline.inputs import ModelInputs
from pipeline.live_specs import LABEL, LiveSpec, LiveText, live_key
from pipeline.models import LoadedModel, prepare
from pipeline.records import Corpus, Progress
from pipeline.specs import AtlasSpec, digest
from pipeline.stages import DTYPE, Clock, Request, capture_record
from pipeline.store import Store
from pipeline.text_inputs import longest_text
from pipeline.tokens import prepare_inputs
from pipeline.warm import WarmModels, model_bytes

Report = Callable[[Progress], None]

# Bytes of weights times tokens up to which one thread computes: for so little, waiting for others
# costs more than they gain. Measured on two cores where a build ran too: minilm at 33 tokens 0.3 s
# with one thread, 3 s with two; smollm2 at 43 tokens 2 s and 13 s.
SMALL_WORK = 4e10
WHENCE = "given by hand", "not known"  # source and licence


class LiveRunner:
    """What the worker of the live lane runs for a job."""

    def __init__(self) -> None:
        self._warm = WarmModels()

    def __call__(self, spec_json: dict[str, Any], store: Store, report: Report) -> dict[str, Any]:
        """Capture one input; return `{"capture": key}`.

        A spec that names a model and nothing else loads it, so that it is warm when it is needed.

        Raises
        ------
        PipelineError
            with a message for the user: bad input, too long an input, a model that is refused.
        """
        if spec_json.keys() == {"model"}:
            self._load(_find(spec_json["model"], store, report), resolve_device("auto"), report)
            return {}
        spec = LiveSpec.from_json(spec_json)
        report(Progress("prepare", 0, 1, f"reading {spec.model}"))
        source = _find(spec.model, store, report)
        text, corpus = _read(spec, store)
        request = Request(_atlas_spec(spec), corpus, source, resolve_device("auto"))
        key = request.capture_key
        if text is not None and text.edits:
            key = digest({"stage": "edit", "capture": key, "edits": text.edits})
        with store.hasty():
            stored = read_capture(store, key)
            if stored is None or "live" not in stored.record:
                self._capture(key, spec, text, request, (store, report))
            answer = {"kind": "live", "capture": key, "created_s": time.time(), "objects": {}}
            store.put_record(live_key(spec, source.files), answer)
        return {"capture": key}

    def _load(self, source: ModelSource, device: str, report: Report) -> LoadedModel:
        def tell() -> None:
            report(Progress("load", 0, 1, f"loading {source.name}"))

        return self._warm.get(source, device, DTYPE, on_load=tell)

    def _capture(
        self, key: str, spec: LiveSpec, text: LiveText | None, request: Request,
        place: tuple[Store, Report],
    ) -> Capture:  # fmt: skip
        """Run the model and store what it did."""
        (store, report), clock = place, Clock()
        with clock.stage("load"):
            loaded = self._load(request.source, request.device, report)
        with clock.stage("tokenise"):
            inputs = prepare_inputs(loaded, request.corpus, seed=0, part=request.spec.part)
            _refuse_long(loaded, inputs, request.corpus)
            if text is not None and text.edits:
                inputs = edit_inputs(loaded, inputs, text.edits)
        with _threads(loaded, inputs.table.n_tokens):
            record = capture_record(request, loaded, inputs, store, clock, report)
        mask = find_mask(loaded)
        record["live"] = {
            "compared": spec.compared,
            "edits": [] if text is None else list(text.edits),
            "mask": None if mask is None or text is None else asdict(mask),
        }
        record["objects"]["input"] = spec.input.to_json()
        return Capture(store.put_record(key, record), store)


def capture_loaded(
    loaded: LoadedModel, text: LiveText, store: Store, *, part: str | None = None
) -> Capture:
    """Capture a text with a model that somebody else has loaded, as it is.

    Raises
    ------
    PipelineError
        if the model cannot be captured exactly, or the text is too long.
    """
    spec = AtlasSpec("loaded", LABEL, part=part)
    request = Request(spec, _corpus_of(text), loaded.source, loaded.model.device.type)
    inputs = prepare_inputs(loaded, request.corpus, seed=0, part=part)
    _refuse_long(loaded, inputs, request.corpus)
    with store.hasty():
        record = capture_record(request, loaded, inputs, store, Clock(), lambda _: None)
        return Capture(store.put_record(request.capture_key, record), store)


def _find(model: str, store: Store, report: Report) -> ModelSource:
    """Find a model; convert or fetch it when that has to be done first."""
    paths = {"cache": store.root, "hub_cache": hub_cache()}
    try:
        return find_source(model, **paths, remembered=store.file_sha256)
    except NeedsPreparation:
        prepare(model, **paths, report=report)
    return find_source(model, **paths, remembered=store.file_sha256)


def _read(spec: LiveSpec, store: Store) -> tuple[LiveText | None, Corpus]:
    """Return the text that was typed, if it is one, and the corpus of one sequence that it is."""
    data = store.read_bytes(spec.input)
    if spec.is_image:
        picture = decode_image(data, name="your picture")
        return None, Corpus(LABEL, "image", *WHENCE, images=(picture,), labels=(LABEL,))
    text = LiveText.from_bytes(data)
    return text, _corpus_of(text)


def _corpus_of(text: LiveText) -> Corpus:
    pairs = (text.pair,) if text.pair else ()
    return Corpus(
        LABEL, "text", *WHENCE, texts=(text.text,), text_pairs=pairs, labels=(LABEL,)
    )  # fmt: skip


def _atlas_spec(spec: LiveSpec) -> AtlasSpec:
    part = None if spec.part == "self" else spec.part
    return AtlasSpec(spec.model, LABEL, part=part, rotary=spec.rotary)


def _refuse_long(loaded: LoadedModel, inputs: ModelInputs, corpus: Corpus) -> None:
    """Refuse a text of which the end would be cut off; others would see another text than asked."""
    if not inputs.n_truncated:
        return
    texts = (*corpus.texts, *corpus.text_pairs)
    if loaded.model.config.is_encoder_decoder:
        found = max(len(loaded.tokenizer(text)["input_ids"]) for text in texts)
    else:
        found = len(loaded.tokenizer(*texts)["input_ids"])
    raise InputError(
        f"your text has {found:,} tokens for {loaded.source.name}, expected at most "
        f"{longest_text(loaded):,}; shorten it"
    )


@contextmanager
def _threads(loaded: LoadedModel, n_tokens: int) -> Iterator[None]:
    """Compute little with one thread, much with all."""
    is_small = model_bytes(loaded) * n_tokens < SMALL_WORK
    torch.set_num_threads(1 if is_small else len(os.sched_getaffinity(0)))
    yield
