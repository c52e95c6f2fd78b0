import fcntl
import json
import logging
import os
import random
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from pipeline.errors import SpaceError, StoreError
from pipeline.objects import DamagedObject, object_refs
from pipeline.specs import digest
from pipeline.store import Store

ROOT = Path(__file__).parents[3]
KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def put(store, key=KEY, kind="capture", content=b"x"):
    ref = store.put_bytes(content, ".bin")
    return store.put_record(key, {"kind": kind, "objects": [ref.to_json()], "n": (1, 2)})


def record_path(store, key=KEY):
    return store.root / "records" / key[:2] / f"{key}.json"


def warnings(caplog):
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_record_comes_back_as_plain_json_with_its_key(store):
    written = put(store)
    assert store.get_record(KEY) == written
    assert (written["n"], written["key"]) == ([1, 2], KEY)


def test_an_unknown_key_has_no_record(store):
    assert store.get_record(KEY) is None


@pytest.mark.parametrize("key", ["", "A" * 64, "../" + "a" * 61])
def test_a_key_is_64_hex_digits(store, key):
    with pytest.raises(StoreError, match="expected 64 hex digits"):
        store.get_record(key)


def test_a_record_cannot_name_an_object_that_is_not_there(store):
    ref = store.put_bytes(b"x", ".bin")
    store.object_path(ref).unlink()
    with pytest.raises(DamagedObject, match="compute it before its record"):
        store.put_record(KEY, {"kind": "capture", "objects": [ref.to_json()]})
    assert store.get_record(KEY) is None


def test_a_kind_is_a_plain_word(store):
    with pytest.raises(StoreError, match="record kind 'a/b'"):
        store.put_record(KEY, {"kind": "a/b", "objects": []})


def test_a_record_holds_no_nan(store):
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.put_record(KEY, {"kind": "capture", "objects": [], "scale": float("nan")})


def test_no_flipped_bit_of_a_record_goes_unseen(store, caplog):
    written = put(store)
    good = record_path(store).read_bytes()
    rng = random.Random(0)
    for bit in rng.sample(range(8 * len(good)), 60):
        data = bytearray(good)
        data[bit // 8] ^= 1 << (bit % 8)
        record_path(store).write_bytes(data)
        assert store.get_record(KEY) is None
        assert "does not match its checksum" in warnings(caplog)[-1]
    record_path(store).write_bytes(good)
    assert store.get_record(KEY) == written


def test_a_record_is_parsed_once_until_it_changes(store, monkeypatch):
    put(store)
    parsed = []
    monkeypatch.setattr(
        "pipeline.store.digest", lambda record: parsed.append(record["key"]) or digest(record)
    )
    first, again = store.get_record(KEY), store.get_record(KEY)
    assert first == again
    assert len(parsed) == 1
    store.put_record(KEY, {"kind": "capture", "objects": [], "n": 2})
    assert store.get_record(KEY)["n"] == 2


def test_a_record_under_another_key_is_not_believed(store):
    put(store)
    record_path(store, OTHER).parent.mkdir()
    record_path(store).rename(record_path(store, OTHER))
    assert store.get_record(OTHER) is None


def test_a_record_whose_object_is_damaged_is_absent_until_computed_again(store, caplog):
    put(store, content=b"good")
    ref = store.put_bytes(b"good", ".bin")
    store.object_path(ref).chmod(0o600)
    store.object_path(ref).write_bytes(b"bad!")
    with pytest.raises(DamagedObject):
        store.read_bytes(ref)
    assert store.get_record(KEY) is None
    assert "which is missing" in warnings(caplog)[-1]
    put(store, content=b"good")
    assert store.read_bytes(ref) == b"good"


def test_a_forgotten_record_is_absent(store):
    put(store)
    store.forget(KEY)
    assert store.get_record(KEY) is None
    assert store.records("capture") == []


def test_records_are_listed_by_kind(store):
    for key, kind in ((OTHER, "capture"), (KEY, "capture"), ("c" * 64, "atlas")):
        put(store, key, kind)
    assert {record["key"] for record in store.records("capture")} == {OTHER, KEY}
    assert [record["key"] for record in store.records("atlas")] == ["c" * 64]


@pytest.mark.parametrize("garbage", [None, b"", b"garbage" * 3000], ids=["gone", "empty", "bad"])
@pytest.mark.parametrize("reopened", [True, False])
def test_a_lost_index_is_rebuilt_from_the_records(store, garbage, reopened, caplog):
    put(store)
    database = store.root / "index" / "cache.db"
    database.unlink() if garbage is None else database.write_bytes(garbage)
    found = Store(store.root) if reopened else store
    assert [record["key"] for record in found.records("capture")] == [KEY]
    assert len(warnings(caplog)) <= 1


def test_a_use_is_noted_at_most_once_a_minute(store, monkeypatch):
    put(store)
    written = []
    real = store._index.set
    monkeypatch.setattr(
        store._index, "set", lambda name, value: written.append(name) or real(name, value)
    )
    now_s = time.time()
    for later_s in (1, 59, 61, 62, 130):
        monkeypatch.setattr("pipeline.store.time.time", lambda s=now_s + later_s: s)
        store.get_record(KEY)
    assert written == [f"record/capture/{KEY}"] * 2


@pytest.mark.parametrize("operations", [("set",), ("get", "set")], ids=["written", "read"])
def test_reading_goes_on_when_the_index_cannot_be(store, operations, monkeypatch, caplog):
    put(store)
    store._index.delete(f"record/capture/{KEY}")

    def full(*_):
        raise SpaceError("full")

    for operation in operations:
        monkeypatch.setattr(store._index, operation, full)
    assert store.get_record(KEY)["key"] == KEY
    assert store.file_sha256(record_path(store))
    assert set(warnings(caplog)) == {"went on without the index: full"}


@pytest.mark.parametrize("changed", [{"objects": [{"sha256": "../x", "bytes": 1, "suffix": "."}]},
                                     {"kind": "a/b"}, {"kind": None}, {}])  # fmt: skip
def test_a_record_that_this_program_could_not_have_written_is_not_believed(store, changed, caplog):
    plain = {"key": KEY, "kind": "capture", "objects": []} | changed
    if not changed:
        del plain["objects"]
    record_path(store).parent.mkdir()
    record_path(store).write_text(json.dumps({"sha256": digest(plain), "record": plain}))
    assert store.get_record(KEY) is None
    assert "does not match its checksum" in warnings(caplog)[-1]


def test_a_lock_name_is_a_plain_word(store):
    with pytest.raises(StoreError, match="lock name"):
        store.lock("../x")


def test_a_file_is_hashed_again_only_when_it_changed(store, tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"one")
    first = store.file_sha256(path)
    assert first == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.store.hashlib.file_digest", None)
        assert Store(store.root).file_sha256(path) == first
    path.write_bytes(b"three")
    assert store.file_sha256(path) != first


def test_space_that_is_not_there_is_refused_with_numbers(store, monkeypatch):
    usage = namedtuple("usage", "total used free")(10**9, 0, 10**9)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    store.require_space(950_000_000)
    with pytest.raises(SpaceError, match=r"needs 960\.0 MB, free 1,000\.0 MB on .*QKATLAS_CACHE"):
        store.require_space(960_000_000)


def test_work_above_the_limit_of_the_folder_is_refused(tmp_path):
    store = Store(tmp_path / "cache", size_limit_bytes=10**6)
    with pytest.raises(SpaceError, match=r"needs 2\.0 MB, and .* may hold 1\.0 MB"):
        store.require_space(2 * 10**6)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_a_folder_of_another_computer_is_refused(tmp_path, monkeypatch, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"36 21 0:31 / {tmp_path}/far\\040away rw,noatime shared:1 - {kind} server:/x rw\n"
    )
    monkeypatch.setattr("pipeline.folder.MOUNTS", mounts)
    with pytest.raises(StoreError, match=f"lies on another computer \\({kind}\\)"):
        Store(tmp_path / "far away" / "cache")
    assert Store(tmp_path / "near")


def test_the_folder_is_open_to_its_owner_only(tmp_path):
    (tmp_path / "cache").mkdir(mode=0o755)
    assert Store(tmp_path / "cache").root.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_a_newer_program_is_refused(store):
    (store.root / "schema").write_text("2\n")
    with pytest.raises(StoreError, match="schema '2', this program knows up to 1"):
        Store(store.root)


def test_a_folder_that_cannot_be_made_is_refused_with_a_fix(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StoreError, match=r"making its folders failed .*chown .*QKATLAS_CACHE"):
        Store(tmp_path / "cache")


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    with pytest.raises(StoreError, match="two openers held one lock"):
        Store(tmp_path / "cache")


def test_a_file_system_without_fsync_is_refused(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(StoreError, match="writing, syncing and renaming a file failed"):
        Store(tmp_path / "cache")


def test_the_reserve_is_back_when_there_is_space_again(store):
    (store.root / "reserve").unlink()
    assert (Store(store.root).root / "reserve").stat().st_size == 2**20


def test_the_web_side_needs_no_torch():
    code = "import sys, json, pipeline.supervisor; print(json.dumps(list(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    modules = json.loads(output.stdout)
    assert "pipeline.store" in modules
    assert not {"torch", "transformers", "pipeline.worker"} & set(modules)


def test_in_haste_nothing_waits_for_the_disk(store, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", synced.append)
    with store.hasty():
        put(store)
        assert synced == []
    put(store, OTHER, content=b"y")
    assert len(synced) >= 4  # the object and the record, each with its folder
    assert store.get_record(KEY)["n"] == [1, 2]


def test_haste_leaves_what_was_there_before_as_it_is(store, monkeypatch):
    put(store)
    [path] = (path for path in store.root.glob("objects/*/*"))
    before = path.stat().st_ino
    synced = []
    monkeypatch.setattr("os.fsync", synced.append)
    with store.hasty():
        put(store, content=b"x")
    assert path.stat().st_ino == before
    assert synced  # a record that others have is never written in haste


def test_haste_does_not_rely_on_a_file_that_a_power_cut_has_damaged(store):
    with store.hasty():
        ref = store.put_bytes(b"x", ".bin")
    path = store.object_path(ref)
    path.chmod(0o600)
    path.write_bytes(b"\0")
    again = Store(store.root)
    with again.hasty():
        assert again.put_bytes(b"x", ".bin") == ref
    assert Store(store.root).read_bytes(ref) == b"x"


def test_what_was_published_in_haste_is_settled_before_its_record(store, monkeypatch):
    with store.hasty():
        refs = [store.put_bytes(content, ".bin") for content in (b"x", b"y")]
    synced = []
    own = os.fsync

    def fsync(descriptor):
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        own(descriptor)

    monkeypatch.setattr("os.fsync", fsync)
    store.settle(refs)
    paths = {store.object_path(ref) for ref in refs}
    folders = {path.parent for path in paths} | {store.root / "objects"}
    assert set(synced) == paths | folders
    assert set(synced[:2]) == paths  # a name that survives what it names is of no use


def test_what_a_power_cut_took_is_noticed_and_written_again(store):
    with store.hasty():
        written = put(store)
    [path] = (path for path in store.root.glob("objects/*/*"))
    path.chmod(0o600)
    path.write_bytes(b"\0")
    with pytest.raises(DamagedObject, match="was damaged"):
        list(map(Store(store.root).read_bytes, object_refs(written["objects"])))
    assert store.get_record(KEY) is None
    with store.hasty():
        put(store)
    assert store.get_record(KEY) == written
