"""Locks between processes and threads, by flock: free at once when their holder dies."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import StoreError

FIRST_PAUSE_S = 0.001
LONGEST_PAUSE_S = 0.05
KEY = re.compile(r"[0-9a-f]{64}")


class LockTimeout(StoreError):
    """A lock that stayed with somebody else for longer than the caller would wait."""


@contextmanager
def lock(
    path: Path,
    *,
    shared: bool = False,
    timeout_s: float | None = None,
    on_wait: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Hold the lock of a file while the body runs.

    Not re-entrant: a thread that asks again for what it holds waits for itself.

    Parameters
    ----------
    path : file that stands for the lock; made when missing, its text is the holder's process id.
    shared : True lets any number of shared holders in, but no exclusive one.
    timeout_s : seconds to wait; None waits for ever, 0 tries once.
    on_wait : called before each pause (at most 50 ms) while waiting; what it raises ends the wait.

    Raises
    ------
    LockTimeout : somebody else kept the lock for `timeout_s`; names the holder.
    """
    descriptor = _acquire(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, timeout_s, on_wait)
    try:
        if not shared:
            _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def sweep_locks(folder: Path, *, before_s: float) -> float | None:
    """Remove lock files that nobody holds and that are old; tell since when work is going on.

    Parameters
    ----------
    folder : folder of lock files; those of computations have a key, 64 hex digits, in their name.
    before_s : Unix time; files taken later than this are left alone.

    Returns
    -------
    Unix time at which the oldest computation that still holds its lock began; None for none.
    """
    began_s = []
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDWR)
        try:
            taken_s = os.fstat(descriptor).st_mtime
            if _try_lock(descriptor, fcntl.LOCK_EX):
                # Only the holder removes the file, so that nobody can hold it at that moment;
                # whoever opened it before sees that it has no name any more and opens it anew.
                if taken_s < before_s:
                    path.unlink()
            elif KEY.search(path.name):
                began_s.append(taken_s)
        finally:
            os.close(descriptor)
    return min(began_s, default=None)


def _acquire(
    path: Path, operation: int, timeout_s: float | None, on_wait: Callable[[], None] | None
) -> int:
    """Return the descriptor that holds the lock."""
    started_s, pause_s = time.monotonic(), FIRST_PAUSE_S
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if _try_lock(descriptor, operation):
            return descriptor
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        if timeout_s is not None and time.monotonic() - started_s >= timeout_s:
            raise LockTimeout(
                f"lock {path.name} was held by process {holder} for {timeout_s:g} s; expected it "
                "to become free; wait for what that process does, or end it"
            )
        if on_wait is not None:
            on_wait()
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _try_lock(descriptor: int, operation: int) -> bool:
    """Take the lock without waiting; False when it is held, or its file was removed meanwhile."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _sign(descriptor: int) -> None:
    """Note who holds the lock and since when."""
    os.utime(descriptor)
    with suppress(OSError):  # a lock must work on a full disk too; only the process id is missing
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
