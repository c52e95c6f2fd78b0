"""Live inputs from the door to the stored capture, run in this process on tiny models."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline import live_runner
from pipeline.corpora import load_corpus
from pipeline.errors import InputError, JobError
from pipeline.image_texts import PROMPT
from pipeline.jobs import JobTable
from pipeline.live_runner import LiveRunner
from pipeline.live_specs import MAX_IMAGE_BYTES
from pipeline.service import Service
from pipeline.store import Store
from tests.conftest import build
from tests.reference.families import save_family
from tests.unit.pipeline.tiny_image_texts import save_llava

TEXT = "the cat sat on the mat"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture
def service(store, hub_cache, monkeypatch):
    monkeypatch.setattr(live_runner, "hub_cache", lambda: hub_cache)
    return Service(store, JobTable(store), hub_cache=hub_cache)


@pytest.fixture
def run(store, service):
    """Run a job as the worker does, and return its capture."""
    runner, jobs = LiveRunner(), JobTable(store)

    def run(job):
        if job.is_live:
            claimed = jobs.claim("live")
            jobs.finish(claimed.id, runner(dict(claimed.spec), store, lambda _: None))
        return service.capture(service.live.result(job.id))

    return run


def text_of(capture):
    return " ".join(capture.tokens.token_text)


def test_a_text_becomes_an_ordinary_verified_capture_of_one_sequence(service, run):
    capture = run(service.live.submit_text("tiny/bert", TEXT, owner="me"))
    assert capture.record["kind"] == "capture"
    assert capture.record["corpus"]["n_sequences"] == 1
    assert capture.record["reconstruction_error_max"] < 1e-5
    weights = capture.attention(0, 1, 3)
    assert weights.shape == (8, 8)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)  # float32


def test_it_is_the_same_as_in_a_corpus_of_one(service, run, store, hub_cache, tmp_path):
    path = tmp_path / "one.txt"
    path.write_text(TEXT)
    capture = run(service.live.submit_text("tiny/bert", TEXT, owner="me"))
    built = build(store, hub_cache, model="tiny/bert", corpus=str(path), methods=("pca",))
    assert service.atlas(built["atlas"]).record["capture"] == capture.record["key"]


def test_an_equal_input_is_answered_without_a_worker(service, run):
    first = run(service.live.submit_text("tiny/bert", TEXT, owner="me"))
    again = service.live.submit_text("tiny/bert", TEXT, owner="you")
    assert again.state == "done"
    assert service.live.result(again.id) == first.record["key"]


def test_an_answer_that_was_evicted_is_computed_again(service, run, store):
    capture = run(service.live.submit_text("tiny/bert", TEXT, owner="me"))
    store.forget(capture.record["key"])
    assert service.live.submit_text("tiny/bert", TEXT, owner="me").state == "queued"


def test_no_text_of_anybody_is_in_the_queue(service, store):
    job = service.live.submit_text("tiny/bert", "my secret words", owner="me")
    assert "secret" not in str(job)


def test_a_pair_is_one_sequence_of_two_segments(service, run):
    capture = run(service.live.submit_text("tiny/bert", TEXT, "the hill is green", owner="me"))
    assert text_of(capture).count("[SEP]") == 2
    assert set(capture.tokens.segment) == {0, 1}


def test_a_text_that_is_too_long_is_refused_with_the_count(service, run):
    job = service.live.submit_text("tiny/bert", "cat " * 600, owner="me")
    with pytest.raises(InputError, match=r"has 602 tokens for tiny/bert, expected at most 512"):
        run(job)


def test_a_picture_becomes_a_capture_of_its_patches(service, run):
    png = load_corpus("gradients").images[0]
    capture = run(service.live.submit_image("tiny/vit", png, owner="me"))
    assert capture.tokens.grid == (4, 4)
    assert capture.image(0).startswith(b"\x89PNG")
    assert service.live.given(capture.record["key"]) is None


def test_what_is_no_picture_is_refused_by_the_decoder(service, run):
    job = service.live.submit_image("tiny/vit", b"GIF89a nothing", owner="me")
    with pytest.raises(InputError, match="'your picture' is not a picture"):
        run(job)


@pytest.mark.parametrize("size", [0, MAX_IMAGE_BYTES + 1])
def test_a_picture_file_has_a_size(service, size):
    with pytest.raises(InputError, match="expected at most 8 MB"):
        service.live.submit_image("tiny/vit", bytes(size), owner="me")


@pytest.mark.parametrize(("part", "kind"), [(None, "encoder"), ("decoder", "decoder")])
def test_a_picture_goes_to_the_part_that_is_shown(service, run, tmp_path, part, kind):
    folder = tmp_path / "llava"
    save_llava(folder)
    [png] = load_corpus("photos").first(1).images
    capture = run(service.live.submit_image(str(folder), png, owner="me", part=part))
    assert capture.record["part"] == kind
    words = [
        t for t, row in zip(capture.tokens.token_text, capture.tokens.row, strict=True) if row < 0
    ]
    assert "".join(words) == {"encoder": "[CLS]", "decoder": f"\n{PROMPT}"}[kind]
    with pytest.raises(InputError, match="part: found 'middle'"):
        service.live.submit_image(str(folder), png, owner="me", part="middle")


def test_a_masked_token_leaves_the_others_where_they_were(service, run):
    original = run(service.live.submit_text("tiny/bert", TEXT, owner="me"))
    key = original.record["key"]
    edited = run(service.live.submit_edit(key, [(2, None), (6, "hill")], owner="me"))
    assert text_of(original) == "[CLS] the cat sat on the mat [SEP]"
    assert text_of(edited) == "[CLS] the [MASK] sat on the hill [SEP]"
    assert edited.record["live"] == {
        "compared": key,
        "edits": [[2, None], [6, "hill"]],
        "mask": {"token_id": 4, "text": "[MASK]", "is_own": True},
    }
    assert np.abs(edited.attention(0, 0, 0) - original.attention(0, 0, 0)).max() > 1e-4


def test_an_edited_input_is_what_the_model_does_with_that_text(service, run):
    original = run(service.live.submit_text("tiny/bert", TEXT, owner="me"))
    edited = run(service.live.submit_edit(original.record["key"], [(2, "dog")], owner="me"))
    typed = run(service.live.submit_text("tiny/bert", "the dog sat on the mat", owner="me"))
    assert edited.record["key"] != typed.record["key"]
    np.testing.assert_array_equal(edited.attention(0, 1, 2), typed.attention(0, 1, 2))


def test_edits_are_of_the_original_and_can_be_taken_back(service, run):
    original = run(service.live.submit_text("tiny/bert", TEXT, owner="me")).record["key"]
    once = run(service.live.submit_edit(original, [(2, None)], owner="me")).record["key"]
    twice = run(service.live.submit_edit(once, [(2, None), (3, "ran")], owner="me"))
    assert twice.record["live"]["compared"] == original
    back = run(service.live.submit_edit(once, [], owner="me"))
    assert back.record["key"] == original


def test_a_model_without_a_mask_token_says_what_stands_in_its_place(service, run):
    original = run(service.live.submit_text("tiny/gpt2", TEXT, owner="me"))
    edited = run(service.live.submit_edit(original.record["key"], [(1, None)], owner="me"))
    assert edited.record["live"]["mask"] == {
        "token_id": 0, "text": "<|endoftext|>", "is_own": False,
    }  # fmt: skip
    assert edited.tokens.token_text[1] == "<|endoftext|>"


def test_a_replacement_inside_a_text_keeps_its_space(service, run):
    original = run(service.live.submit_text("tiny/gpt2", TEXT, owner="me"))
    assert original.tokens.token_text[1] == " cat"
    edited = run(service.live.submit_edit(original.record["key"], [(1, "hill")], owner="me"))
    assert edited.tokens.token_text[1] == " hill"


def test_a_replacement_of_several_tokens_is_refused_with_the_count(service, run):
    original = run(service.live.submit_text("tiny/bert", TEXT, owner="me"))
    job = service.live.submit_edit(original.record["key"], [(2, "green dog")], owner="me")
    with pytest.raises(InputError, match=r"'green dog' is 2 tokens of this model \(green dog\)"):
        run(job)


@pytest.mark.parametrize(
    ("part", "edits", "typed", "edited"),
    [
        ("encoder", [(2, None)], "[CLS] the cat sat [SEP]", "[CLS] the [MASK] sat [SEP]"),
        ("decoder", [(3, "hill")], "[CLS] [CLS] a dog ran", "[CLS] [CLS] a hill ran"),
        (
            "cross",
            [(2, "dog"), (8, "hill")],
            "[CLS] the cat sat [SEP] [CLS] [CLS] a dog ran",
            "[CLS] the dog sat [SEP] [CLS] [CLS] a hill ran",
        ),
    ],
)
def test_source_and_target_of_an_encoder_decoder_model_are_run_and_edited(
    service, run, tmp_path, part, edits, typed, edited
):
    model = str(save_family("bart", tmp_path / "bart"))
    texts = ("the cat sat", "a dog ran")
    original = run(service.live.submit_text(model, *texts, owner="me", part=part))
    assert text_of(original) == typed
    changed = run(service.live.submit_edit(original.record["key"], edits, owner="me"))
    assert changed.record["part"] == part
    assert text_of(changed) == edited
    difference = changed.attention(0, 1, 0) - original.attention(0, 1, 0)
    assert np.abs(difference).max() > 1e-4


def test_a_position_that_there_is_not_is_refused(service, run):
    original = run(service.live.submit_text("tiny/bert", TEXT, owner="me"))
    job = service.live.submit_edit(original.record["key"], [(8, None)], owner="me")
    with pytest.raises(InputError, match="found position 8, expected 0 to 7"):
        run(job)


def test_a_sequence_of_a_corpus_is_run_alone_and_can_then_be_edited(
    service, run, store, hub_cache
):  # fmt: skip
    atlas = build(
        store, hub_cache, model="tiny/bert", corpus="pairs", limit=3, methods=("pca",)
    )["atlas"]  # fmt: skip
    corpus = service.atlas(atlas).capture
    with pytest.raises(InputError, match="only a text that was typed, or run alone"):
        service.live.submit_edit(corpus.record["key"], [(1, None)], owner="me")
    alone = run(service.live.submit_sequence(atlas, 1, owner="me"))
    rows = slice(*corpus.tokens.sequence_offset[1:3])
    assert alone.tokens.token_text == corpus.tokens.token_text[rows]
    # Sums in a batch of other sequences are taken in another order.
    np.testing.assert_allclose(alone.attention(0, 1, 1), corpus.attention(1, 1, 1), atol=1e-5)
    with pytest.raises(InputError, match="found 3, expected 0 to 2"):
        service.live.submit_sequence(atlas, 3, owner="me")


def test_a_text_of_the_users_own_file_is_found_and_said_when_it_is_gone(
    service, run, store, hub_cache, tmp_path
):
    path = tmp_path / "own.csv"
    path.write_text("words,note\nthe hill,x\nthe cat sat,y\n")
    spec = {"model": "tiny/bert", "corpus": str(path), "column": "words", "methods": ("pca",)}
    atlas = build(store, hub_cache, **spec)["atlas"]
    alone = run(service.live.submit_sequence(atlas, 1, owner="me"))
    assert text_of(alone) == "[CLS] the cat sat [SEP]"
    path.unlink()
    with pytest.raises(InputError, match="found no corpus"):
        service.live.submit_sequence(atlas, 0, owner="me")


def test_a_result_that_is_not_there_is_said(service):
    job = service.live.submit_text("tiny/bert", TEXT, owner="me")
    with pytest.raises(JobError, match="this input is queued"):
        service.live.result(job.id)
    service.live.cancel(job.id, owner="me")
    with pytest.raises(JobError, match="this input is cancelled"):
        service.live.result(job.id)
    with pytest.raises(JobError, match="not known any more"):
        service.live.result("0" * 32)


def test_a_build_is_no_live_input(service, store):
    job = JobTable(store).submit("build", {}, "me")
    assert service.live.job(job.id) is None
