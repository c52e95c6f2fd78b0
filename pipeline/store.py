"""Results on disk: object files, the records that name them, and an index that can be lost."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import SpaceError, StoreError
from pipeline.folder import prepare, sync_all, write_whole
from pipeline.janitor import Entry, Swept, sweep
from pipeline.locks import KEY, lock
from pipeline.objects import DamagedObject, ObjectRef, Objects, identity, object_refs
from pipeline.space import space_error, space_guard
from pipeline.specs import digest
from pipeline.table import Table

logger = logging.getLogger(__name__)

# Raise it when an older program could misread the folder.
STORE_SCHEMA = 1
RESERVE_BYTES = 2**20
TOUCH_EVERY_S = 60.0
# What was used this recently is open somewhere or just being built.
OPEN_S = 900.0
KIND = r"[a-z0-9_-]{1,40}"
RECORD_ROW = re.compile(rf"record/(?P<kind>{KIND})/(?P<key>[0-9a-f]{{64}})")
LOCK_NAME = re.compile(r"[a-z0-9_-]{1,100}")
REMEMBERED_MAX = 512  # records; the largest, of 1,024 heads, are about 1 MB


class Store(Objects):
    """One folder of results, shared by all processes of one user.

    Parameters
    ----------
    root : the folder; made when missing, open to its owner only.
    size_limit_bytes : what `janitor` shrinks the folder to.

    Raises
    ------
    StoreError : the folder cannot be used, or was written by a newer program.
    """

    def __init__(self, root: Path, *, size_limit_bytes: int = 50 * 2**30) -> None:
        super().__init__(root.resolve())
        self.size_limit_bytes = size_limit_bytes
        # Records that match their checksum, with the identity of the file they were in.
        self._remembered: dict[Path, tuple[tuple[int, int, int], dict[str, Any]]] = {}
        prepare(self.root, schema=STORE_SCHEMA)
        self._index = Table(self.root / "index", on_new=self._fill_index)
        self.jobs = Table(self.root / "jobs")
        self._fill_index()
        self.jobs.names()  # opened now: on a full disk it could not be later
        self._keep_reserve()

    def put_record(self, key: str, record: dict[str, Any]) -> dict[str, Any]:
        """Publish a record; all its objects must be published before.

        Parameters
        ----------
        key : 64 hex digits that cover everything the record depends on.
        record : JSON values with "kind" (a short word) and "objects" (object references, nested
            in dictionaries and lists as you like).

        Returns
        -------
        The record as `get_record` gives it: plain JSON values and its "key".

        Raises
        ------
        DamagedObject : an object it names is not there.
        SpaceError : it does not fit on the disk.
        """
        plain: dict[str, Any] = json.loads(json.dumps(record | {"key": key}, allow_nan=False))
        if not re.fullmatch(KIND, plain["kind"]):
            raise StoreError(f"record kind {plain['kind']!r}: expected a word of a-z, 0-9, _ and -")
        data = json.dumps({"sha256": digest(plain), "record": plain}).encode()
        with self._publishing(), space_guard(self.root, len(data)):
            for path in map(self.object_path, object_refs(plain["objects"])):
                if not path.exists():
                    raise DamagedObject(f"{path} is missing; compute it before its record")
            path = self._record_path(key)
            durable = self._durable or path.exists()  # haste loses nothing that was there
            write_whole(self._temporary_path(), path, data, durable=durable)
        self.note_use(plain)
        return plain

    def settle(self, refs: Iterable[ObjectRef]) -> None:
        """Wait until objects, which a record will name, are on the disk.

        Raises
        ------
        SpaceError : they do not fit on it.
        """
        sizes = {self.object_path(ref): ref.bytes for ref in refs}
        with space_guard(self.root, sum(sizes.values())):
            sync_all(sizes)

    def get_record(self, key: str) -> dict[str, Any] | None:
        """Read a record and note that it was used; None when it or an object of it is missing."""
        record = self._read_record(self._record_path(key))
        if record is not None:
            self.note_use(record)
        return record

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Read all records of a kind, without noting a use."""
        found = []
        for name in self._index.names():
            row = RECORD_ROW.fullmatch(name)
            if row is None or row["kind"] != kind:
                continue
            path = self._record_path(row["key"])
            if (record := self._read_record(path)) is not None:
                found.append(record)
            elif not path.exists():
                self._index.delete(name)
        return found

    def note_use(self, record: dict[str, Any]) -> None:
        """Note, at most once a minute, that somebody uses a record that he still has in memory."""
        name, now_s = _row_name(record), time.time()
        with self._optional():
            if now_s - (self._index.get(name) or 0.0) > TOUCH_EVERY_S:
                self._index.set(name, now_s)

    def forget(self, key: str) -> None:
        """Drop a record, so that it is computed again; its objects stay for the janitor."""
        self._record_path(key).unlink(missing_ok=True)

    def lock(
        self,
        name: str,
        *,
        timeout_s: float | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> AbstractContextManager[None]:
        """Hold a named lock among all processes of this store; see `pipeline.locks.lock`."""
        if not LOCK_NAME.fullmatch(name):
            raise StoreError(f"lock name {name!r}: expected a key or a word of a-z, 0-9, _ and -")
        return lock(self.root / "locks" / name, timeout_s=timeout_s, on_wait=on_wait)

    def file_sha256(self, path: Path) -> str:
        """Return the sha256 of any file, read again only when its size or time has changed."""
        path = path.resolve()
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            seen = [status.st_size, status.st_mtime_ns]
            with self._optional():
                row = self._index.get(f"file/{path}")
                if row is not None and row[:2] == seen:
                    return str(row[2])
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        with self._optional():
            self._index.set(f"file/{path}", [*seen, sha256])
        return sha256

    def require_space(self, needed_bytes: int) -> None:
        """Refuse work whose results would not fit on the disk with 5 % to spare, or in the limit.

        Raises
        ------
        SpaceError : names what is needed, what is free, and where.
        """
        if needed_bytes > self.size_limit_bytes:
            raise SpaceError(
                f"needs {needed_bytes / 1e6:,.1f} MB, and {self.root} may hold "
                f"{self.size_limit_bytes / 1e6:,.1f} MB; use fewer inputs or a smaller model"
            )
        if needed_bytes * 1.05 > shutil.disk_usage(self.root).free:
            raise space_error(self.root, needed_bytes)

    def janitor(self) -> Swept:
        """Remove what nobody needs, then the least recently used above the size limit.

        What was used in the last quarter of an hour stays whatever the size.
        """
        open_s = time.time() - OPEN_S
        with lock(self.root / "locks" / "writer"):
            entries = []
            for path in self._record_paths():
                if (record := self._read_record(path)) is not None:
                    used_s = self._index.get(_row_name(record)) or path.stat().st_mtime
                    refs = tuple(map(self.object_path, object_refs(record["objects"])))
                    entries.append(Entry(path, refs, used_s, pinned=used_s > open_s))
                else:
                    path.unlink(missing_ok=True)
            swept = sweep(self.root, entries, limit_bytes=self.size_limit_bytes)
        self._keep_reserve()
        logger.info("janitor of %s: %s", self.root, swept)
        return swept

    def _record_path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise StoreError(f"record key {key!r}: expected 64 hex digits")
        return self.root / "records" / key[:2] / f"{key}.json"

    def _record_paths(self) -> Iterator[Path]:
        return (self.root / "records").glob("*/*.json")

    def _read_record(self, path: Path) -> dict[str, Any] | None:
        """Read a record that is whole and whose objects are all there; else None, and say why."""
        record = self._whole_record(path)
        if record is None:
            return None
        for object_path in map(self.object_path, object_refs(record["objects"])):
            if not object_path.exists():
                logger.warning("%s names %s, which is missing", path, object_path)
                return None
        return record

    def _whole_record(self, path: Path) -> dict[str, Any] | None:
        """Return a record that matches its checksum, parsed once for each version of its file."""
        try:
            version = identity(path.stat())
            seen, record = self._remembered.get(path, (None, {}))
            if seen == version:
                return record
            envelope = json.loads(path.read_bytes())
            record = envelope["record"]
            list(object_refs(record["objects"]))  # raises where one has no form
            whole = (
                envelope["sha256"] == digest(record)
                and record["key"] == path.stem
                and re.fullmatch(KIND, record["kind"]) is not None
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, RecursionError, StoreError):
            whole = False
        if not whole:
            self.quarantine(path, "the record does not match its checksum")
            return None
        while len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.pop(next(iter(self._remembered)), None)
        self._remembered[path] = (version, record)
        return record

    @contextmanager
    def _optional(self) -> Iterator[None]:
        """Go on without the index where it fails: it only repeats what the files say."""
        try:
            yield
        except StoreError as error:
            logger.warning("went on without the index: %s", error)

    def _fill_index(self) -> None:
        """Add the records that the index does not know: all of them after it was lost."""
        known = {name.rpartition("/")[2] for name in self._index.names()}
        rows = {
            _row_name(record): path.stat().st_mtime
            for path in self._record_paths()
            if path.stem not in known and (record := self._read_record(path)) is not None
        }
        if rows:
            self._index.change(lambda index: [index.set(*row) for row in rows.items()])

    def _keep_reserve(self) -> None:
        """Hold back 1 MB that can be given up when the disk is full."""
        path = self.root / "reserve"
        if not path.exists() and shutil.disk_usage(self.root).free > 4 * RESERVE_BYTES:
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)


def _row_name(record: dict[str, Any]) -> str:
    return f"record/{record['kind']}/{record['key']}"
