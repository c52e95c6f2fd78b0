"""Bad requests: callback bodies and data routes with anything in them (reliability A5, A13)."""

from __future__ import annotations

import json
import logging
import random
from typing import Any

import dash
from flask.testing import FlaskClient

from app.callbacks.build import is_offered
from app.main import create_app
from app.settings import Settings
from pipeline.errors import InputError
from pipeline.jobs import JobTable
from pipeline.service import Service
from pipeline.specs import AtlasSpec
from pipeline.store import Store
from tests.conftest import build
from tests.soak.common import Figure, Place

CALLBACKS = "/_dash-update-component"
WORDS = [
    "minilm", "tiny/bert", "sentences", "photos", "faithful", "none", "pca", "tsne", "2", "type",
    "default", "light", "/", "/head", "/build", "?layer=1&head=2", "?model=%00", "?" + "a=b&" * 500,
    "", " ", "\x00", "../../etc/passwd", "/etc/passwd", "~", "javascript:alert(1)", "<b>x</b>",
    "\ud800", "a" * 5000, "0" * 32, "0" * 64, "live", "9" * 400, "null", "{}", "%s%n", "\u202e",
]  # fmt: skip
ROUTES = [
    "order.u32", "attributes.u8", "norms.u8", "tokens.json", "cells.json", "overview.u8",
    "head/{}/{}/norms.u8", "head/{}/{}.u8", "head/{}/{}.u16", "attention/{}/{}/{}.f32",
    "image/{}.png",
]  # fmt: skip
NUMBERS = ["-1", "99", "1" * 30, "9" * 4000, "1.5", "NaN", "%2e%2e", "..", "0x1", "٣"]
KEYS = ["0" * 64, "f" * 63, "A" * 64, "..", "%2e%2e%2fetc", "a" * 5000, "%00", "live"]
METHODS = ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD"]


class Faults(logging.Handler):
    """Counts tracebacks in the log."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what was raised."""
        if record.exc_info:
            self.seen.append(repr(record.exc_info[1]))


def bad_requests(place: Place, count: int) -> list[Figure]:
    """Send nonsense to every callback and data route of a dashboard with an atlas."""
    store = Store(place.cache)
    summary = build(store, place.hub_cache, model="tiny/bert", corpus=str(place.corpus),
                    methods=("pca",))  # fmt: skip
    jobs = JobTable(store)
    service = Service(store, jobs, hub_cache=place.hub_cache)
    others = dict(dash.page_registry)
    dash.page_registry.clear()
    settings = Settings(cache=place.cache, hub_cache=place.hub_cache, allow_models="catalogue")
    client = create_app(settings, service, is_ready=lambda: True).server.test_client()
    callbacks = [c for c in client.get("/_dash-dependencies").json if not c["clientside_function"]]
    faults, started = Faults(), []
    logging.getLogger().addHandler(faults)
    try:
        statuses = []
        for number in range(count):
            statuses.append(_send(client, callbacks, random.Random(number)))
            for job in jobs.list():
                started += [] if not job.is_live or _is_good(service, job) else [job]
                jobs.cancel(job.id, job.owners[0])
        map_key = next(iter(service.map_sets(summary["atlas"]).values()))["key"]
        asked = _ask_routes(client, [service.atlas(summary["atlas"]).record["capture"], map_key])
    finally:
        logging.getLogger().removeHandler(faults)
        dash.page_registry.clear()
        dash.page_registry.update(others)
    broken = [status for status in [*statuses, *asked.values()] if status >= 500]
    leaks = [url for url, status in asked.items() if status == 200]
    return [
        Figure("A5", f"{count} callback bodies, {len(asked)} addresses: tracebacks, answers 5xx",
               "0; 0", f"{len(faults.seen)}; {len(broken)} {sorted(set(faults.seen)) or ''}",
               not faults.seen and not broken),
        Figure("A5", "the same: computations started; data given out", "0; 0",
               f"{len(started)}; {len(leaks)} {leaks[:1] or ''}", not started and not leaks),
    ]  # fmt: skip


def _is_good(service: Service, job: Any) -> bool:
    """Tell whether a build was worth being queued: by chance the nonsense may make sense."""
    try:
        spec = AtlasSpec.from_json(job.spec)
    except (TypeError, InputError):
        return False
    return is_offered(service, spec.model, spec.corpus)


def _send(client: FlaskClient, callbacks: list[Any], rng: random.Random) -> int:
    body = body_of(rng.choice(callbacks), lambda _: _value(rng))
    if rng.random() < 0.3:
        _spoil(body, rng)
    if rng.random() < 0.05:
        data = json.dumps(body).encode()[: rng.randrange(200)]
        return client.post(CALLBACKS, data=data, content_type="application/json").status_code
    return client.post(CALLBACKS, json=body).status_code


def body_of(callback: dict[str, Any], value_of: Any) -> dict[str, Any]:
    """Return the body of a request as our pages send it.

    Parameters
    ----------
    callback : its description from `/_dash-dependencies`.
    value_of : gives the value of a component's id.
    """
    names = callback["output"].strip(".").split("...")
    outputs = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in names]
    inputs, state = (
        [one | {"value": value_of(one["id"])} for one in callback[kind]]
        for kind in ("inputs", "state")
    )
    changed = [f"{one['id']}.{one['property']}" for one in inputs[:1]]
    is_single = not callback["output"].startswith("..")
    return {"output": callback["output"], "outputs": outputs[0] if is_single else outputs,
            "inputs": inputs, "state": state, "changedPropIds": changed}  # fmt: skip


def _value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(10 if depth < 3 else 7)
    if kind < 4:
        return rng.choice(WORDS)
    if kind < 7:
        return rng.choice([None, True, False, 0, -1, 1, 2, 2.0, 1e308, 10**30, 3.5])
    if kind == 7:
        return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    names = ["capture", "atlas", "maps", "x", "layer", "head", "sequence", "missing"]
    return {rng.choice(names): _value(rng, depth + 1) for _ in range(rng.randrange(4))}


def _spoil(body: dict[str, Any], rng: random.Random) -> None:
    """Break the shape of a request."""
    name = rng.choice(list(body))
    what = rng.randrange(4)
    if what == 0:
        del body[name]
    elif what == 1:
        body[name] = _value(rng)
    elif isinstance(body[name], list) and body[name]:
        place = rng.randrange(len(body[name]))
        if what == 2:
            body[name][place] = _value(rng)
        else:
            del body[name][place]


def _ask_routes(client: FlaskClient, real_keys: list[str]) -> dict[str, int]:
    """Ask for what is not there; return the status of each request."""
    statuses = {}
    for route in ROUTES:
        for key in KEYS:
            url = f"/api/{key}/{route.format(0, 0, 0)}"
            statuses[f"GET {url}"] = client.get(url).status_code
        for key in real_keys:
            for number in NUMBERS if "{}" in route else []:
                url = f"/api/{key}/{route.format(number, number, number)}"
                statuses[f"GET {url}"] = client.get(url).status_code
            url = f"/api/{key}/{route.format(0, 0, 0)}"
            for method in METHODS[:-3]:
                statuses[f"{method} {url}"] = client.open(url, method=method).status_code
            for prefix in ("0", "-1", "257", "x", "9" * 50):
                if route in ("norms.u8", "overview.u8"):
                    asked = client.get(f"{url}?m={prefix}")
                    statuses[f"GET {url}?m={prefix}"] = asked.status_code
    return statuses
