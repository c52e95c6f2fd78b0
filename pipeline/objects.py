"""Immutable files named by the sha256 of their content: written whole, checked when read."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pipeline.array_headers import plain_dtype, read_header, write_header
from pipeline.errors import StoreError
from pipeline.folder import publish
from pipeline.locks import lock
from pipeline.space import space_guard

logger = logging.getLogger(__name__)

SHA256 = re.compile(r"[0-9a-f]{64}")
SUFFIX = re.compile(r"\.[a-z0-9]{1,12}")


class DamagedObject(StoreError):
    """An object file that is missing or whose content is not what its name says."""


@dataclass(frozen=True)
class ObjectRef:
    """The name of one immutable file.

    Parameters
    ----------
    sha256 : digest of the whole file, 64 hex digits.
    bytes : size of the whole file.
    suffix : what kind of file it is, such as ".npy".
    """

    sha256: str
    bytes: int
    suffix: str

    def __post_init__(self) -> None:
        # References come back from files, and become a path: nothing but a plain name passes.
        if not (SHA256.fullmatch(self.sha256) and SUFFIX.fullmatch(self.suffix)):
            raise StoreError(
                f"object reference {self.sha256!r}{self.suffix!r}: expected 64 hex digits and a "
                "suffix such as '.npy'; build the record again"
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> ObjectRef:
        """Read what `to_json` wrote."""
        return cls(**row)


def object_refs(value: Any) -> Iterator[ObjectRef]:
    """Find every object reference in nested dictionaries and lists of JSON values."""
    if isinstance(value, dict):
        if value.keys() == {"sha256", "bytes", "suffix"}:
            yield ObjectRef.from_json(value)
        else:
            for item in value.values():
                yield from object_refs(item)
    elif isinstance(value, list):
        for item in value:
            yield from object_refs(item)


class ArrayWriter:
    """An array being written: fill `array`, then `publish` it once."""

    def __init__(self, objects: Objects, file: BufferedRandom, array: NDArray[Any]) -> None:
        self._objects = objects
        self._file = file
        self.array = array

    def publish(self) -> ObjectRef:
        """Publish the file; `array` becomes read-only, views taken before must not be written."""
        with space_guard(self._objects.root, self.array.nbytes):
            sha256 = None
            if isinstance(self.array, np.memmap):
                self._objects.sync(self.array)
            else:
                sha256 = _write_after_header(self._file, self.array)
            self.array.flags.writeable = False
            return self._objects.publish_object(self._file, ".npy", sha256=sha256)


class Objects:
    """The object files below one folder; see `pipeline.store.Store` for the whole.

    Parameters
    ----------
    root : folder that holds `objects/`, `tmp/`, `quarantine/` and `locks/`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.damaged = 0
        self._verified: dict[Path, tuple[int, int, int]] = {}
        self._durable = True

    @contextmanager
    def hasty(self) -> Iterator[None]:
        """Publish without waiting for the disk inside the block; for one thread and its helpers.

        Until `Store.settle`, a power cut may lose or damage what was published, which its checksum
        tells when it is read. A file that was there before is kept as it is.
        """
        self._durable = False
        try:
            yield
        finally:
            self._durable = True

    def sync(self, array: np.memmap[Any, Any]) -> None:
        """Write what is in a mapped file to the disk; when in haste, the system does so later."""
        if self._durable:
            array.flush()

    def put_bytes(self, data: bytes, suffix: str) -> ObjectRef:
        """Publish bytes; equal bytes are one file.

        Raises
        ------
        SpaceError : they do not fit on the disk.
        """
        with space_guard(self.root, len(data)), self.temporary() as file:
            file.write(data)
            return self.publish_object(file, suffix)

    def put_array(self, array: NDArray[Any]) -> ObjectRef:
        """Publish an array of any shape and plain dtype as .npy in C order; never a pickle.

        Raises
        ------
        SpaceError : it does not fit on the disk.
        ValueError : the dtype holds Python objects or fields.
        """
        dtype = plain_dtype(array.dtype)
        with space_guard(self.root, array.nbytes), self.temporary() as file:
            write_header(file, dtype, array.shape)
            sha256 = _write_after_header(file, array)
            return self.publish_object(file, ".npy", sha256=sha256)

    @contextmanager
    def new_array(
        self, shape: tuple[int, ...], dtype: DTypeLike, *, in_memory: bool = False
    ) -> Iterator[ArrayWriter]:
        """Give a writable array; leaving without `publish` removes it.

        Parameters
        ----------
        shape, dtype : of the array; every element of it must be written.
        in_memory : keep it in memory until it is published, which takes half the time where rows
            are written here and there; else it lies on the disk from the start.

        Raises
        ------
        SpaceError : it does not fit on the disk.
        ValueError : the dtype holds Python objects or fields.
        """
        dtype = plain_dtype(dtype)
        n_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        with space_guard(self.root, n_bytes), self.temporary() as file:
            write_header(file, dtype, shape)
            if in_memory:
                yield ArrayWriter(self, file, np.empty(shape, dtype))
                return
            offset = file.tell()
            file.flush()
            # All blocks now: on a full disk, writing to a hole in a mapped file is SIGBUS.
            os.posix_fallocate(file.fileno(), 0, offset + n_bytes)
            array = np.memmap(file, dtype=dtype, mode="r+", offset=offset, shape=shape)
            yield ArrayWriter(self, file, array)

    def open_array(self, ref: ObjectRef) -> NDArray[Any]:
        """Map a published array, read-only; its checksum is verified once in this process.

        Raises
        ------
        DamagedObject : the file is missing or damaged; recompute it.
        """
        with self._open_verified(ref) as file:
            dtype, shape = read_header(file)
            return np.memmap(file, dtype=dtype, mode="r", offset=file.tell(), shape=shape)

    def read_bytes(self, ref: ObjectRef) -> bytes:
        """Read a published file whole; its checksum is verified once in this process.

        Raises
        ------
        DamagedObject : the file is missing or damaged; recompute it.
        """
        with self._open_verified(ref) as file:
            return file.read()

    def object_path(self, ref: ObjectRef) -> Path:
        """Return where an object lies."""
        return self.root / "objects" / ref.sha256[:2] / (ref.sha256 + ref.suffix)

    @contextmanager
    def temporary(self) -> Iterator[BufferedRandom]:
        """Give a new file in `tmp/` that is removed at the end unless it was published."""
        path = self._temporary_path()
        try:
            with path.open("xb+") as file:
                yield file
        finally:
            path.unlink(missing_ok=True)

    def publish_object(
        self, file: BufferedRandom, suffix: str, *, sha256: str | None = None
    ) -> ObjectRef:
        """Sync a temporary file, name it by its content and make it read-only.

        Parameters
        ----------
        sha256 : digest of all that was written, where it is known; else the file is read.
        """
        file.flush()
        if self._durable:
            os.fsync(file.fileno())
        if sha256 is None:
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        ref = ObjectRef(sha256, os.fstat(file.fileno()).st_size, suffix)
        os.fchmod(file.fileno(), 0o400)
        path = self.object_path(ref)
        if not self._durable and path.exists():
            with suppress(DamagedObject), self._open_verified(ref):
                return ref  # that one may be on the disk already
        with self._publishing():
            publish(Path(file.name), path, durable=self._durable)
        self._verified[path] = identity(os.fstat(file.fileno()))
        return ref

    def quarantine(self, path: Path, reason: str) -> None:
        """Move a damaged file aside, count it and log why."""
        self.damaged += 1
        logger.warning("%s: %s; set aside, to be computed again", path, reason)
        aside = self.root / "quarantine" / f"{time.time_ns()}-{path.name}"
        with suppress(FileNotFoundError):
            path.replace(aside)
            os.utime(aside)  # the janitor keeps it for a week from now

    def _temporary_path(self) -> Path:
        return self.root / "tmp" / uuid.uuid4().hex

    def _publishing(self) -> AbstractContextManager[None]:
        """Keep the janitor out, and only it, while something gets its name."""
        return lock(self.root / "locks" / "writer", shared=True)

    @contextmanager
    def _open_verified(self, ref: ObjectRef) -> Iterator[BufferedReader]:
        """Open an object whose content is known to be right."""
        path = self.object_path(ref)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            self.damaged += 1
            raise DamagedObject(f"{path} is missing; compute its record again") from None
        with file:
            now = identity(os.fstat(file.fileno()))
            if self._verified.get(path) != now:
                if hashlib.file_digest(file, "sha256").hexdigest() != ref.sha256:
                    self.quarantine(path, "the content does not match the checksum")
                    raise DamagedObject(f"{path} was damaged; compute its record again")
                self._verified[path] = now
                file.seek(0)
            yield file


def _write_after_header(file: BufferedRandom, array: NDArray[Any]) -> str:
    """Write an array after its header; return the sha256 of both."""
    file.seek(0)
    digest = hashlib.sha256(file.read())
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    digest.update(content)
    file.write(content)
    return digest.hexdigest()


def identity(status: os.stat_result) -> tuple[int, int, int]:
    """Return what changes when a file is replaced or rewritten: inode, size, time in ns."""
    return status.st_ino, status.st_size, status.st_mtime_ns
