"""One view as one file: what is in it, and that no text in it can become anything else."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from app import standalone, standalone_page
from app.standalone import View, make_document
from pipeline import live_runner
from pipeline.errors import InputError
from pipeline.jobs import JobTable
from pipeline.live_runner import LiveRunner
from pipeline.live_specs import LiveText
from pipeline.service import Service
from pipeline.store import Store
from tests.unit.pipeline.tiny_models import copy_of

HOSTILE = "the </script><script>alert(1)</script> <!-- cat \u2028\u202e &lt; \"' on ]]>"


@pytest.fixture
def service(tmp_path, hub_cache, monkeypatch):
    monkeypatch.setattr(live_runner, "hub_cache", lambda: hub_cache)
    store = Store(tmp_path / "cache")
    return Service(store, JobTable(store), hub_cache=hub_cache)


@pytest.fixture
def capture(service):
    return run(service, "tiny/gpt2", HOSTILE)  # its tokens are bytes: every sign survives


def run(service, model, text):
    spec = service.live.spec_of(model, LiveText(text))
    return LiveRunner()(spec.to_json(), service._store, lambda _: None)["capture"]


class Elements(HTMLParser):
    """Lists the elements of a page and the texts of scripts, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


def data_of(page):
    found = Elements(page)
    place = [tag for tag, _ in found.tags if tag == "script"]
    assert len(place) == len(found.scripts)
    return json.loads(found.scripts[0])


@pytest.mark.parametrize("kind", ["bipartite", "head_lines", "model_view", "neuron_view"])
def test_a_view_brings_everything_and_fetches_nothing(service, capture, kind):
    page = make_document(service, View(kind, capture, layer=1, head=2))
    data = data_of(page)
    assert data["kind"] == kind
    assert data["options"]["layer"] == 1
    assert data["table"]
    for tag, attributes in Elements(page).tags:
        assert "src" not in attributes
        assert "href" not in attributes
        assert tag not in ("link", "iframe", "img", "object")
    styles = page.split("<style>")[1].split("</style>")[0]
    assert re.findall(r"url\(.{6}", styles)
    assert set(re.findall(r"url\(.{6}", styles)) == {'url("data:'}
    assert "default-src 'none'" in page


def test_hostile_tokens_stay_data(service, capture):
    # A tokenizer may have such a text as one token, too.
    page = make_document(service, View("bipartite", capture, options={"picked": HOSTILE}))
    plain = make_document(service, View("bipartite", run(service, "tiny/gpt2", "the cat sat")))
    assert [tag for tag, _ in Elements(page).tags] == [tag for tag, _ in Elements(plain).tags]
    assert data_of(page)["options"]["picked"] == HOSTILE
    texts = [token["text"] for token in data_of(page)["config"]["tokens"]]
    # The signs that are several bytes are several tokens, none of which is one alone.
    before, after = HOSTILE.split("\u2028\u202e")
    said = "".join(texts)
    assert said.startswith(before)
    assert said.endswith(after)
    assert "alert(1)" not in page.replace("<script>", "").split("qk-standalone-data")[0]


def test_the_name_of_a_model_stays_text(service, hub_cache, tmp_path):
    folder = copy_of("tiny/bert", hub_cache, tmp_path / '<b>&"x')
    page = make_document(service, View("bipartite", run(service, str(folder), "the cat sat")))
    assert "b" not in [tag for tag, _ in Elements(page).tags]
    assert data_of(page)["kind"] == "bipartite"


def test_a_script_of_ours_cannot_close_its_element(service, capture, tmp_path, monkeypatch):
    script = tmp_path / "11_x.js"
    script.write_text("const a = '</script><b>'; // <!-- <SCRIPT> </ScRiPt>")
    (tmp_path / "x.css").write_text("")
    monkeypatch.setattr(standalone_page, "ASSETS", tmp_path)
    monkeypatch.setattr(standalone_page, "STYLES", ())
    found = Elements(make_document(service, View("bipartite", capture)))
    assert [tag for tag, _ in found.tags].count("script") == 2
    assert "b" not in [tag for tag, _ in found.tags]


def test_the_data_is_what_the_dashboard_gives(service, capture):
    table = data_of(make_document(service, View("bipartite", capture, layer=1, head=3)))["table"]
    stored = service.capture(capture)
    expected = {
        f"/api/{capture}/attention/0/1/3.f32": stored.attention(0, 1, 3),
        f"/api/{capture}/values/0/1/3.f32": stored.value_norms(0, 1, 3),
    }
    assert table.keys() == expected.keys()
    for address, text in table.items():
        found = np.frombuffer(base64.b64decode(text), dtype="<f4")
        np.testing.assert_array_equal(found, expected[address].ravel())


def test_an_edit_brings_both_captures(service):
    first = run(service, "tiny/bert", "the cat sat on the mat")
    job = service.live.submit_edit(first, [(2, None)], owner="me")
    edited = LiveRunner()(dict(job.spec), service._store, lambda _: None)["capture"]
    data = data_of(make_document(service, View("head_lines", edited, compared=first)))
    assert data["config"]["compared_url"] == f"/api/{first}"
    assert f"/api/{first}/weights/0/1.u8" in data["table"]
    assert f"/api/{edited}/weights/0/1.u8" in data["table"]


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ({"kind": "magic"}, "view: found 'magic', expected one of model_view"),
        ({"layer": 2}, "layer: found 2, expected 0 to 1"),
        ({"sequence": 1}, "sequence"),
        ({"capture": "0" * 64}, "is not in the cache"),
    ],
)
def test_what_there_is_not_is_refused(service, capture, view, message):
    with pytest.raises(InputError, match=message):
        make_document(service, View(**{"kind": "bipartite", "capture": capture} | view))


def test_too_much_for_one_file_is_refused(service, capture, monkeypatch):
    monkeypatch.setattr(standalone, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="too much for one file; take a shorter input"):
        make_document(service, View("model_view", capture))
    monkeypatch.setattr(standalone, "MAX_NEURON_TOKENS", 3)
    with pytest.raises(InputError, match="at most 3 do"):
        make_document(service, View("neuron_view", capture))


def test_exact_weights_of_one_layer_go_along_where_there_is_no_room_for_all(
    service, capture, monkeypatch
):
    monkeypatch.setattr(standalone, "MAX_EXACT_BYTES", 100)
    table = data_of(make_document(service, View("head_lines", capture, layer=1)))["table"]
    assert f"/api/{capture}/attention/0/1/0.f32" in table
    assert f"/api/{capture}/attention/0/0/0.f32" not in table


def test_a_long_input_has_queries_and_keys_apart_and_equal_answers_once(
    service, capture, monkeypatch
):
    monkeypatch.setattr(standalone, "MAX_WHOLE_TOKENS", 3)
    table = data_of(make_document(service, View("neuron_view", capture)))["table"]
    facts = service.capture(capture)
    n = facts.tokens.n_tokens
    read = standalone.reader(service)
    for layer, head in facts.cells:
        place = f"/api/{capture}/neuron/0/{layer}/{head}"
        assert f"{place}.f32" not in table
        for address in (f"{place}.f32?rows=0-{n}", f"{place}.f32?rows=keys",
                        f"{place}/terms.f32?rows=0-{n}"):  # fmt: skip
            found = table[address]
            held = table[found.removeprefix("@")] if found.startswith("@") else found
            assert base64.b64decode(held) == read(address)
    masks = [text for address, text in table.items() if "terms" in address]
    assert len(masks) == len(facts.cells) > 1
    assert sum(not text.startswith("@") for text in masks) == 1  # all heads have one mask
