import os
import threading
import time

import pytest

from pipeline.store import Store

KEYS = [digit * 64 for digit in "abcdef"]
TWO_HOURS_S = 7200


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def age(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)


def put(store, key, *contents):
    refs = [store.put_bytes(content, ".bin") for content in contents]
    store.put_record(key, {"kind": "capture", "objects": [ref.to_json() for ref in refs]})
    return refs


def use(store, key, at_s):
    store._index.set(f"record/capture/{key}", at_s)


def kept(store):
    return [key for key in KEYS if store.get_record(key) is not None]


def test_old_leftovers_go_and_fresh_ones_stay(store):
    old, fresh = store.put_bytes(b"old", ".bin"), store.put_bytes(b"fresh", ".bin")
    age(store.object_path(old), TWO_HOURS_S)
    for name, seconds in (("old", TWO_HOURS_S), ("fresh", 0)):
        (store.root / "tmp" / name).write_bytes(b"12345")
        age(store.root / "tmp" / name, seconds)
    swept = store.janitor()
    assert (swept.leftovers, swept.freed_bytes, swept.used_bytes) == (2, 8, 5)
    assert [path.name for path in (store.root / "tmp").iterdir()] == ["fresh"]
    assert store.read_bytes(fresh) == b"fresh"
    assert not store.object_path(old).exists()


def test_what_a_record_names_stays_however_old(store):
    (ref,) = put(store, KEYS[0], b"x")
    age(store.object_path(ref), TWO_HOURS_S)
    assert store.janitor().leftovers == 0
    assert store.read_bytes(ref) == b"x"


def test_what_a_running_computation_published_stays_however_long_it_takes(store):
    ref = store.put_bytes(b"layer 0", ".bin")
    age(store.object_path(ref), TWO_HOURS_S)
    with store.lock(KEYS[0]):
        age(store.root / "locks" / KEYS[0], TWO_HOURS_S + 60)
        assert store.janitor().leftovers == 0
    assert store.janitor().leftovers == 1


def test_objects_of_an_unreadable_record_go_in_time(store):
    (ref,) = put(store, KEYS[0], b"x")
    age(store.object_path(ref), TWO_HOURS_S)
    next(store.root.glob("records/*/*.json")).write_bytes(b"{")
    assert store.janitor().leftovers == 1


def test_a_record_whose_object_is_gone_goes_too(store):
    (ref,) = put(store, KEYS[0], b"x")
    store.object_path(ref).unlink()
    store.janitor()
    assert list(store.root.glob("records/*/*.json")) == []


def test_quarantine_is_emptied_after_a_week(store):
    for name, days in (("old", 8), ("young", 6)):
        (store.root / "quarantine" / name).write_bytes(b"x")
        age(store.root / "quarantine" / name, days * 24 * 3600)
    assert store.janitor().leftovers == 1
    assert [path.name for path in (store.root / "quarantine").iterdir()] == ["young"]


def test_the_least_recently_used_go_first_and_only_as_many_as_needed(store):
    for i, key in enumerate(KEYS):
        put(store, key, bytes([i]) * 100)
        use(store, key, 1000 + (i + 3) % 6)
    store.size_limit_bytes = 350
    swept = store.janitor()
    assert (swept.evicted, swept.freed_bytes, swept.used_bytes) == (3, 300, 300)
    assert kept(store) == KEYS[:3]
    assert sum(path.is_file() for path in (store.root / "objects").rglob("*")) == 3


def test_what_is_open_somewhere_stays_whatever_the_size(store):
    for i, key in enumerate(KEYS[:3]):
        put(store, key, bytes([i]) * 100)
        use(store, key, 1000 + i)
    store.size_limit_bytes = 0
    store.note_use({"kind": "capture", "key": KEYS[0]})
    use(store, KEYS[1], time.time() - 1000)
    store.janitor()
    assert kept(store) == [KEYS[0]]


def test_an_object_that_another_record_names_survives_eviction(store):
    put(store, KEYS[0], b"shared" * 10, b"alone" * 10)
    (shared,) = put(store, KEYS[1], b"shared" * 10)
    use(store, KEYS[0], 1000)
    store.size_limit_bytes = 60
    assert store.janitor().freed_bytes == 50
    assert kept(store) == [KEYS[1]]
    assert store.read_bytes(shared) == b"shared" * 10


def test_converted_models_count_but_stay(store):
    model = store.root / "models" / "tiny" / "model.safetensors"
    model.parent.mkdir(parents=True)
    model.write_bytes(bytes(500))
    put(store, KEYS[0], bytes(100))
    use(store, KEYS[0], 1000)
    store.size_limit_bytes = 550
    swept = store.janitor()
    assert (swept.evicted, swept.used_bytes) == (1, 500)
    assert model.exists()


def test_nothing_is_published_while_the_janitor_looks(store):
    with store._publishing():
        visit = threading.Thread(target=store.janitor)
        visit.start()
        visit.join(0.1)
        assert visit.is_alive()
    visit.join()
