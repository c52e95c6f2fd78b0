"""Processes killed at random moments; QKATLAS_SOAK=1 makes it 200 kills instead of a few."""

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.objects import ObjectRef
from pipeline.store import Store

ROOT = Path(__file__).parents[3]
KILLS = 200 if os.environ.get("QKATLAS_SOAK") else 4
KEY = "c" * 64

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
COMPUTE = """
import sys, time
from pathlib import Path
from pipeline.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
def compute():
    with (store.root / "computed").open("a") as file:
        file.write("x")
    time.sleep(float(sys.argv[2]))
    return {"kind": "capture", "objects": store.put_bytes(b"once", ".bin").to_json()}
print(store.once("c" * 64, compute)["objects"]["sha256"], flush=True)
"""


def start(code, *arguments):
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout.readline() == "ready\n"
    return child


def kill(child):
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()


def finish(child):
    output, _ = child.communicate("go\n", timeout=30)
    return output.strip()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def test_a_killed_publisher_leaves_the_old_record_the_new_one_or_none(store):
    rng = random.Random(0)
    seen = 0
    for _ in range(KILLS):
        child = start(PUBLISH, store.root)
        time.sleep(rng.uniform(0, 0.2))
        kill(child)
        for path in store.root.glob("objects/*/*"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
        record = Store(store.root).get_record(KEY)
        if record is not None:
            values = Store(store.root).open_array(ObjectRef.from_json(record["objects"]))
            assert (values == record["number"]).all()
            seen += 1
    assert seen > 0
    assert store.damaged == 0
    assert not list((store.root / "quarantine").iterdir())


def test_after_kills_the_janitor_brings_the_disk_back_to_what_is_accounted(store):
    for _ in range(KILLS):
        child = start(PUBLISH, store.root)
        time.sleep(0.05)
        kill(child)
    for path in [*store.root.glob("tmp/*"), *store.root.glob("objects/*/*")]:
        os.utime(path, (1, 1))
    accounted = store.janitor().used_bytes
    paths = [*store.root.glob("tmp/*"), *store.root.glob("objects/*/*")]
    assert sum(path.stat().st_size for path in paths) == accounted == 800_128


def test_eight_processes_that_miss_one_key_compute_it_once(store):
    children = [start(COMPUTE, store.root, 0.1) for _ in range(8)]
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    assert len({finish(child) for child in children}) == 1
    assert (store.root / "computed").read_text() == "x"


def test_when_the_computing_process_is_killed_another_computes_and_all_are_served(store):
    first = start(COMPUTE, store.root, 60)
    first.stdin.write("go\n")
    first.stdin.flush()
    while not (store.root / "computed").exists():
        time.sleep(0.01)
    others = [start(COMPUTE, store.root, 0) for _ in range(2)]
    for child in others:
        child.stdin.write("go\n")
        child.stdin.flush()
    kill(first)
    assert len({finish(child) for child in others}) == 1
    assert (store.root / "computed").read_text() == "xx"
