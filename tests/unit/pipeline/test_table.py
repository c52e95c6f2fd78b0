import logging
import os
import pickle
import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import diskcache
import pytest

from pipeline.errors import SpaceError, StoreError
from pipeline.table import Table

ROOT = Path(__file__).parents[3]
PAGE = 4096


@pytest.fixture
def folder(tmp_path):
    for name in ("locks", "quarantine"):
        (tmp_path / name).mkdir()
    return tmp_path / "index"


def fill(table, n_rows=400):
    table.change(lambda rows: [rows.set(f"row/{i:064x}", [i, "v" * 40]) for i in range(n_rows)])


def warnings(caplog):
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_rows_come_back_in_the_order_of_their_first_writing(folder):
    table = Table(folder)
    for name, value in (("b", 1), ("a", {"x": [1.5, None, "ü"]}), ("b", 2)):
        table.set(name, value)
    assert [(name, table.get(name)) for name in table.names()] == [
        ("b", 2), ("a", {"x": [1.5, None, "ü"]}),
    ]  # fmt: skip


def test_a_deleted_row_is_gone(folder):
    table = Table(folder)
    table.set("a", 1)
    table.delete("a")
    assert table.get("a") is None


def test_a_change_that_fails_leaves_nothing(folder):
    table = Table(folder)

    def action(rows):
        rows.set("a", 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        table.change(action)
    assert table.get("a") is None


def test_changes_of_threads_and_processes_do_not_mix(folder):
    count = """
import sys
from pathlib import Path
from pipeline.table import Table
table = Table(Path(sys.argv[1]))
for _ in range(20):
    table.change(lambda rows: rows.set("n", (rows.get("n") or 0) + 1))
"""
    children = [
        subprocess.Popen([sys.executable, "-c", count, str(folder)], cwd=ROOT) for _ in range(2)
    ]
    table = Table(folder)

    def counting():
        for _ in range(20):
            table.change(lambda rows: rows.set("n", (rows.get("n") or 0) + 1))

    threads = [threading.Thread(target=counting) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [child.wait() for child in children] == [0, 0]
    assert table.get("n") == 80


def test_a_planted_pickle_is_a_miss_and_is_not_run(folder, tmp_path):
    class Canary:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "canary"),))

    table = Table(folder)
    table.set("a", 1)
    with sqlite3.connect(folder / "cache.db") as database:
        planted = (sqlite3.Binary(pickle.dumps(Canary())),)
        database.execute("UPDATE Cache SET mode = 4, value = ? WHERE key = 'a'", planted)
    database.close()
    assert table.get("a") is None
    assert not (tmp_path / "canary").exists()


def test_a_row_whose_text_was_changed_is_a_miss(folder):
    table = Table(folder)
    table.set("a", 1234)
    with sqlite3.connect(folder / "cache.db") as database:
        database.execute("UPDATE Cache SET value = replace(value, '1234', '1235')")
    database.close()
    assert table.get("a") is None


def test_the_journal_is_not_a_write_ahead_log(folder):
    table = Table(folder)
    table.set("a", 1)
    database = sqlite3.connect(folder / "cache.db")
    assert database.execute("PRAGMA journal_mode").fetchone() != ("wal",)
    database.close()
    assert not (folder / "cache.db-wal").exists()


@pytest.mark.parametrize("is_open", [True, False], ids=["while open", "before opening"])
@pytest.mark.parametrize("garbage", [b"", b"garbage" * 3000], ids=["empty", "garbage"])
def test_a_ruined_database_is_replaced_and_filled_again(folder, garbage, is_open, caplog):
    fill(Table(folder))
    table = Table(folder, on_new=lambda: table.set("again", 1))
    if is_open:
        table.get("x")
    (folder / "cache.db").write_bytes(garbage)
    table.set("a", 2)
    assert (table.get("a"), table.get(f"row/{0:064x}")) == (2, None)
    if garbage or is_open:
        assert table.get("again") == 1
        assert len(warnings(caplog)) == 1
        assert len(list((folder.parent / "quarantine").glob("*cache.db"))) == 1


def test_overwritten_pages_and_flipped_bits_never_give_a_wrong_row(folder, caplog):
    fill(Table(folder))
    good = (folder / "cache.db").read_bytes()
    rng = random.Random(0)
    n_found = 0
    for trial in range(16):
        data = bytearray(good)
        if trial % 2:
            start = rng.randrange(len(good) // PAGE) * PAGE
            data[start : start + PAGE] = rng.randbytes(PAGE)
        else:
            for _ in range(200):
                data[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
        (folder / "cache.db").write_bytes(data)
        table = Table(folder)
        table.names()
        for i in range(0, 400, 13):
            found = table.get(f"row/{i:064x}")
            assert found in (None, [i, "v" * 40])
            n_found += found is not None
        table.set("alive", 1)
        assert table.get("alive") == 1
    assert n_found > 30  # the damage was not always total, so the check above said something


def test_another_process_that_replaced_the_database_is_noticed(folder):
    ours, theirs = Table(folder), Table(folder)
    ours.set("a", 1)
    (folder / "cache.db").write_bytes(b"garbage" * 3000)
    theirs.set("b", 2)
    assert ours.get("b") == 2
    ours.set("c", 3)
    assert theirs.get("c") == 3


def test_a_database_that_cannot_be_opened_is_a_store_error(folder):
    (folder / "cache.db").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be used"):
        Table(folder).set("a", 1)


def test_a_full_disk_frees_the_reserve_then_is_a_space_error(folder, monkeypatch):
    table = Table(folder)
    table.set("a", 1)
    (folder.parent / "reserve").write_bytes(b"x")

    def full(rows):
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with pytest.raises(SpaceError, match="database or disk is full"):
        table.change(full)
    assert not (folder.parent / "reserve").exists()
    assert table.get("a") == 1


def test_opening_waits_for_another_writer(folder, monkeypatch):
    busy = sqlite3.OperationalError("database is locked")
    busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
    left = [busy, busy]
    drop = diskcache.Cache.drop_tag_index

    def sometimes_busy(cache):
        if left:
            raise left.pop()
        drop(cache)

    monkeypatch.setattr(diskcache.Cache, "drop_tag_index", sometimes_busy)
    table = Table(folder)
    table.set("a", 1)
    assert table.get("a") == 1
    assert left == []
