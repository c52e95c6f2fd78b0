"""Figures 1, 2, 4, 6, 13 and 14: the store under kills, damage, a full disk; its keys."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import PipelineError, SpaceError
from pipeline.jobs import JobTable
from pipeline.locks import lock
from pipeline.objects import DamagedObject, ObjectRef
from pipeline.specs import AtlasSpec, MapSpec, atlas_key, capture_key, digest, map_key
from pipeline.store import Store
from tests.soak.common import Figure, Place, kill

KEY = "c" * 64
PAGE = 4096
PUBLISH = """
import sys
from pathlib import Path
import numpy as np
from pipeline.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(10**6):
    ref = store.put_array(np.full(200_000, number, dtype=np.float32))
    store.put_record("c" * 64, {"kind": "capture", "objects": ref.to_json(), "number": number})
"""
HOLD = """
import sys, time
from pathlib import Path
from pipeline.locks import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def kills_while_publishing(place: Place, count: int) -> list[Figure]:
    """Kill a process that publishes, at random moments; read everything after each kill."""
    rng = random.Random(0)
    store = Store(place.cache)
    bad = seen = 0
    for _ in range(count):
        child = _started(place, PUBLISH, store.root)
        time.sleep(rng.uniform(0, 0.2))
        kill(child.pid)
        child.communicate()
        for path in store.root.glob("objects/*/*"):
            bad += hashlib.sha256(path.read_bytes()).hexdigest() != path.stem
        fresh = Store(store.root)
        record = fresh.get_record(KEY)
        if record is not None:
            values = fresh.open_array(ObjectRef.from_json(record["objects"]))
            bad += not (values == record["number"]).all()
            seen += 1
    bad += len(list((store.root / "quarantine").iterdir()))
    for path in [*store.root.glob("tmp/*"), *store.root.glob("objects/*/*")]:
        os.utime(path, (1, 1))  # an hour later
    store._index.set(f"record/capture/{KEY}", time.time())
    accounted = store.janitor().used_bytes
    ratio = _disk_use(store.root) / (accounted + 2**20)  # the reserve is ours too
    return [
        Figure("1", f"{count} kills while publishing: unreadable or mixed reads", "0",
               f"{bad} of {seen} records read", bad == 0 and seen > 0),
        Figure("2", "the same: bytes on disk / accounted, after the janitor", "<= 1.05",
               f"{ratio:.3f}", ratio <= 1.05),
    ]  # fmt: skip


def damage(place: Place, count: int) -> list[Figure]:
    """Flip a bit in each of `count` files, overwrite database pages of a store in use."""
    rng = random.Random(0)
    store = Store(place.cache)
    refs = {}
    for number in range(count):
        key = digest({"entry": number})
        refs[key] = store.put_array(np.full(500, number, dtype=np.float32))
        store.put_record(key, {"kind": "capture", "objects": refs[key].to_json(), "n": number})
    n_pages = max(2, count * 30 // 200)
    wrong, database_faults = _page_damage(store, refs, n_pages, rng)
    n_found = 0
    for number, key in enumerate(refs):
        paths = (store.object_path(refs[key]), store._record_path(key))
        _flip(paths[number % 2], rng)
        try:
            record = Store(store.root).get_record(key)
            values = record and Store(store.root).open_array(ObjectRef.from_json(record["objects"]))
        except DamagedObject:
            values = None
        n_found += values is None
        wrong += values is not None and not (record["n"] == number and (values == number).all())
    lost = count - n_found
    return [
        Figure("4", f"{count} flipped bits + {n_pages} damaged database pages: wrong answers", "0",
               f"{wrong} (bits found: {n_found} of {count})", wrong == 0 and lost == 0),
        Figure("4", "the same: requests that raised because of the database", "0",
               str(database_faults), database_faults == 0),
    ]  # fmt: skip


def dead_lock_holders(place: Place, count: int) -> list[Figure]:
    """Kill the holder of a lock and take it; the worst wait."""
    path, worst_s = place.folder / "lock", 0.0
    for _ in range(count):
        child = _started(place, HOLD, path)
        kill(child.pid)
        killed_s = time.monotonic()
        with lock(path, timeout_s=20):
            worst_s = max(worst_s, time.monotonic() - killed_s)
        child.communicate()
    return [Figure("6", f"lock free after kill -9 of its holder, worst of {count}", "< 1 s",
                   f"{worst_s:.3f} s", worst_s < 1)]  # fmt: skip


def full_disk(place: Place, count: int) -> list[Figure]:
    """Fill a small disk again and again, read meanwhile, make room, and write on."""
    corrupt = failed_reads = refused = 0
    worst_s = 0.0
    with _small_disk(place) as (folder, kind):
        store = Store(folder / "cache")
        keep = store.put_array(np.arange(1000, dtype=np.float32))
        store.put_record(KEY, {"kind": "capture", "objects": keep.to_json()})
        jobs, ballast = JobTable(store), folder / "ballast"
        for number in range(count):
            _fill_to_the_brim(ballast)
            failed_reads += not _readable(Store(store.root), keep)  # it gives up the reserve
            ballast.unlink()
            refused += _fill(store, number)
            _fill_to_the_brim(ballast)
            failed_reads += not _readable(store, keep)
            try:
                store.put_array(np.zeros(2_000_000))  # which cannot fit
            except SpaceError:
                refused += 1
            leftovers = len(list((store.root / "tmp").iterdir()))
            ballast.unlink()
            freed_s = time.monotonic()
            store.forget(digest({"filling": number}))
            for path in store.root.glob("objects/*/*"):
                os.utime(path, (1, 1))
            store.janitor()
            _recovered(store, jobs, number)
            worst_s = max(worst_s, time.monotonic() - freed_s)
            corrupt += leftovers + _corrupt(store)
    return [
        Figure("13", f"disk full and back {count} times ({kind}): corrupt entries, partial files",
               "0", str(corrupt), corrupt == 0 and refused == 2 * count),
        Figure("13", "the same: failed reads", "0", str(failed_reads), failed_reads == 0),
        Figure("13", "the same: writing again after space came back, worst", "< 5 s",
               f"{worst_s:.2f} s", worst_s < 5),
    ]  # fmt: skip


def keys(place: Place, count: int) -> list[Figure]:
    """Change every field of every key; build equal inputs anew."""
    del place
    base = _key_inputs()
    names = [name for name in base if name != "spec.seed"]
    changed = {_keys_of(base | {name: _other(base[name])}) for name in names}
    changed |= {_keys_of(base | {"spec.seed": 1})}
    misses = sum(keys != _keys_of(base) for keys in changed)
    hits = 0
    for seed in range(count):
        rebuilt = json.loads(json.dumps(_key_inputs(), ensure_ascii=bool(seed % 2)))
        pairs = list(rebuilt.items())
        random.Random(seed).shuffle(pairs)
        rebuilt = dict(pairs) | {"files": dict(reversed(rebuilt["files"].items()))}
        hits += _keys_of(rebuilt) == _keys_of(base)
    return [
        Figure("14", f"key: each of {len(base)} fields changed is a miss", "100 %",
               f"{misses} of {len(base)}", misses == len(base)),
        Figure("14", f"the same: {count} equal inputs built anew are hits", "100 %",
               f"{hits} of {count}", hits == count),
    ]  # fmt: skip


def _started(place: Place, code: str, folder: Path) -> subprocess.Popen[bytes]:
    child = place.start("-c", code, str(folder), stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() in (b"ready\n", b"held\n")
    return child


def _disk_use(root: Path) -> int:
    return sum(path.lstat().st_size for path in root.rglob("*") if path.is_file())


def _flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    bit = rng.randrange(8 * len(data))
    data[bit // 8] ^= 1 << (bit % 8)
    path.chmod(0o600)
    path.write_bytes(data)


def _page_damage(
    store: Store, refs: dict[str, ObjectRef], n_pages: int, rng: random.Random
) -> tuple[int, int]:
    """Overwrite random pages of index and queue under a store that is open; return faults."""
    wrong = raised = 0
    jobs = JobTable(store)
    for number in range(n_pages):
        name = ("index", "jobs")[number % 2]
        jobs.submit("build", {"n": number}, f"visitor {number}")
        path = store.root / name / "cache.db"
        with path.open("r+b") as file:
            file.seek(rng.randrange(max(1, path.stat().st_size // PAGE)) * PAGE)
            file.write(rng.randbytes(PAGE))
        try:
            listed = {record["key"] for record in store.records("capture")}
            queued = jobs.list()
            jobs.submit("build", {"n": number}, "me")
            wrong += any(store.get_record(key) is None for key in refs)
            wrong += not listed <= refs.keys() or any(job.kind != "build" for job in queued)
        except (PipelineError, OSError):
            raised += 1
        for job in jobs.list():
            jobs.cancel(job.id, job.owners[0])
    wrong += {record["key"] for record in Store(store.root).records("capture")} != refs.keys()
    return wrong, raised


@contextmanager
def _small_disk(place: Place) -> Iterator[tuple[Path, str]]:
    """Give a disk of 16 MB: a tmpfs where we may mount one, else a limit that acts like it."""
    folder = place.folder / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        try:
            yield folder, "tmpfs of 16 MB"
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, hard))
    try:
        yield folder, "RLIMIT_FSIZE of 1 MB"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _fill(store: Store, number: int) -> int:
    """Publish until nothing more fits; return whether that was said."""
    refs: list[dict[str, Any]] = []
    try:
        for size in range(10_000):
            refs.append(store.put_array(np.full(250_000 + size, number, np.float32)).to_json())
            record = {"kind": "capture", "objects": refs}
            store.put_record(digest({"filling": number}), record)
    except SpaceError as error:
        return int("needs" in str(error) and "free" in str(error))
    return 0


def _fill_to_the_brim(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def _readable(store: Store, ref: ObjectRef) -> bool:
    try:
        JobTable(store).list()
        is_listed = [record["key"] for record in store.records("capture")].count(KEY) == 1
        return is_listed and float(store.open_array(ref).sum()) == 499_500.0
    except (PipelineError, OSError):
        return False


def _recovered(store: Store, jobs: JobTable, number: int) -> None:
    store.put_record(digest({"after": number}), {"kind": "capture", "objects": []})
    store.put_array(np.full(10_000, number, np.float32))
    job = jobs.submit("build", {"n": number}, "me")
    jobs.cancel(job.id, "me")


def _corrupt(store: Store) -> int:
    """Count files that are not what their names and checksums say."""
    fresh = Store(store.root)
    bad = sum(
        hashlib.sha256(path.read_bytes()).hexdigest() != path.stem
        for path in store.root.glob("objects/*/*")
    )
    bad += sum(fresh.get_record(path.stem) is None for path in store.root.glob("records/*/*.json"))
    return bad


def _key_inputs() -> dict[str, Any]:
    spec = dataclasses.asdict(AtlasSpec("tiny/bert", "sentences"))
    return {
        "files": {"config.json": "a" * 64, "model.safetensors": "b" * 64, "tokenizer.json": "ü"},
        "corpus_sha256": "c" * 64,
        "device_class": "cpu float32",
        "spec.seed": spec["seed"],
        "normalisation": "faithful",
        "method": "umap",
        "dims": 2,
        "guidance": 0.1,
        "neighbours": "plain",
    }


def _keys_of(inputs: dict[str, Any]) -> str:
    spec = AtlasSpec("tiny/bert", "sentences", seed=inputs["spec.seed"])
    captured = capture_key(
        spec, files=inputs["files"], corpus_sha256=inputs["corpus_sha256"],
        device_class=inputs["device_class"],
    )  # fmt: skip
    normalised = atlas_key(captured, inputs["normalisation"])
    shape = {name: inputs[name] for name in ("method", "dims", "guidance", "neighbours")}
    return map_key(normalised, MapSpec(seed=spec.seed, **shape))


def _other(value: Any) -> Any:
    if isinstance(value, dict):
        return value | {"config.json": "d" * 64}
    return {"faithful": "paper", "umap": "tsne", 2: 3, 0.1: 0.2}.get(value, f"{value}x")
