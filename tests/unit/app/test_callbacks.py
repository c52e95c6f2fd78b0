"""What the callbacks do, called as functions."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.callbacks.build import tell
from app.callbacks.find import meaning, search
from app.callbacks.trust import look, show_norms, show_trust
from app.opening import choices, describe, estimate, mean_rho, usual_method, why_failed
from app.view_state import ViewState
from pipeline.jobs import JobRecord
from pipeline.service import Service

JOB = JobRecord("0" * 32, "", "build", {"model": "m", "corpus": "c"}, "me", "running", 0.0,
                stage="maps", done=3, total=72, seconds_left=200.0)  # fmt: skip


def test_an_atlas_is_described_by_names_and_digests(
    service: Service, tiny_atlas: dict[str, Any], tiny_corpus: Path
) -> None:
    found = describe(service, "tiny/bert", str(tiny_corpus), "faithful")
    assert found["atlas"] == tiny_atlas["atlas"]
    assert (found["rows"], found["columns"], len(found["cells"])) == (2, 4, 8)
    assert set(found["maps"]) == {"pca_2", "pca_3"}
    assert all(one["complete"] for one in found["maps"].values())


def test_a_missing_atlas_is_said_in_words(service: Service) -> None:
    found = describe(service, "gpt2", "pairs", "paper")
    assert found["missing"] == "There is no atlas of gpt2 on pairs yet."
    assert "capture" not in found


def test_pca_is_shown_where_the_usual_maps_are_not_there(
    service: Service, tiny_corpus: Path
) -> None:
    state = ViewState(model="tiny/bert", corpus=str(tiny_corpus))
    atlas = describe(service, state.model, state.corpus, state.normalisation)
    assert usual_method(atlas, state) == "pca"


def test_known_models_and_what_has_an_atlas_can_be_chosen(service: Service) -> None:
    models, corpora = choices(service, ViewState(model="else/where"))
    assert {"minilm", "tiny/bert", "else/where"} <= set(models)
    assert {"sentences", "photos"} <= set(corpora)
    assert models["minilm"] == "minilm (text)"


def test_a_search_counts_tokens(service: Service, tiny_atlas: dict[str, Any]) -> None:
    atlas = service.atlas(tiny_atlas["atlas"])
    text = atlas.capture.tokens.token_text
    found, words = search(service, "[cls]", "word", atlas.record["capture"])
    expected = [i for i, one in enumerate(text) if one == "[CLS]"]
    assert found == [{"term": "[cls]", "tokens": expected}]
    assert words == "9 tokens"


def test_several_terms_are_counted_apart_with_their_marks(
    service: Service, tiny_atlas: dict[str, Any]
) -> None:
    capture = service.atlas(tiny_atlas["atlas"]).record["capture"]
    found, rows = search(service, "[cls, zyzzyva", "prefix", capture)
    assert [len(one["tokens"]) for one in found or []] == [9, 0]
    marks = [row.children[0].to_plotly_json()["props"]["data-mark"] for row in rows]
    assert marks == ["0", "1"]
    assert [row.children[2] for row in rows] == [" 9 tokens", " 0 tokens"]


def test_legends_tell_real_values(service: Service, tiny_atlas: dict[str, Any]) -> None:
    capture = service.atlas(tiny_atlas["atlas"]).record["capture"]
    norms = service.capture(capture).norms()
    _, words = meaning(service, "norm", capture, {"layer": 1, "head": 0}, common=False)
    assert words[0] == f"norm {norms[4].min():.3g}"
    _, words = meaning(service, "norm", capture, None, common=True)
    assert words[2] == f"norm {norms.max():.3g}"
    ramp, words = meaning(service, "token_frequency", capture, None, common=False)
    assert (ramp, words[0]) == ("sequential", "1 time")
    assert meaning(service, "row", capture, None, common=False) == ("type", ())


@pytest.mark.parametrize("query", [None, "", "  ", 7, {"x": 1}])
def test_no_search_is_no_highlight(service: Service, query: Any) -> None:
    assert search(service, query, "word", "0" * 64) == (None, "")


def test_a_search_in_an_atlas_that_is_gone_says_so(service: Service) -> None:
    found, words = search(service, "may", "word", "0" * 64)
    assert found is None
    assert "not in the cache" in words


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (JOB, "m on c: laying out maps 3 of 72, about 3 min left"),
        (replace(JOB, state="queued"), "m on c: waiting, 2 before it"),
        (replace(JOB, state="failed", error="No such file."), "m on c: failed. No such file."),
        (replace(JOB, state="done"), "m on c: built"),
    ],
)
def test_a_build_is_told_in_one_line(job: JobRecord, expected: str) -> None:
    assert tell(job, 2) == expected


@pytest.mark.parametrize("path", ["/", "/head", "/build", "/about", "/_dash-layout"])
def test_every_page_answers_with_the_headers_that_protect_it(
    client: FlaskClient, path: str
) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert "unsafe-eval" not in response.headers["Content-Security-Policy"]


def test_scripts_are_kept_by_browsers_until_they_change(client: FlaskClient) -> None:
    page = client.get("/").text
    [script] = re.findall(r"/assets/72_pages\.js\?m=[0-9.]+", page)
    with client.get(script) as kept, client.get("/assets/72_pages.js") as asked:
        assert kept.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert asked.headers["Cache-Control"] == "no-cache"
        assert kept.data == asked.data


def callback_body(output: str, inputs: list[tuple[str, str, Any]]) -> dict[str, Any]:
    rows = [{"id": name, "property": prop, "value": value} for name, prop, value in inputs]
    return {"output": output, "outputs": {}, "inputs": rows, "changedPropIds": []}


@pytest.mark.parametrize("value", [None, {"x": [1]}, ["a"], 3.5, True, "x" * 5000])
def test_a_callback_with_nonsense_is_no_fault_of_the_server(
    client: FlaskClient, value: Any
) -> None:
    body = callback_body(
        "..shell-hits.data...controls-search-count.children..", [("shell-sought", "data", value)]
    )
    body["outputs"] = [
        {"id": "shell-hits", "property": "data"},
        {"id": "controls-search-count", "property": "children"},
    ]
    assert client.post("/_dash-update-component", json=body).status_code == 200


def test_the_panels_look_at_the_head_of_the_page(
    service: Service, tiny_atlas: dict[str, Any], tiny_corpus: Path
) -> None:
    atlas = describe(service, "tiny/bert", str(tiny_corpus), "faithful")
    reported = {
        "layer": 1,
        "head": 2,
        "atlas": atlas["atlas"],
        "map": atlas["maps"]["pca_2"]["key"],
    }
    found = look(service, reported)
    assert not isinstance(found, str)
    report, quality = found
    assert report.map_rho == pytest.approx(quality["spearman"], abs=1e-6)
    panel = show_trust(report, quality, service.judge(quality), LOOK)
    assert "How far can I trust this?" in str(panel)
    assert "Mean of queries" in str(show_norms(report, LOOK))


LOOK = {"palette": "default", "theme": "light"}


def test_without_an_atlas_the_panels_say_so(service: Service) -> None:
    assert look(service, {"tab": "trust"}) == "There is no head to look at yet."


def test_the_cost_of_a_build_is_told_before(service: Service) -> None:
    words = estimate(service, "minilm", "sentences")
    assert words.startswith("72 heads with about 10,500 points each")
    assert estimate(service, "my/model", "sentences") == ""


def test_the_mean_rho_of_a_map_is_told_when_all_heads_are_measured() -> None:
    cells: list[dict[str, Any]] = [{"quality": {"per_query_rho": rho}} for rho in (-0.2, -0.6)]
    assert mean_rho({"cells": cells}) == pytest.approx(-0.4)
    assert mean_rho({"cells": [*cells, {"quality": None}]}) is None
    assert mean_rho({"cells": None}) is None


def test_a_build_that_failed_keeps_its_reason() -> None:
    assert why_failed(replace(JOB, state="failed", error="no disk")) == "no disk"
    assert why_failed(replace(JOB, state="done")) == ""
    assert why_failed(None) == ""
