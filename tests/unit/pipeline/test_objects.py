import ast
import errno
import hashlib
import os
import random
import resource
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from pipeline.errors import SpaceError, StoreError
from pipeline.objects import DamagedObject, ObjectRef, object_refs
from pipeline.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def files(store, folder):
    return [path for path in (store.root / folder).rglob("*") if path.is_file()]


def flip_bit(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << (bit % 8)
    path.chmod(0o600)
    path.write_bytes(data)


@contextmanager
def file_size_limit(n_bytes):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


ARRAYS = [
    np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32),
    np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    np.zeros((0, 3)),
    np.array(2.5),
    np.array([True, False]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_an_array_comes_back_as_it_was(store, array):
    found = store.open_array(store.put_array(array))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(np.asarray(found), array)


def test_an_opened_array_cannot_be_written(store):
    found = store.open_array(store.put_array(np.zeros(3)))
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


def test_objects_need_no_pickle(store):
    with pytest.raises(ValueError, match="Python objects"):
        store.put_array(np.array([{}]))


def test_arrays_of_records_are_refused(store):
    with pytest.raises(ValueError, match="fields"):
        store.put_array(np.zeros(2, dtype=[("row", "i4"), ("value", "f8")]))


def test_bytes_come_back_as_they_were(store):
    assert store.read_bytes(store.put_bytes(b"\x00text", ".bin")) == b"\x00text"


def test_equal_content_is_one_file(store):
    values = np.arange(12.0).reshape(3, 4)
    refs = {store.put_array(values), store.put_array(np.asfortranarray(values))}
    assert len(refs) == len(files(store, "objects")) == 1


def test_a_reference_survives_json(store):
    ref = store.put_bytes(b"x", ".png")
    assert ObjectRef.from_json(ref.to_json()) == ref


@pytest.mark.parametrize(("sha256", "suffix"), [("../../etc", ".npy"), ("a" * 64, "/../x")])
def test_a_reference_cannot_leave_the_folder(sha256, suffix):
    with pytest.raises(StoreError, match="expected 64 hex digits"):
        ObjectRef(sha256, 1, suffix)


def test_references_are_found_at_any_depth():
    refs = [ObjectRef(digit * 64, 1, ".npy") for digit in "abc"]
    one, two, three = (ref.to_json() for ref in refs)
    value = {"layers": [{"queries": one}, {"keys": [two, None]}], "order": three, "n": 1}
    assert list(object_refs(value)) == refs


def test_published_files_are_read_only_and_nothing_stays_in_tmp(store):
    path = store.object_path(store.put_bytes(b"x", ".bin"))
    assert path.stat().st_mode & 0o222 == 0
    assert files(store, "tmp") == []


def test_a_new_array_left_without_publishing_leaves_nothing(store):
    with store.new_array((4,), "f4") as writer:
        writer.array[0] = 1
    assert files(store, "tmp") == files(store, "objects") == []


def test_a_new_array_is_zero_where_it_was_not_written_and_is_closed_by_publishing(store):
    with store.new_array((4,), "f4") as writer:
        writer.array[1] = 7
        ref = writer.publish()
        with pytest.raises(ValueError, match="read-only"):
            writer.array[0] = 1
    assert store.open_array(ref).tolist() == [0, 7, 0, 0]


def test_every_flipped_bit_is_found_and_the_file_set_aside(store):
    rng = random.Random(0)
    refs = [store.put_bytes(rng.randbytes(200), ".bin") for _ in range(20)]
    for ref in refs:
        flip_bit(store.object_path(ref), rng.randrange(1600))
    for ref in refs:
        with pytest.raises(DamagedObject, match="was damaged"):
            store.read_bytes(ref)
    assert store.damaged == len(files(store, "quarantine")) == 20
    assert files(store, "objects") == []


def test_a_damaged_array_is_never_mapped(store):
    ref = store.put_array(np.zeros(1000))
    flip_bit(store.object_path(ref), 8 * 500)
    with pytest.raises(DamagedObject):
        store.open_array(ref)


def test_a_missing_file_is_damage(store):
    ref = store.put_bytes(b"x", ".bin")
    store.object_path(ref).unlink()
    with pytest.raises(DamagedObject, match="is missing"):
        store.read_bytes(ref)


def test_a_file_is_hashed_on_its_first_read_only(store, tmp_path, monkeypatch):
    ref = store.put_bytes(b"x", ".bin")
    other = Store(tmp_path / "cache")
    hashed = []
    real = hashlib.file_digest
    monkeypatch.setattr(
        "pipeline.objects.hashlib.file_digest",
        lambda file, name: hashed.append(name) or real(file, name),
    )
    for _ in range(3):
        assert other.read_bytes(ref) == b"x"
    assert hashed == ["sha256"]


def test_an_unlinked_file_stays_readable_where_it_is_mapped(store):
    ref = store.put_array(np.arange(5))
    found = store.open_array(ref)
    store.object_path(ref).unlink()
    assert found.tolist() == [0, 1, 2, 3, 4]


def test_bytes_that_do_not_fit_leave_no_file_and_free_the_reserve(store):
    kept = store.put_bytes(b"kept", ".bin")
    with file_size_limit(2**16), pytest.raises(SpaceError, match=r"needs 2\.0 MB, free .* MB on"):
        store.put_bytes(bytes(2_000_000), ".bin")
    assert files(store, "tmp") == []
    assert not (store.root / "reserve").exists()
    assert store.read_bytes(kept) == b"kept"


def test_an_array_that_does_not_fit_is_refused_before_it_is_mapped(store, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pipeline.objects.os.posix_fallocate", full)
    with pytest.raises(SpaceError, match="set QKATLAS_CACHE"), store.new_array((1000,), "f8"):
        pass
    assert files(store, "tmp") == []


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_disk_that_fills_while_another_thread_publishes_is_told_there(
    store, monkeypatch, in_memory
):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with store.new_array((10,), "f4", in_memory=in_memory) as writer:
        monkeypatch.setattr("pipeline.objects.os.fsync", full)
        with ThreadPoolExecutor(1) as pool:
            assert isinstance(pool.submit(writer.publish).exception(), SpaceError)
    assert files(store, "tmp") == []


def test_other_errors_of_the_system_stay_what_they_are(store):
    with pytest.raises(PermissionError), store.new_array((1,), "f8"):
        raise PermissionError


def test_opening_an_array_compiles_no_python(store, monkeypatch):
    # numpy's own reader does; when two threads did so at once CPython 3.11 raised SystemError.
    ref = store.put_array(np.zeros((2, 3)))

    def refuse(*_):
        raise AssertionError("compiled")

    monkeypatch.setattr(ast, "literal_eval", refuse)
    assert store.open_array(ref).shape == (2, 3)
