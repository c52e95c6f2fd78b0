"""Views for notebooks, from names and from loaded models."""

from __future__ import annotations

import html
import subprocess
import sys

import pytest
from transformers import AutoModelForMaskedLM, AutoTokenizer

from app import notebook
from pipeline import live_runner
from pipeline.errors import InputError
from tests.unit.app.test_standalone import data_of
from tests.unit.pipeline.tiny_models import source_of


@pytest.fixture(autouse=True)
def home(tmp_path, hub_cache, monkeypatch):
    monkeypatch.setenv("QKATLAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(live_runner, "hub_cache", lambda: hub_cache)
    notebook._home.cache_clear()
    yield
    notebook._home.cache_clear()


def test_a_view_of_a_model_by_name_is_a_page_in_a_frame():
    shown = notebook.head_view("tiny/bert", "the cat sat", "a dog ran", layer=1, height=300)
    data = data_of(shown.html)
    assert (data["kind"], data["options"]["layer"]) == ("head_lines", 1)
    frame = shown._repr_html_()
    assert frame.startswith("<iframe srcdoc=")
    assert "height:300px" in frame
    assert html.unescape(frame.split('srcdoc="')[1].split('"')[0]) == shown.html


@pytest.mark.parametrize(
    ("view", "kind"),
    [(notebook.model_view, "model_view"), (notebook.neuron_view, "neuron_view"),
     (notebook.sentence_view, "bipartite")],
)  # fmt: skip
def test_each_view_has_its_function(view, kind):
    assert data_of(view("tiny/bert", "the cat sat").html)["kind"] == kind


def test_a_loaded_model_is_shown_as_it_is(hub_cache):
    folder = source_of("tiny/bert", hub_cache).folder
    model = AutoModelForMaskedLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    first = data_of(notebook.sentence_view(model, "the cat sat", tokenizer=tokenizer).html)
    own = data_of(notebook.sentence_view("tiny/bert", "the cat sat").html)
    assert list(first["table"].values()) == list(own["table"].values())
    model.bert.encoder.layer[0].attention.self.query.weight.data *= 3
    second = data_of(notebook.sentence_view(model, "the cat sat", tokenizer=tokenizer).html)
    assert list(second["table"].values()) != list(first["table"].values())


def test_a_loaded_model_needs_its_tokenizer():
    with pytest.raises(TypeError, match="a loaded model needs its own"):
        notebook.head_view(object(), "the cat sat")


def test_a_text_that_is_too_long_is_refused():
    with pytest.raises(InputError, match="has 602 tokens"):
        notebook.head_view("tiny/bert", "cat " * 600)


def test_a_page_can_be_saved(tmp_path):
    shown = notebook.Shown("<p>x</p>")
    assert shown.save(tmp_path / "x.html").read_text() == "<p>x</p>"


def test_a_page_is_held_once_and_its_size_is_told():
    shown = notebook.head_view("tiny/bert", "the cat sat", layer=1)
    megabytes = len(shown.html) / 2**20
    assert repr(shown).startswith(f"Head view of tiny/bert (QK Atlas, {megabytes:.1f} MB;")
    assert len(repr(shown)) < 200
    assert f"QK Atlas · {megabytes:.1f} MB, with all data</p>" in shown.html


def test_a_notebook_that_is_not_trusted_says_why_nothing_is_there():
    """Jupyter then drops the frame and keeps the text in it."""
    left = notebook.Shown("<p>x</p>", title="A <view>")._repr_html_().split(">", 1)[1]
    assert left.startswith("A &lt;view&gt; (QK Atlas, 0.0 MB;")
    assert left.endswith("or choose Trust Notebook.</iframe>")


def test_a_view_takes_the_theme_of_the_notebook_when_told():
    page = notebook.sentence_view("tiny/bert", "the cat sat", theme="dark").html
    assert '<html lang="en" data-theme="dark">' in page
    plain = notebook.sentence_view("tiny/bert", "the cat sat").html
    assert '<html lang="en">' in plain
    with pytest.raises(InputError, match="theme: found 'blue', expected one of light, dark"):
        notebook.sentence_view("tiny/bert", "the cat sat", theme="blue")


def test_views_need_no_dash():
    """It would open a channel of its own to the notebook, which answers with an error."""
    code = "import sys, app.notebook; print('dash' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
