"""Which files of a store go: leftovers first, then what was used least recently."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from pipeline.locks import sweep_locks

# Unreferenced files may still get their record; only a stage that takes longer than this and
# holds no lock would lose them, and would be told so when it publishes the record.
LEFTOVER_AGE_S = 3600.0
QUARANTINE_AGE_S = 7 * 24 * 3600.0

Statuses = dict[Path, os.stat_result]


@dataclass(frozen=True)
class Entry:
    """A record as the janitor sees it: its file, its object files, when it was last used."""

    path: Path
    objects: tuple[Path, ...]
    used_s: float
    pinned: bool  # stays whatever the size


@dataclass(frozen=True)
class Swept:
    """What one visit removed, and what is left.

    Parameters
    ----------
    leftovers : files of broken writes, unreferenced objects and old quarantine.
    evicted : records dropped for the size limit.
    freed_bytes : removed by both.
    used_bytes : objects and converted models that remain.
    """

    leftovers: int
    evicted: int
    freed_bytes: int
    used_bytes: int


def sweep(root: Path, entries: Sequence[Entry], *, limit_bytes: int) -> Swept:
    """Remove leftovers, then the least recently used records until the limit is kept.

    The caller holds the writer lock, so that nothing is published meanwhile.

    Parameters
    ----------
    root : folder of the store.
    entries : all its readable records.
    limit_bytes : what objects and converted models together may take; models are never removed.
    """
    now_s = time.time()
    leftover_s = now_s - LEFTOVER_AGE_S
    working_since_s = sweep_locks(root / "locks", before_s=leftover_s)
    if working_since_s is not None:
        leftover_s = min(leftover_s, working_since_s)
    users = Counter(path for entry in entries for path in set(entry.objects))
    objects = _statuses(root.glob("objects/*/*"))
    orphans = {path: status for path, status in objects.items() if path not in users}
    leftovers = (
        _older(_statuses(root.glob("tmp/*")), leftover_s)
        | _older(orphans, leftover_s)
        | _older(_statuses(root.glob("quarantine/*")), now_s - QUARANTINE_AGE_S)
    )
    for path in leftovers:
        path.unlink(missing_ok=True)
        objects.pop(path, None)
    used_bytes = _total(objects) + _total(_statuses(root.glob("models/**/*")))
    evicted, evicted_bytes = _evict(entries, users, objects, excess_bytes=used_bytes - limit_bytes)
    return Swept(
        leftovers=len(leftovers),
        evicted=evicted,
        freed_bytes=_total(leftovers) + evicted_bytes,
        used_bytes=used_bytes - evicted_bytes,
    )


def _evict(
    entries: Sequence[Entry], users: Counter[Path], objects: Statuses, *, excess_bytes: int
) -> tuple[int, int]:
    """Remove records and the objects that only they used; return how many, and the bytes freed."""
    evicted = freed_bytes = 0
    for entry in sorted(entries, key=lambda entry: entry.used_s):
        if freed_bytes >= excess_bytes:
            break
        if entry.pinned:
            continue
        entry.path.unlink(missing_ok=True)
        evicted += 1
        for path in set(entry.objects):
            users[path] -= 1
            if users[path] == 0:
                path.unlink(missing_ok=True)
                freed_bytes += objects[path].st_size
    return evicted, freed_bytes


def _statuses(paths: Iterable[Path]) -> Statuses:
    """Look at each file once; other processes may remove some meanwhile."""
    found = {}
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            if S_ISREG(status.st_mode):
                found[path] = status
    return found


def _older(files: Statuses, before_s: float) -> Statuses:
    return {path: status for path, status in files.items() if status.st_mtime < before_s}


def _total(files: Statuses) -> int:
    return sum(status.st_size for status in files.values())
