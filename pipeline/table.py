"""A small table of JSON rows in SQLite that may be damaged or deleted without stopping anybody."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import diskcache

from pipeline.errors import SpaceError, StoreError
from pipeline.locks import lock

logger = logging.getLogger(__name__)
T = TypeVar("T")

DATABASE = "cache.db"
BUSY_TIMEOUT_S = 10.0
BUSY_PAUSE_S = 0.02
SETTINGS = {
    "eviction_policy": "none",
    # SQLite before 3.51.3 can corrupt a write-ahead log that many connections share.
    "sqlite_journal_mode": "truncate",
    # A mapped database that somebody truncates would end the process by SIGBUS.
    "sqlite_mmap_size": 0,
    # A power cut may cost the table, which then begins anew; a killed process never does.
    "sqlite_synchronous": 0,
}


class Rows(Protocol):
    """What a transaction may do; rows keep the order in which they were first set."""

    def get(self, key: str) -> Any:
        """Return a row, None when there is none."""

    def set(self, key: str, value: Any, expire: float | None = None) -> bool:
        """Write a row of JSON values, to be dropped after `expire` seconds."""

    def delete(self, key: str) -> bool:
        """Drop a row."""

    def __iter__(self) -> Iterator[str]: ...


class _DamagedName(sqlite3.DatabaseError):
    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class JsonDisk(diskcache.Disk):  # type: ignore[misc]  # diskcache has no types
    """Rows are JSON text with a checksum; pickles and separate files are never read or written."""

    def put(self, key: str) -> tuple[str, bool]:
        """Return a row name as the database has it."""
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        """Return a row name; refuse one that this class did not write."""
        if not raw or not isinstance(key, str):
            raise _DamagedName("a row has a name that is not text")
        return key

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, None, str]:
        """Return size, mode, file name (none) and text of a value."""
        text = json.dumps(value, allow_nan=False)
        return 0, diskcache.core.MODE_RAW, None, f"{zlib.crc32(text.encode()):08x}{text}"

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        """Return a value; one that is damaged, or that another class wrote, is a miss."""
        if mode == diskcache.core.MODE_RAW and isinstance(value, str):
            checksum, text = value[:8], value[8:]
            if checksum == f"{zlib.crc32(text.encode()):08x}":
                return json.loads(text)
        raise OSError("a row does not match its checksum")  # which diskcache takes for a miss


class Table:
    """JSON rows by name, shared by processes and threads.

    A database that is damaged is moved to `quarantine/`, and an empty one takes its place; every
    process notices within its next call.

    Parameters
    ----------
    folder : where the database lies, beside the folders `locks/` and `quarantine/`.
    on_new : called after an empty database was made, to fill it again.
    """

    def __init__(self, folder: Path, *, on_new: Callable[[], None] = lambda: None) -> None:
        self._folder = folder
        self._database = folder / DATABASE
        self._on_new = on_new
        self._opened: tuple[int | None, Any] = None, None

    def get(self, name: str) -> Any:
        """Return a row, None when there is none."""
        return self._attempt(lambda rows: rows.get(name))

    def set(self, name: str, value: Any) -> None:
        """Write a row."""
        self._attempt(lambda rows: rows.set(name, value))

    def delete(self, name: str) -> None:
        """Drop a row."""
        self._attempt(lambda rows: rows.delete(name))

    def names(self) -> list[str]:
        """List the rows in the order in which they were first set."""
        return self._attempt(lambda rows: list(rows))

    def change(self, action: Callable[[Rows], T]) -> T:
        """Run reads and writes as one transaction that nobody else can come between.

        Raises
        ------
        SpaceError : the disk is full.
        StoreError : the database is busy for long, or cannot be read or written.
        """

        def whole(rows: Any) -> T:
            with rows.transact():
                return action(rows)

        return self._attempt(whole)

    def _attempt(self, action: Callable[[Any], T], *, is_last: bool = False) -> T:
        inode, rows = self._current()
        try:
            return action(rows)
        except (diskcache.Timeout, sqlite3.DatabaseError) as error:
            cause = _cause(error)
            if is_last or not self._cure(inode, cause):
                raise self._refusal(cause) from error
        return self._attempt(action, is_last=True)

    def _cure(self, inode: int | None, cause: BaseException) -> bool:
        """Do what lets a second attempt succeed; False when there is nothing."""
        if _code(cause) == sqlite3.SQLITE_FULL:
            (self._folder.parent / "reserve").unlink(missing_ok=True)
            return True
        if not _is_damage(cause):
            return False
        with self._lock():
            if self._inode() == inode:
                self._set_aside(cause)
        return True

    def _current(self) -> tuple[int | None, Any]:
        """Return the open database, opened anew when its file is another one than before."""
        inode = self._inode()
        if inode is None or inode != self._opened[0]:
            with self._lock():
                self._open()
        return self._opened

    def _open(self) -> None:
        inode = self._inode()
        if inode is not None and inode == self._opened[0]:
            return  # another thread was faster
        try:
            try:
                rows = self._connect()
            except (diskcache.Timeout, sqlite3.DatabaseError) as error:
                if not _is_damage(_cause(error)):
                    raise
                self._set_aside(_cause(error))
                inode, rows = None, self._connect()
        except (diskcache.Timeout, sqlite3.DatabaseError, OSError) as error:
            raise self._refusal(_cause(error)) from error
        self._opened = self._inode(), rows
        if inode is None:
            self._on_new()

    def _connect(self) -> Any:
        """Open the database; while it does so, diskcache does not wait for other writers itself."""
        folder, deadline_s = str(self._folder), time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                return diskcache.Cache(folder, disk=JsonDisk, timeout=BUSY_TIMEOUT_S, **SETTINGS)
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline_s:
                    raise
            time.sleep(BUSY_PAUSE_S)

    def _set_aside(self, cause: BaseException) -> None:
        logger.warning("%s is damaged (%s); set aside, a new one begins", self._database, cause)
        for name in (DATABASE, f"{DATABASE}-journal"):  # an old journal would damage the new one
            aside = f"{time.time_ns()}-{self._folder.name}-{name}"
            with suppress(FileNotFoundError):
                (self._folder / name).replace(self._folder.parent / "quarantine" / aside)

    def _inode(self) -> int | None:
        try:
            return self._database.stat().st_ino
        except FileNotFoundError:
            return None

    def _lock(self) -> AbstractContextManager[None]:
        return lock(self._folder.parent / "locks" / f"table-{self._folder.name}")

    def _refusal(self, cause: BaseException) -> StoreError:
        kind = SpaceError if _code(cause) == sqlite3.SQLITE_FULL else StoreError
        return kind(
            f"{self._database} cannot be used ({cause or 'busy'}); expected a database that can "
            "be read and written; look at the rights of the folder and at free space"
        )


def _cause(error: BaseException) -> BaseException:
    """Return the first error of a chain: diskcache follows it by a failed rollback or time-out."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def _code(cause: BaseException) -> int | None:
    """Return the primary result code of SQLite, None for other errors."""
    code = getattr(cause, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _is_damage(cause: BaseException) -> bool:
    """Tell whether a database is unreadable, rather than busy, full or forbidden."""
    code = _code(cause)
    if code == sqlite3.SQLITE_ERROR:
        return "no such table" in str(cause)  # the file was emptied
    if code is None:  # Python could not decode a text
        return isinstance(cause, sqlite3.OperationalError)
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
