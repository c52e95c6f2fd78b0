"""One view as one file: scripts, styles and data in it, nothing to fetch, opens without a network.

Views ask for the same addresses as in the dashboard; the file brings the answers along.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from flask import Flask, Response, abort, request

from app import api
from app.api.answers import checked
from app.standalone_page import make_page
from app.theme import THEMES
from app.view_state import INSPECT_FIELDS, ViewState
from pipeline.captured import Capture
from pipeline.errors import InputError
from pipeline.service import Service

# Of data, before base64 adds a third: a browser opens such a page in a second or two.
MAX_BYTES = 48 * 2**20
# Of exact weights, which only numbers and tables need: of all layers where there is room.
MAX_EXACT_BYTES = 8 * 2**20
MAX_NEURON_TOKENS = 512
# Of more tokens, queries and keys have addresses of their own: `whole_max` of 36_neuron_load.js.
MAX_WHOLE_TOKENS = 256
KINDS = {
    "model_view": "model view", "head_lines": "head view", "neuron_view": "neuron view",
    "bipartite": "sentence view", "image_panel": "image view",
}  # fmt: skip
Read = Callable[[str], bytes]


@dataclass(frozen=True)
class View:
    """One view of one sequence.

    Parameters
    ----------
    kind : one of `KINDS`.
    capture : key of the capture.
    sequence : number in the capture.
    layer, head : which is shown first.
    compared : key of another capture with the same tokens, whose difference is shown.
    options : further options of the view's script.
    theme : "light" or "dark"; None follows the system of who opens it.
    """

    kind: str
    capture: str
    sequence: int = 0
    layer: int = 0
    head: int = 0
    compared: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    theme: str | None = None


def make_document(service: Service, view: View) -> str:
    """Return one view as a page of its own.

    Raises
    ------
    InputError
        if there is no such view, capture, sequence or head, or it holds too much for one file.
    """
    if view.kind not in KINDS:
        raise InputError(f"view: found {view.kind!r}, expected one of {', '.join(KINDS)}")
    if view.theme not in (None, *THEMES):
        raise InputError(f"theme: found {view.theme!r}, expected one of {', '.join(THEMES)}")
    capture = service.capture(view.capture)
    capture.cell(view.layer, view.head)
    read = reader(service)
    addresses, config = _wanted(view, capture, read)
    table = _table(addresses, read)
    facts = capture.record["model"]
    place = f" L{view.layer} H{view.head}" if view.kind in ("bipartite", "image_panel") else ""
    title = f"{KINDS[view.kind].capitalize()}{place} of {facts['name']}"
    usual = {name: value for name, value in asdict(ViewState()).items() if name in INSPECT_FIELDS}
    options = usual | {"layer": view.layer, "head": view.head, **view.options}
    data = {"kind": view.kind, "config": config, "options": options, "table": table}
    return make_page(title, data, view.theme)


def _table(addresses: list[str], read: Read) -> dict[str, str]:
    """Return the answers of addresses in base64; for an equal one "@" and where it is already."""
    table: dict[str, str] = {}
    first: dict[bytes, str] = {}
    n_bytes = 0
    for address in addresses:
        answer = read(address)
        digest = hashlib.sha256(answer).digest()
        if digest in first:
            table[address] = f"@{first[digest]}"
            continue
        first[digest] = address
        n_bytes += len(answer)
        if n_bytes > MAX_BYTES:
            raise InputError(
                f"this view needs more than {MAX_BYTES / 2**20:.0f} MB of data, too much for one "
                "file; take a shorter input"
            )
        table[address] = base64.b64encode(answer).decode()
    return table


def reader(service: Service) -> Read:
    """Return what reads the data routes within this process: bare, without the web around it."""
    server = Flask("qk_atlas_data")
    api.register_routes(server, service, allow_any_model=False)
    client = server.test_client()

    def read(address: str) -> bytes:
        answer = client.get(address)
        if answer.status_code != 200:
            raise InputError(f"{address}: {answer.text.strip()[:300]}")
        return answer.data

    return read


def add_route(server: Flask, service: Service) -> None:
    """Offer each view as a file: `/export/C/<kind>.html?sequence=&layer=&head=&compared=`."""

    @server.get("/export/<key>/<kind>.html")
    def export(key: str, kind: str) -> Response:
        numbers: dict[str, Any] = {}
        for name in ("sequence", "layer", "head"):
            text = request.args.get(name, "0")
            if not re.fullmatch("[0-9]{1,7}", text):
                abort(400, f"{name}: expected a whole number")
            numbers[name] = int(text)
        other = request.args.get("compared")
        compared = None if other is None else checked(other)
        try:
            page = make_document(service, View(kind, checked(key), compared=compared, **numbers))
        except InputError as error:
            return Response(f"{error}\n", 404, mimetype="text/plain")
        response = Response(page, mimetype="text/html")
        # Saved, never shown under our own address, where its scripts would be refused.
        response.headers["Content-Disposition"] = f"attachment; filename=qk-atlas-{kind}.html"
        response.headers["Cache-Control"] = "no-store"
        return response


def _wanted(view: View, capture: Capture, read: Read) -> tuple[list[str], dict[str, Any]]:
    """Return the addresses that a view asks for, and its configuration."""
    keys = [view.capture, *([view.compared] if view.compared else [])]
    bases = [f"/api/{key}" for key in keys]
    if view.kind in ("bipartite", "image_panel"):
        return _wanted_by_panel(view, capture, read)
    facts = capture.record["model"]
    config = {
        "capture_url": bases[0], "compared_url": bases[1] if view.compared else None,
        "sequence": view.sequence, "links": {},
        "provenance": {"model": facts["name"], "revision": facts["revision"],
                       "corpus": capture.record["corpus"]["name"]},
    }  # fmt: skip
    layers = range(len(capture.layers))
    wanted = [f"{base}/sequence/{view.sequence}.json" for base in bases]
    if view.kind == "neuron_view":
        return wanted + [one for base in bases for one in _neurons(base, view, capture)], config
    for base in bases:
        for layer in layers:
            wanted.append(f"{base}/weights/{view.sequence}/{layer}.u8")
            wanted.append(f"{base}/weights/{view.sequence}/{layer}/scores.f32")
    exact = _with_exact_weights(view, capture)
    wanted += [
        f"{base}/attention/{view.sequence}/{layer}/{head}.f32"
        for base in bases for layer in exact for head in range(capture.layers[layer].n_heads)
    ]  # fmt: skip
    return wanted, config


def _wanted_by_panel(
    view: View, capture: Capture, read: Read
) -> tuple[list[str], dict[str, Any]]:  # fmt: skip
    """Return the same for the view of a sentence or an image at one head."""
    base = f"/api/{view.capture}"
    place = f"{view.sequence}/{view.layer}/{view.head}.f32"
    wanted = [f"{base}/attention/{place}"]
    sides = {
        side: _tokens(capture, some, view.sequence)
        for side, some in (("query", capture.query_tokens), ("key", capture.key_tokens))
    }
    config: dict[str, Any] = {
        "title": f"{KINDS[view.kind].capitalize()} (L{view.layer} H{view.head})", "subtitle": "",
        "weights_url": wanted[0], "tokens": sides["query"],
    }  # fmt: skip
    if view.kind == "image_panel":
        picture = base64.b64encode(read(f"{base}/image/{view.sequence}.png")).decode()
        image_url = f"data:image/png;base64,{picture}"
        return wanted, config | {"image_url": image_url, "grid": capture.tokens.grid}
    facts = json.loads(read(f"{base}/layers.json"))[view.layer]
    if facts["has_values"]:
        wanted.append(f"{base}/values/{place}")
    kind = capture.layers[view.layer].kind
    names = {"query": "decoder (queries)", "key": "encoder (keys)"} if kind == "cross" else None
    is_pair = kind == "self" and any(token["segment"] == 1 for token in sides["query"])
    return wanted, config | facts | {
        "sides": sides, "side_names": names, "is_pair": is_pair, "sequence": view.sequence,
        "values_url": f"{base}/values/{place}",
    }  # fmt: skip


def _tokens(capture: Capture, some: Any, sequence: int) -> list[dict[str, Any]]:
    """Return the tokens of one sequence that have a query, or a key; all for None."""
    tokens = capture.tokens
    numbers = range(tokens.n_tokens) if some is None else some.tolist()
    return [
        {"text": tokens.token_text[i], "special": bool(tokens.is_special[i]),
         "segment": int(tokens.segment[i]), "row": int(tokens.row[i]),
         "column": int(tokens.column[i])}
        for i in numbers if tokens.sequence_index[i] == sequence
    ]  # fmt: skip


def _neurons(base: str, view: View, capture: Capture) -> list[str]:
    """Return what the neuron view asks for at every head."""
    n_queries = int(capture.query_offset[view.sequence + 1] - capture.query_offset[view.sequence])
    if n_queries > MAX_NEURON_TOKENS:
        raise InputError(
            f"the neuron view of {n_queries} tokens does not fit into one file, at most "
            f"{MAX_NEURON_TOKENS} do; take a shorter input"
        )
    found = []
    for layer, head in capture.cells:
        place = f"{base}/neuron/{view.sequence}/{layer}/{head}"
        found.append(f"{base}/neuron/{layer}/{head}.json")
        for state in ("", *(["rotary=before"] if capture.record["rotary"] == "before" else [])):
            rows = [f"rows=0-{n_queries}", "rows=keys"] if n_queries > MAX_WHOLE_TOKENS else [""]
            asked = ["&".join(filter(None, (state, part))) for part in rows]
            found += [f"{place}.f32?{query}" if query else f"{place}.f32" for query in asked]
        if capture.additive(layer, head) is not None or _has_rows(capture, layer):
            found.append(f"{place}/terms.f32?rows=0-{n_queries}")
    return found


def _has_rows(capture: Capture, layer: int) -> bool:
    return capture.record["objects"]["additive_rows"][layer] is not None


def _with_exact_weights(view: View, capture: Capture) -> list[int]:
    """Return the layers whose exact weights go along: all, or the one that is shown."""
    lengths = [
        int(offset[view.sequence + 1] - offset[view.sequence])
        for offset in (capture.query_offset, capture.key_offset)
    ]
    n_bytes = 4 * len(capture.cells) * lengths[0] * lengths[1]
    return list(range(len(capture.layers))) if n_bytes <= MAX_EXACT_BYTES else [view.layer]
