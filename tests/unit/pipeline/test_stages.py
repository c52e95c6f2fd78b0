"""The stages of a build, in what order they reach the disk. Models are tiny and random."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.objects import object_refs
from pipeline.store import Store
from tests.conftest import build


def test_a_record_is_written_when_all_that_it_names_is_on_the_disk(
    tmp_path: Path, hub_cache: Path, tiny_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    synced: set[int] = set()
    early: list[str] = []
    own_fsync, own_put = os.fsync, Store.put_record

    def fsync(descriptor: int) -> None:
        own_fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    def put_record(store: Store, key: str, record: dict[str, Any]) -> dict[str, Any]:
        for ref in object_refs(record["objects"]):
            path = store.object_path(ref)
            if not {path.stat().st_ino, path.parent.stat().st_ino} <= synced:
                early.append(f"{record['kind']}: {path}")
        return own_put(store, key, record)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Store, "put_record", put_record)
    build(store, hub_cache, model="tiny/bert", corpus=str(tiny_corpus), methods=("pca",), dims=(2,))
    assert len(store.records("capture")) == 1
    assert early == []
