"""Builds that visitors start, stop and take up again, through the callbacks of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dash
import pytest
from flask.testing import FlaskClient

from app.main import create_app
from app.settings import Settings
from pipeline.jobs import ANYONE, JobTable
from pipeline.kinds import LANES
from pipeline.service import Service
from pipeline.specs import AtlasSpec
from pipeline.store import Store
from tests.soak.request_parts import CALLBACKS, body_of

SPEC = AtlasSpec("tiny/bert", "sentences")
CHOSEN: dict[str, Any] = {
    "build-start": 1, "build-model": "minilm", "build-corpus": "sentences",
    "build-normalisation": "faithful", "build-methods": ["pca"], "build-other-model": None,
}  # fmt: skip


@pytest.fixture
def jobs(tmp_path: Path) -> JobTable:
    return JobTable(Store(tmp_path / "cache"))


@pytest.fixture
def clients(
    tmp_path: Path, jobs: JobTable, hub_cache: Path
) -> Iterator[Callable[[str], FlaskClient]]:
    """Give a client of a dashboard that builds anything ("hub") or only what it lists."""
    others = dict(dash.page_registry)

    def make(allow_models: Any) -> FlaskClient:
        dash.page_registry.clear()
        store = Store(tmp_path / "cache")
        service = Service(store, jobs, hub_cache=hub_cache)
        settings = Settings(cache=store.root, hub_cache=hub_cache, allow_models=allow_models)
        return create_app(settings, service, is_ready=lambda: False).server.test_client()

    yield make
    dash.page_registry.clear()
    dash.page_registry.update(others)


def ask(client: FlaskClient, first_input: str, address: str = "10.0.0.1", **values: Any) -> Any:
    """Call a callback by its first input; return what it sets, by component."""
    callbacks = client.get("/_dash-dependencies").json
    [callback] = [c for c in callbacks if c["inputs"][0]["id"] == first_input]
    given = {name.replace("_", "-"): value for name, value in values.items()}
    answer = client.post(
        CALLBACKS, json=body_of(callback, given.get), environ_base={"REMOTE_ADDR": address}
    )
    assert answer.status_code == 200, answer.text
    return answer.json["response"]


def build(client: FlaskClient, **values: Any) -> Any:
    given = {name.replace("-", "_"): value for name, value in CHOSEN.items()} | values
    return ask(client, "build-start", **given)


def test_a_dashboard_for_strangers_builds_only_what_it_lists(clients, jobs):
    client = clients("catalogue")
    for changed in ({"build_corpus": "/etc/passwd"}, {"build_model": "some/model"}):
        assert (
            "only the models and corpora" in build(client, **changed)["build-message"]["children"]
        )
    found = ask(client, "shell-build", shell_build=1, shell_model="minilm",
                shell_corpus="/etc/passwd")  # fmt: skip
    assert "only the models and corpora" in found["shell-notices"]["children"]
    assert jobs.list() == []
    assert build(client)["shell-job"]["data"] == jobs.list()[0].id


@pytest.mark.parametrize("methods", [None, "pca", [], [["pca"]], [{"x": 1}], ["pca", "magic"]])
def test_nonsense_for_maps_is_said_and_starts_nothing(clients, jobs, methods):
    message = build(clients("hub"), build_methods=methods)["build-message"]["children"]
    assert "methods: found" in message
    assert jobs.list() == []


def test_one_visitor_cannot_fill_the_queue(clients, jobs):
    client = clients("hub")
    for number in range(LANES["build"].max_queued_each + 1):
        jobs.submit("build", {"n": number}, "10.0.0.1" if number else ANYONE)
    assert "jobs of yours wait already" in build(client)["build-message"]["children"]
    assert "is queued" in build(client, address="10.0.0.2")["build-message"]["children"]


def test_nobody_cancels_what_another_asked_for(clients, jobs):
    client = clients("hub")
    job = jobs.submit("build", SPEC.to_json(), "10.0.0.2")
    found = ask(client, "shell-cancel", shell_cancel=1, shell_job=job.id)
    assert "somebody else asked" in found["shell-notices"]["children"]
    assert jobs.get(job.id).state == "queued"
    jobs.submit("build", SPEC.to_json(), "10.0.0.1")
    found = ask(client, "shell-cancel", shell_cancel=1, shell_job=job.id)
    assert "goes on for them" in found["shell-notices"]["children"]
    ask(client, "shell-cancel", address="10.0.0.2", shell_cancel=1, shell_job=job.id)
    assert jobs.get(job.id).state == "cancelled"


def test_an_interrupted_build_is_shown_and_can_go_on(clients, jobs):
    client = clients("hub")
    job = jobs.submit("build", SPEC.to_json(), "10.0.0.1")
    jobs.claim("build")
    jobs.interrupt_running("build")
    opened = client.get(f"/api/atlas?model={SPEC.model}&corpus={SPEC.corpus}").json
    assert opened["job"] == job.id
    assert not opened["atlas"]["building"]
    told = ask(client, "shell-job", shell_job=job.id)
    assert "interrupted. The program ended while this ran" in told["shell-job-status"]["children"]
    assert told["shell-go-on"]["hidden"] is False
    again = ask(client, "shell-go-on", shell_go_on=1, shell_job=job.id)["shell-job"]["data"]
    assert (jobs.get(again).state, jobs.get(again).spec) == ("queued", job.spec)
    assert ask(client, "shell-job", shell_job=again)["shell-go-on"]["hidden"] is True


def test_a_build_that_is_not_known_any_more_cannot_go_on(clients, jobs):
    found = ask(clients("hub"), "shell-go-on", shell_go_on=1, shell_job="0" * 32)
    assert "start it from the build page" in found["shell-notices"]["children"]
