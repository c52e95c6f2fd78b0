"""The folder of a store: makes it, tries what the store relies on, checks who wrote it."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import uuid
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.errors import StoreError

FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FOLDERS = ("objects", "records", "locks", "tmp", "quarantine")
# Files that the disk is asked to write at once.
N_SYNCED = 4
# File systems of other computers: their locks and syncs hold on one machine only, if at all.
REMOTE = re.compile(
    r"nfs.*|cifs|smb.*|9p|afs|ceph|glusterfs|lustre|ncpfs|fuse\.(sshfs|s3fs|rclone).*"
)
MOUNTS = Path("/proc/self/mountinfo")


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
    reserve = root / "reserve"
    step = "making its folders"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)
        for name in FOLDERS:
            (root / name).mkdir(exist_ok=True)
        _check_is_local(root)
        step = "writing, syncing and renaming a file"
        try:
            _try_rename(root / "tmp" / uuid.uuid4().hex)
        except OSError as error:
            if error.errno not in FULL_DISK or not reserve.exists():
                raise
            reserve.unlink(missing_ok=True)  # full: what is there can still be read
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


def write_whole(temporary: Path, target: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file so that readers, and if durable a power cut, find it whole or not at all."""
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        publish(temporary, target, durable=durable)
    finally:
        temporary.unlink(missing_ok=True)


def publish(temporary: Path, target: Path, *, durable: bool = True) -> None:
    """Give a finished file its final name; durably, if it was synced."""
    if not target.parent.is_dir():
        target.parent.mkdir(exist_ok=True)
        if durable:
            _sync(target.parent.parent)
    temporary.replace(target)
    if durable:
        _sync(target.parent)


def sync_all(paths: Collection[Path]) -> None:
    """Make files that were published without waiting for the disk survive a power cut."""
    with ThreadPoolExecutor(N_SYNCED) as pool:
        list(pool.map(_sync, paths))
    folders = {path.parent for path in paths}
    for folder in folders | {path.parent for path in folders}:
        _sync(folder)


def _sync(path: Path) -> None:
    """Make what is in a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_is_local(root: Path) -> None:
    """Refuse a folder that lies on another computer, as far as the system tells."""
    if not MOUNTS.exists():
        return
    # "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw"; the last mount covers others
    kinds = {}
    for line in MOUNTS.read_text(errors="replace").splitlines():
        place, _, rest = line.partition(" - ")
        mounted = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), place.split()[4])
        kinds[Path(mounted)] = rest.split()[0]
    kind = next((kinds[folder] for folder in (root, *root.parents) if folder in kinds), "")
    if REMOTE.fullmatch(kind):
        raise StoreError(
            f"cache folder {root} lies on another computer ({kind}), where locks cannot be relied "
            "on; expected a local disk; set QKATLAS_CACHE to a folder on one"
        )


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
