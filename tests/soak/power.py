"""Figure 3: power cuts, by replaying what had reached the disk at every step of real work.

The store works in a real folder; every fsync, rename, unlink and mkdir that it asks for is noted.
After each, states are made that a disk may be in when the power fails right then: names in a folder
survive only from its last fsync on, contents only from their file's last fsync on; everything later
may be there, half there, zeros, or absent.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from pipeline.jobs import JobTable
from pipeline.objects import DamagedObject, ObjectRef
from pipeline.specs import digest
from pipeline.store import Store
from tests.soak.common import Figure, Place

Names = dict[str, int]  # path below the root -> inode

STATES_PER_STEP = 4


class Disk:
    """What is in the cache of a disk, and what of it would survive."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[int, int] = {}  # inode -> descriptor: no number is given out twice
        self._synced_names, self._synced_contents = self._walk()
        self.states: list[tuple[dict[str, bytes], int]] = []
        self.n_published = 0
        self._rng = random.Random(0)

    def _walk(self) -> tuple[Names, dict[int, bytes]]:
        paths = [path for path in self._root.rglob("*") if path.is_file()]
        for path in paths:
            if path.stat().st_ino not in self._held:
                self._held[path.stat().st_ino] = os.open(path, os.O_RDONLY)
        names = {str(path.relative_to(self._root)): path.stat().st_ino for path in paths}
        return names, {path.stat().st_ino: path.read_bytes() for path in paths}

    def close(self) -> None:
        """Let go of all files."""
        for descriptor in self._held.values():
            os.close(descriptor)

    def note_sync(self, descriptor: int) -> None:
        """Take note that a file, or the names in a folder, are on the disk."""
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            live, _ = self._walk()
            inside = str(path.relative_to(self._root))
            for names, take in ((self._synced_names, False), (live, True)):
                for name in [name for name in names if str(Path(name).parent) == inside]:
                    if take:
                        self._synced_names[name] = live[name]
                    else:
                        del self._synced_names[name]
        elif self._root in path.parents:
            self._synced_contents[os.fstat(descriptor).st_ino] = path.read_bytes()
        self.cut()

    def cut(self) -> None:
        """Note states in which a power cut at this moment may leave the disk."""
        live, contents = self._walk()
        for _ in range(STATES_PER_STEP):
            state = {}
            for name in sorted(self._synced_names.keys() | live.keys()):
                inode = self._one_of(self._synced_names.get(name), live.get(name))
                if inode is not None:
                    state[name] = self._content(inode, contents)
            self.states.append((state, self.n_published))

    def _one_of(self, synced: int | None, live: int | None) -> int | None:
        return synced if synced == live or self._rng.random() < 0.5 else live

    def _content(self, inode: int, contents: dict[int, bytes]) -> bytes:
        synced = self._synced_contents.get(inode)
        live = contents.get(inode, synced or b"")
        if synced == live:
            return live
        half, zeros = live[: len(live) // 2], bytes(len(live))
        return self._rng.choice([b"", half, zeros, live, synced or b""])


def power_cuts(place: Place, count: int) -> list[Figure]:
    """Cut the power at every step of real work; open what is left."""
    records = 0
    states: list[tuple[dict[str, bytes], int]] = []
    while len(states) < count:
        states += _states(place.folder / f"work-{records}", seed=records)
        records += 1
    states = random.Random(0).sample(states, count)
    illegal: list[str] = []
    readable = 0
    folder = place.folder / "after"
    for state, n_published in states:
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder, state)
        try:
            found = _look(folder, n_published)
        except Exception as error:  # whatever is raised is what we look for
            illegal.append(f"{type(error).__name__}: {error}")
        else:
            readable += found
    shutil.rmtree(folder, ignore_errors=True)
    return [Figure("3", f"power cut, {len(states)} states: illegal ones", "0",
                   f"{len(illegal)} ({readable} records read) {illegal[:1] or ''}",
                   not illegal and readable > len(states))]  # fmt: skip


def _states(root: Path, *, seed: int) -> list[tuple[dict[str, bytes], int]]:
    store, jobs = Store(root), None
    disk = Disk(store.root)
    with _watched(disk):
        for number in range(5):
            with store.hasty() if number % 2 else nullcontext():
                ref = store.put_array(_values(number))
            store.settle([ref])
            store.put_record(_key(number), _record(number, ref))
            disk.n_published = number + 1
            jobs = jobs or JobTable(store)
            jobs.submit("build", {"n": seed}, f"visitor {number}")
        store.put_record(_key(0), _record(0, store.put_array(_values(0)), again=True))
    disk.close()
    return disk.states


@contextmanager
def _watched(disk: Disk) -> Iterator[None]:
    """Note every step that matters to a disk; each is really done."""

    def after(function: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            result = function(*args, **options)
            note(*args)
            return result

        return call

    with mock.patch.multiple(
        os,
        fsync=after(os.fsync, disk.note_sync),
        replace=after(os.replace, lambda *_: disk.cut()),
        unlink=after(os.unlink, lambda *_: disk.cut()),
        mkdir=after(os.mkdir, lambda *_: disk.cut()),
    ):
        yield


def _make(folder: Path, state: dict[str, bytes]) -> None:
    for name, content in state.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _look(folder: Path, n_published: int) -> int:
    """Check what a power cut left; return how many records can be read."""
    store = Store(folder)
    found = 0
    for number in range(5):
        record = store.get_record(_key(number))
        try:
            values = record and store.open_array(ObjectRef.from_json(record["objects"]["array"]))
        except DamagedObject:
            values = None
        if values is not None:
            assert record is not None
            assert record["number"] == number
            assert np.array_equal(values, _values(number)), f"record {number} has wrong values"
            found += 1
        # What was published is durable; the first record is being replaced by an equal one.
        assert values is not None or number >= n_published, f"record {number} was lost"
    store.records("capture")
    JobTable(store).list()
    store.janitor()
    ref = store.put_array(_values(99))
    assert store.put_record(_key(99), _record(99, ref)) == store.get_record(_key(99))
    return found


def _key(number: int) -> str:
    return digest({"number": number})


def _values(number: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(number).normal(size=300)


def _record(number: int, ref: ObjectRef, *, again: bool = False) -> dict[str, Any]:
    return {"kind": "capture", "number": number, "again": again,
            "objects": {"array": ref.to_json()}}  # fmt: skip
