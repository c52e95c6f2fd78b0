"""Takes live inputs and follows them. Never imports torch: the worker of the live lane runs models.

An input becomes an ordinary capture of one sequence, named by its content; what has been captured
before is answered at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.atlas import read_atlas
from pipeline.captured import Capture
from pipeline.catalogue import NeedsPreparation, find_source
from pipeline.corpora import load_corpus
from pipeline.errors import InputError, JobError
from pipeline.jobs import JobRecord, JobTable
from pipeline.live_specs import MAX_IMAGE_BYTES, UPLOAD, Edit, LiveSpec, LiveText, live_key
from pipeline.objects import ObjectRef
from pipeline.store import Store

LIVE = "live"
WARM = "warm"
GONE = "this live input is not in the cache any more; type it again"


class Live:
    """The live inputs of one store.

    Parameters
    ----------
    store, jobs : the cache folder and its queue.
    hub_cache : folder of downloaded models.
    open_capture : returns a capture by its key; raises `InputError` if it is not there.
    """

    def __init__(
        self, store: Store, jobs: JobTable, *, hub_cache: Path,
        open_capture: Callable[[str], Capture],
    ) -> None:  # fmt: skip
        self._store = store
        self._jobs = jobs
        self._hub_cache = hub_cache
        self._open_capture = open_capture

    def submit_text(
        self, model: str, text: str, pair: str | None = None, *, owner: str,
        part: str | None = None, rotary: str = "after",
    ) -> JobRecord:  # fmt: skip
        """Run a model on a text, or on two.

        Parameters
        ----------
        model : name, hub id or folder.
        text, pair : of an encoder-decoder model source and target.
        part, rotary : as in `pipeline.specs.AtlasSpec`; "self" is None.

        Returns
        -------
        A job that waits, or one that is done already because the answer was stored.

        Raises
        ------
        InputError
            if there is no text, or too long a one.
        JobError
            if too many inputs wait.
        """
        given = LiveText(text, pair or None)
        return self._submit(self.spec_of(model, given, part=part, rotary=rotary), owner)

    def spec_of(
        self, model: str, given: LiveText, *, part: str | None = None, rotary: str = "after"
    ) -> LiveSpec:
        """Keep a text and return what names it; what `LiveRunner` takes, also without a queue."""
        ref = self._store.put_bytes(given.to_bytes(), ".json")
        return LiveSpec(model, ref, part, rotary)

    def submit_image(
        self, model: str, data: bytes, *, owner: str, part: str | None = None
    ) -> JobRecord:
        """Run a vision model on a picture file; the worker decodes it. `part` as for texts."""
        if not 0 < len(data) <= MAX_IMAGE_BYTES:
            raise InputError(
                f"picture: found a file of {len(data) / 2**20:.1f} MB, expected at most "
                f"{MAX_IMAGE_BYTES / 2**20:.0f} MB; make it smaller first"
            )
        return self._submit(LiveSpec(model, self._store.put_bytes(data, UPLOAD), part), owner)

    def submit_sequence(self, atlas_key: str, sequence: int, *, owner: str) -> JobRecord:
        """Run the model of an atlas on one of its texts alone, so that it can be edited.

        Raises
        ------
        InputError
            if there is no such atlas or sequence, or the text is not at hand any more.
        """
        atlas = read_atlas(self._store, atlas_key)
        record, capture = atlas.record, atlas.capture.record
        label = _label(capture, sequence)
        corpus = load_corpus(record["corpus"], column=record.get("column"))
        if corpus.modality != "text" or label not in corpus.labels:
            raise InputError(
                f"{label!r} of {corpus.name!r} is no text that is still at hand; type it instead"
            )
        place = corpus.labels.index(label)
        pair = corpus.text_pairs[place] if corpus.text_pairs else None
        return self.submit_text(
            record["model"], corpus.texts[place], pair, owner=owner,
            part=capture["part"], rotary=capture["rotary"],
        )  # fmt: skip

    def submit_edit(self, capture_key: str, edits: Sequence[Edit], *, owner: str) -> JobRecord:
        """Run a live input again with some tokens masked or replaced.

        Parameters
        ----------
        capture_key : of the input, edited or not.
        edits : all edits of the original, (position, replacement or None for a mask); none for the
            original itself.

        Raises
        ------
        InputError
            if the capture is no live text, or the edits are none.
        """
        record = self._open_capture(capture_key).record
        given = self.given(capture_key)
        if given is None:
            raise InputError("only a text that was typed, or run alone, can be edited")
        original = record["live"]["compared"] or capture_key
        text = LiveText(given.text, given.pair, tuple(sorted(edits)))
        ref = self._store.put_bytes(text.to_bytes(), ".json")
        spec = LiveSpec(
            record["model"]["name"], ref, record["part"], record["rotary"],
            original if edits else None,
        )  # fmt: skip
        return self._submit(spec, owner)

    def warm(self, model: str, *, owner: str) -> JobRecord:
        """Have a model loaded before somebody waits for it."""
        return self._jobs.submit(WARM, {"model": model}, owner)

    def describe(self, capture_key: str) -> dict[str, Any]:
        """Return what was given for a live capture, and what its tokens became.

        Returns
        -------
        `model`, `part`, `rotary`, `modality`; `text` and `pair` as they were typed (None for a
        picture); `tokens`, one `{text, special, segment, was}` each, where `was` is what an edited
        token said before; `compared`, `mask` and `edits` as in the record.

        Raises
        ------
        InputError
            if the capture is gone, or is no live input.
        """
        try:
            capture = self._open_capture(capture_key)
        except InputError:
            raise InputError(GONE) from None
        record = capture.record
        if "live" not in record:
            raise InputError("this is no live input")
        given = self.given(capture_key)
        tokens = capture.tokens
        return {
            "capture": capture_key, "model": record["model"]["name"], "part": record["part"],
            "rotary": record["rotary"], "modality": record["corpus"]["modality"],
            "text": given and given.text, "pair": given and given.pair,
            "tokens": [] if given is None else [
                {"text": text, "special": bool(special), "segment": int(segment), "was": was}
                for text, special, segment, was in zip(
                    tokens.token_text, tokens.is_special, tokens.segment,
                    self._before(capture), strict=True)
            ],
            **record["live"],
        }  # fmt: skip

    def _before(self, capture: Capture) -> list[str | None]:
        """Return what each edited token said before; None for one that is as it was."""
        live, n_tokens = capture.record["live"], capture.n_tokens
        was: list[str | None] = [None] * n_tokens
        if live["compared"] is None or self._store.get_record(live["compared"]) is None:
            return was
        original = self._open_capture(live["compared"]).tokens.token_text
        for position, _ in live["edits"]:
            was[position] = original[position]
        return was

    def given(self, capture_key: str) -> LiveText | None:
        """Return the text of a live capture with its edits; None for any other capture."""
        record = self._open_capture(capture_key).record
        if "live" not in record or record["corpus"]["modality"] != "text":
            return None
        data = self._store.read_bytes(ObjectRef.from_json(record["objects"]["input"]))
        return LiveText.from_bytes(data)

    def job(self, job_id: str) -> JobRecord | None:
        """Return a live job as it is now."""
        job = self._jobs.get(job_id)
        return job if job is not None and job.kind in (LIVE, WARM) else None

    def position(self, job_id: str) -> int | None:
        """Return how many inputs come before this one; None when it has ended."""
        return self._jobs.position(job_id)

    def result(self, job_id: str) -> str:
        """Return the capture key of a job that is done.

        Raises
        ------
        JobError
            if it is not done, with the reason.
        """
        job = self.job(job_id)
        if job is None:
            raise JobError("this input is not known any more; run it again")
        if job.state != "done" or job.result is None:
            raise JobError(job.error or f"this input is {job.state}")
        return str(job.result["capture"])

    def cancel(self, job_id: str, *, owner: str) -> JobRecord | None:
        """Ask a job to stop; it goes on for others who asked for it."""
        return self._jobs.cancel(job_id, owner)

    def _submit(self, spec: LiveSpec, owner: str) -> JobRecord:
        known = self._find(spec)
        if known is not None:
            return self._jobs.note_done(LIVE, spec.to_json(), owner, {"capture": known})
        return self._jobs.submit(LIVE, spec.to_json(), owner)

    def _find(self, spec: LiveSpec) -> str | None:
        """Return the capture that answers an input, if it is stored."""
        try:
            source = find_source(
                spec.model, cache=self._store.root, hub_cache=self._hub_cache,
                remembered=self._store.file_sha256,
            )  # fmt: skip
        except NeedsPreparation:
            return None
        record = self._store.get_record(live_key(spec, source.files))
        if record is None or self._store.get_record(record["capture"]) is None:
            return None
        return str(record["capture"])


def _label(record: dict[str, Any], sequence: int) -> str:
    labels = record["corpus"]["labels"]
    if not 0 <= sequence < len(labels):
        raise InputError(f"sequence: found {sequence}, expected 0 to {len(labels) - 1}")
    return str(labels[sequence])
