"""Views in a notebook, from a model and a text, without a server.

    from app.notebook import head_view, model_view, neuron_view
    head_view("minilm", "The cat sat on the mat", layer=2)

Imported by notebooks and scripts only, never by the dashboard: it runs models in this process.
"""

from __future__ import annotations

import html
import os
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.settings import settings_from_environment
from app.standalone import KINDS, View, make_document
from app.standalone_page import size_text
from pipeline.catalogue import ModelSource
from pipeline.jobs import JobTable
from pipeline.live_runner import LiveRunner, capture_loaded
from pipeline.live_specs import LiveText
from pipeline.models import LoadedModel
from pipeline.service import Service
from pipeline.store import Store

HEIGHT = 560
UNTRUSTED = (
    "is not shown because this notebook is not trusted: run the cell, or choose Trust Notebook."
)


@dataclass(frozen=True)
class Shown:
    """A view as a page of its own; Jupyter shows it below the cell.

    Parameters
    ----------
    html : the whole page: scripts, styles and data in it.
    height : of its frame, in pixels.
    title : what it is, in a few words.
    """

    html: str
    height: int = HEIGHT
    title: str = "A view"

    def __repr__(self) -> str:
        """Say what is shown; Jupyter keeps this beside the page, which must not be there twice."""
        size = size_text(len(self.html))
        return f"{self.title} (QK Atlas, {size}; .save(path) makes a file of it)"

    def _repr_html_(self) -> str:
        """Return a frame that holds the page: its scripts and styles stay inside.

        Jupyter takes frames out of notebooks that are not trusted, and leaves the text in them.
        """
        page, words = (html.escape(text, quote=True) for text in (self.html, repr(self)))
        return (
            f'<iframe srcdoc="{page}" sandbox="allow-scripts allow-downloads" title="QK Atlas" '
            f'style="width:100%;height:{self.height}px;border:0">{words} {UNTRUSTED}</iframe>'
        )

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, which opens in any browser without a network."""
        path = Path(path)
        path.write_text(self.html, encoding="utf-8")
        return path


def head_view(
    model: Any, text: str, pair: str | None = None, *, tokenizer: Any = None, layer: int = 0,
    **options: Any,
) -> Shown:  # fmt: skip
    """Show the heads of a layer as lines between tokens.

    Parameters
    ----------
    model : a name of the catalogue, a hub id or a folder; or a loaded model of transformers, then
        with its `tokenizer`.
    text, pair : one text, or two; of an encoder-decoder model source and target.
    layer : which is shown first; all can be chosen.
    options : `part` of an encoder-decoder model ("encoder", "decoder" or "cross"), `height` of the
        frame, `theme` ("light" or "dark"; a frame cannot see that of the notebook around it and
        follows the system), and what the view knows: `heads` ("0-3,7"), `pinned` ("5:0-2;8"),
        `pairs` ("ab").

    Raises
    ------
    PipelineError
        in words: a model that cannot be captured exactly, too long a text.
    """
    return _show("head_lines", (model, tokenizer), (text, pair), {"layer": layer, **options})


def model_view(
    model: Any, text: str, pair: str | None = None, *, tokenizer: Any = None, **options: Any
) -> Shown:
    """Show all heads of all layers as thumbnails; parameters as for `head_view`, without layer.

    `options` are also `sort` ("entropy" ...), `drawn` ("lines" or "squares"), `layers`, `heads`.
    """
    return _show("model_view", (model, tokenizer), (text, pair), options)


def neuron_view(
    model: Any, text: str, pair: str | None = None, *, tokenizer: Any = None, layer: int = 0,
    head: int = 0, **options: Any,
) -> Shown:  # fmt: skip
    """Show how each weight of a head comes about, dimension by dimension; see `head_view`.

    `options` are also `dimensions` ("index", "pair" or "overall"), `compare` (a query's position).
    """
    place = {"layer": layer, "head": head}
    return _show("neuron_view", (model, tokenizer), (text, pair), place | options)


def sentence_view(
    model: Any, text: str, pair: str | None = None, *, tokenizer: Any = None, layer: int = 0,
    head: int = 0, **options: Any,
) -> Shown:  # fmt: skip
    """Show one head as lines between two columns of tokens; see `head_view`."""
    place = {"layer": layer, "head": head}
    return _show("bipartite", (model, tokenizer), (text, pair), place | options)


def _show(
    kind: str, model: tuple[Any, Any], texts: tuple[str, str | None], options: Mapping[str, Any]
) -> Shown:
    rest = dict(options)
    height, part = rest.pop("height", HEIGHT), rest.pop("part", None)
    place = {name: rest.pop(name, 0) for name in ("layer", "head")}
    theme = rest.pop("theme", None)

    def make(service: Service, capture: str) -> Shown:
        page = make_document(service, View(kind, capture, **place, options=rest, theme=theme))
        name = service.capture(capture).record["model"]["name"]
        return Shown(page, height, f"{KINDS[kind].capitalize()} of {name}")

    given = LiveText(*texts)
    if isinstance(model[0], str):
        return make(*_capture_by_name(model[0], given, part))
    with tempfile.TemporaryDirectory(prefix="qk-atlas-") as folder:
        store = Store(Path(folder))
        loaded = _as_loaded(*model)
        capture = capture_loaded(loaded, given, store, part=part).record["key"]
        return make(_service(store), capture)


@cache
def _home() -> tuple[Store, LiveRunner]:
    """Return the cache folder of the dashboard, and the models that stay loaded."""
    settings = settings_from_environment(os.environ)
    return Store(settings.cache), LiveRunner()


def _service(store: Store) -> Service:
    settings = settings_from_environment(os.environ)
    return Service(store, JobTable(store), hub_cache=settings.hub_cache)


def _capture_by_name(model: str, given: LiveText, part: str | None) -> tuple[Service, str]:
    store, runner = _home()
    service = _service(store)
    spec = service.live.spec_of(model, given, part=part)
    return service, runner(spec.to_json(), store, lambda _: None)["capture"]


def _as_loaded(model: Any, tokenizer: Any) -> LoadedModel:
    """Take a model that somebody has loaded; one with a head is captured without it."""
    if tokenizer is None:
        raise TypeError("tokenizer: found none; a loaded model needs its own")
    base = getattr(model, "base_model", model)
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    name = getattr(model.config, "name_or_path", "") or type(model).__name__
    source = ModelSource(
        name=name, hub_id="", revision="loaded in the notebook", folder=Path(), modality="text",
        files={"loaded": uuid.uuid4().hex}, preprocessing=frozenset(),
    )  # fmt: skip
    return LoadedModel(base.eval(), tokenizer, None, source)


__all__ = ["Shown", "head_view", "model_view", "neuron_view", "sentence_view"]
