"""A typed sentence through the real worker, against the model's own attention.

Needs the packages of requirements-models.txt.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from pipeline.build import hub_cache
from pipeline.catalogue import find_source
from pipeline.errors import ModelError
from pipeline.jobs import JobRecord, JobTable
from pipeline.service import Service
from pipeline.store import Store
from pipeline.supervisor import Supervisor

# The examples of the BertViz paper.
SENTENCE = "The quick, brown fox jumps over the lazy"
PAIR = ("the cat sat on the mat", "the cat lay on the rug")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    store = Store(tmp_path_factory.mktemp("live"))
    try:
        find_source("minilm", cache=store.root, hub_cache=hub_cache(), remembered=store.file_sha256)
    except ModelError as error:
        pytest.skip(str(error))
    supervisor = Supervisor(store, lanes=("live",))
    supervisor.start()
    yield Service(store, JobTable(store), hub_cache=hub_cache())
    supervisor.stop()


def ended(service: Service, job: JobRecord) -> JobRecord:
    end_s = time.monotonic() + 120
    while (found := service.live.job(job.id)) is not None and found.is_live:
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.02)
    assert found is not None
    return found


@pytest.mark.parametrize("texts", [(SENTENCE,), PAIR])
def test_the_worker_gives_the_attention_that_the_model_has(service, texts):
    job = ended(service, service.live.submit_text("minilm", *texts, owner="me"))
    assert job.error == ""
    capture = service.capture(service.live.result(job.id))
    folder = find_source(
        "minilm", cache=capture.store.root, hub_cache=hub_cache(),
        remembered=capture.store.file_sha256,
    ).folder  # fmt: skip
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    inputs = AutoTokenizer.from_pretrained(folder)(*texts, return_tensors="pt")
    with torch.inference_mode():
        own = model(**inputs, output_attentions=True).attentions
    assert len(own) == len(capture.layers)
    for layer, weights in enumerate(own):
        for head in range(weights.shape[1]):
            found = capture.attention(0, layer, head)
            # Both in float32; the largest difference seen was 2e-7.
            np.testing.assert_allclose(found, weights[0, head].numpy(), atol=1e-5)


def test_the_second_input_finds_the_model_warm(service):
    ended(service, service.live.submit_text("minilm", "one two three", owner="me"))
    job = ended(service, service.live.submit_text("minilm", "four five six", owner="me"))
    record = service.capture(service.live.result(job.id)).record
    assert record["seconds"]["load"] < 0.05  # loading takes half a second at least


def test_what_the_worker_refuses_is_said(service):
    job = ended(service, service.live.submit_text("minilm", "word " * 600, owner="me"))
    assert (job.state, job.error) == (
        "failed",
        "your text has 602 tokens for minilm, expected at most 512; shorten it",
    )


def test_the_words_are_not_in_the_log(service):
    job = ended(service, service.live.submit_text("minilm", "quixotic zebra", owner="me"))
    root = service.capture(service.live.result(job.id)).store.root
    log = (root / "worker-live.log").read_text()
    assert job.id in log
    assert "quixotic" not in log
