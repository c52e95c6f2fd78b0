"""The routes of live inputs, with jobs done in this process."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dash
import pytest
from flask.testing import FlaskClient

from app.main import create_app
from app.settings import Settings
from pipeline import live_runner
from pipeline.corpora import load_corpus
from pipeline.jobs import JobTable
from pipeline.kinds import LANES
from pipeline.live_runner import LiveRunner
from pipeline.service import Service
from pipeline.store import Store

TEXT = "the cat </script><b>sat</b> on the mat"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def work(store: Store, hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Do the jobs that wait, as the worker does."""
    monkeypatch.setattr(live_runner, "hub_cache", lambda: hub_cache)
    runner, jobs = LiveRunner(), JobTable(store)

    def work() -> None:
        while job := jobs.claim("live"):
            jobs.finish(job.id, runner(dict(job.spec), store, lambda _: None))

    return work


@pytest.fixture
def client_of(store: Store, hub_cache: Path) -> Iterator[Callable[..., FlaskClient]]:
    others = dict(dash.page_registry)

    def make(allow_models: Any = "hub") -> FlaskClient:
        dash.page_registry.clear()
        service = Service(store, JobTable(store), hub_cache=hub_cache)
        settings = Settings(cache=store.root, hub_cache=hub_cache, allow_models=allow_models)
        return create_app(settings, service, is_ready=lambda: True).server.test_client()

    yield make
    dash.page_registry.clear()
    dash.page_registry.update(others)


def test_a_text_is_run_followed_and_described(client_of, work):
    client = client_of()
    told = client.post("/api/live/text", json={"model": "tiny/bert", "text": TEXT}).json
    assert (told["state"], told["position"], told["capture"]) == ("queued", 0, None)
    work()
    told = client.get(f"/api/live/job/{told['job']}.json").json
    assert told["state"] == "done"
    given = client.get(f"/api/live/input/{told['capture']}.json").json
    assert (given["model"], given["text"], given["compared"]) == ("tiny/bert", TEXT, None)
    tokens = client.get(f"/api/{told['capture']}/tokens.json").json
    assert [token["text"] for token in given["tokens"]] == tokens["text"]
    n = len(tokens["text"])
    weights = client.get(f"/api/{told['capture']}/attention/0/1/2.f32").data
    assert len(weights) == 4 * n * n
    again = client.post("/api/live/text", json={"model": "tiny/bert", "text": TEXT}).json
    assert (again["state"], again["capture"]) == ("done", told["capture"])


def test_an_edit_is_run_and_says_what_the_token_was(client_of, work):
    client = client_of()
    body = {"model": "tiny/bert", "text": "the cat sat on the mat"}
    first = client.post("/api/live/text", json=body).json
    work()
    key = client.get(f"/api/live/job/{first['job']}.json").json["capture"]
    edit = client.post("/api/live/edit", json={"capture": key, "edits": [[2, None]]}).json
    work()
    edited = client.get(f"/api/live/job/{edit['job']}.json").json["capture"]
    given = client.get(f"/api/live/input/{edited}.json").json
    assert given["tokens"][2] == {
        "text": "[MASK]", "special": False, "segment": 0, "was": "cat",
    }  # fmt: skip
    assert (given["compared"], given["edits"], given["mask"]["is_own"]) == (key, [[2, None]], True)


def test_a_picture_is_run(client_of, work):
    client = client_of()
    png = load_corpus("gradients").images[0]
    form = {"model": "tiny/vit", "image": (io.BytesIO(png), "x.png")}
    told = client.post("/api/live/image", data=form).json
    work()
    capture = client.get(f"/api/live/job/{told['job']}.json").json["capture"]
    assert client.get(f"/api/{capture}/image/0.png").data.startswith(b"\x89PNG")
    given = client.get(f"/api/live/input/{capture}.json").json
    assert (given["modality"], given["text"], given["tokens"]) == ("image", None, [])


@pytest.mark.parametrize(
    ("route", "body", "words"),
    [
        ("text", {}, "model: expected a text"),
        ("text", {"model": "tiny/bert", "text": 3}, "text: expected a text"),
        ("text", {"model": "tiny/bert", "text": " "}, "found none"),
        ("text", {"model": "tiny/bert", "text": "x" * 20_001}, "found 20,001 characters"),
        ("text", {"model": "tiny/bert", "text": "a", "part": "x"}, "part: found 'x'"),
        ("text", {"model": "no/such", "text": "a b c"}, ""),
        ("text", [1], "model: expected a text"),
        ("sequence", {"atlas": "0" * 64, "sequence": "1"}, "expected a whole number"),
        ("sequence", {"atlas": "0" * 64, "sequence": 1}, "is not in the cache"),
        ("edit", {"capture": "0" * 64, "edits": 1}, "edits: expected a list"),
        ("edit", {"capture": "0" * 64, "edits": []}, "is not in the cache"),
        ("image", {"model": "tiny/vit"}, "picture: found none"),
    ],
)
def test_what_is_no_input_is_refused_in_words(client_of, store, route, body, words):
    answer = client_of().post(f"/api/live/{route}", json=body)
    if words:
        assert answer.status_code == 400
        assert words in answer.text
    assert all(job.state == "queued" for job in JobTable(store).list())


def test_keys_that_are_none_have_no_answer(client_of):
    client = client_of()
    for body in ({"capture": "x", "edits": []}, {"capture": "../" * 22, "edits": []}):
        assert client.post("/api/live/edit", json=body).status_code == 404
    for path in ("job/" + "0" * 32 + ".json", "job/x.json", "input/x.json"):
        assert client.get(f"/api/live/{path}").status_code == 404
    gone = client.get(f"/api/live/input/{'0' * 64}.json")
    assert gone.json == {"missing": "this live input is not in the cache any more; type it again"}


def test_a_dashboard_for_strangers_runs_only_what_it_lists(client_of, store):
    client = client_of("catalogue")
    for route in ("text", "warm"):
        body = {"model": "tiny/bert", "text": "a b c"}
        refused = client.post(f"/api/live/{route}", json=body)
        assert (refused.status_code, "only the models" in refused.text) == (400, True)
    assert JobTable(store).list() == []
    taken = client.post("/api/live/text", json={"model": "minilm", "text": "a b c"})
    assert taken.json["state"] == "queued"


def test_a_visitor_cancels_what_he_asked_for_and_nobody_else(client_of):
    client = client_of()
    told = client.post("/api/live/text", json={"model": "tiny/bert", "text": "a b c"}).json
    path = f"/api/live/job/{told['job']}/cancel"
    other = client.post(path, environ_base={"REMOTE_ADDR": "10.0.0.9"})
    assert (other.status_code, "somebody else asked" in other.text) == (400, True)
    assert client.post(path).json["state"] == "cancelled"


def test_one_visitor_cannot_fill_the_lane(client_of):
    client = client_of()
    for number in range(LANES["live"].max_queued_each):
        client.post("/api/live/text", json={"model": "tiny/bert", "text": f"a b {number}"})
    refused = client.post("/api/live/text", json={"model": "tiny/bert", "text": "a b c"})
    assert "jobs of yours wait already" in refused.text


def test_a_model_is_warmed_once(client_of, work, store):
    client = client_of()
    told = [client.post("/api/live/warm", json={"model": "tiny/bert"}).json for _ in range(2)]
    assert told[0]["job"] == told[1]["job"]
    work()
    assert client.get(f"/api/live/job/{told[0]['job']}.json").json["state"] == "done"
    job = client.post("/api/live/text", json={"model": "tiny/bert", "text": "a b c"}).json
    work()
    capture = client.get(f"/api/live/job/{job['job']}.json").json["capture"]
    assert Store(store.root).get_record(capture)["seconds"]["load"] < 0.05


def test_no_text_is_in_an_address_or_an_answer_that_is_kept(client_of, work):
    client = client_of()
    told = client.post("/api/live/text", json={"model": "tiny/bert", "text": TEXT})
    work()
    job = json.loads(told.data)["job"]
    done = client.get(f"/api/live/job/{job}.json")
    given = client.get(f"/api/live/input/{done.json['capture']}.json")
    assert TEXT not in done.text
    assert given.headers["Cache-Control"] == "no-store"
