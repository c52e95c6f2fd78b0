"""The folder of a store: makes it, tries what the store relies on, checks who wrote it."""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path

from pipeline.errors import StoreError

FOLDERS = ("objects", "records", "locks", "tmp", "quarantine")


def prepare(root: Path, *, schema: int) -> None:
    """Make the folder of a store, or check an existing one; open to its owner only.

    Parameters
    ----------
    root : the folder.
    schema : number of the newest layout that this program understands.

    Raises
    ------
    StoreError : a folder or file cannot be made, synced, renamed or locked there, or a newer
        program wrote it; says which and what to do.
    """
    step = "making its folders"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        for name in FOLDERS:
            (root / name).mkdir(exist_ok=True)
        step = "writing, syncing and renaming a file"
        _try_rename(root / "tmp" / uuid.uuid4().hex)
        step = "locking a file against another opener (flock)"
        _try_flock(root / "tmp" / uuid.uuid4().hex)
        _check_schema(root, schema)
    except OSError as error:
        raise StoreError(
            f"cache folder {root}: {step} failed ({error}); expected a folder of this user on a "
            f"local disk with free space; free some, run `sudo chown -R {os.getuid()} {root}`, or "
            "set QKATLAS_CACHE to another folder"
        ) from error


def write_whole(temporary: Path, target: Path, data: bytes) -> None:
    """Write a file so that readers, and a power cut, find it whole or not at all."""
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def publish(temporary: Path, target: Path) -> None:
    """Give a finished, synced file its final name, durably."""
    if not target.parent.is_dir():
        target.parent.mkdir(exist_ok=True)
        _sync_folder(target.parent.parent)
    temporary.replace(target)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _try_rename(path: Path) -> None:
    renamed = path.with_suffix(".renamed")
    write_whole(path, renamed, b"probe")
    renamed.unlink()


def _try_flock(path: Path) -> None:
    try:
        with path.open("xb") as first, path.open("rb") as second:
            fcntl.flock(first, fcntl.LOCK_EX)
            try:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            raise OSError("two openers held one lock")
    finally:
        path.unlink(missing_ok=True)


def _check_schema(root: Path, schema: int) -> None:
    path = root / "schema"
    if not path.exists():
        write_whole(root / "tmp" / uuid.uuid4().hex, path, b"%d\n" % schema)
    found = path.read_text().strip()
    if not found.isdecimal() or int(found) > schema:
        raise StoreError(
            f"cache folder {root} has schema {found!r}, this program knows up to {schema}: a newer "
            "program wrote it; update this one, or set QKATLAS_CACHE to another folder"
        )
