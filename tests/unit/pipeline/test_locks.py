import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.errors import Cancelled
from pipeline.locks import LockTimeout, lock, sweep_locks

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pathlib import Path
from pipeline.locks import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(path):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"held\n"
    return child


def end(child):
    child.kill()
    child.wait()
    child.stdout.close()


def test_a_lock_excludes_other_openers_of_the_same_process(tmp_path):
    with lock(tmp_path / "a"), pytest.raises(LockTimeout), lock(tmp_path / "a", timeout_s=0):
        pass


def test_a_lock_is_free_again_after_an_error_in_its_body(tmp_path):
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "a"):
        raise ZeroDivisionError
    with lock(tmp_path / "a", timeout_s=0):
        pass


def test_shared_holders_exclude_only_exclusive_ones(tmp_path):
    path = tmp_path / "a"
    with (
        lock(path, shared=True),
        lock(path, shared=True, timeout_s=0),
        pytest.raises(LockTimeout),
        lock(path, timeout_s=0),
    ):
        pass


def test_the_timeout_names_the_lock_and_its_holder(tmp_path):
    child = hold(tmp_path / "capture")
    try:
        with pytest.raises(LockTimeout) as caught, lock(tmp_path / "capture", timeout_s=0.05):
            pass
    finally:
        end(child)
    assert f"lock capture was held by process {child.pid} for 0.05 s" in str(caught.value)


def test_a_killed_holder_frees_its_lock_at_once(tmp_path):
    child = hold(tmp_path / "a")
    os.kill(child.pid, signal.SIGKILL)
    killed_s = time.monotonic()
    with lock(tmp_path / "a", timeout_s=5):
        waited_s = time.monotonic() - killed_s
    end(child)
    # Measured 5 to 60 ms: the kernel ends the process, then at most one pause of 50 ms.
    assert waited_s < 1


def test_what_on_wait_raises_ends_the_wait(tmp_path):
    def stop():
        raise Cancelled("stop")

    with lock(tmp_path / "a"), pytest.raises(Cancelled), lock(tmp_path / "a", on_wait=stop):
        pass


def test_the_sweep_removes_old_free_locks_only(tmp_path):
    for name in ("old", "fresh", "held"):
        with lock(tmp_path / name):
            pass
    for name in ("old", "held"):
        os.utime(tmp_path / name, (1, 1))
    with lock(tmp_path / "held"):
        sweep_locks(tmp_path, before_s=time.time() - 60)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "held"]


def test_the_sweep_tells_since_when_the_oldest_computation_runs(tmp_path):
    assert sweep_locks(tmp_path, before_s=0) is None
    build = tmp_path / ("build-" + "a" * 64)
    with lock(build), lock(tmp_path / ("b" * 64)), lock(tmp_path / "worker"):
        os.utime(build, (50, 50))
        os.utime(tmp_path / "worker", (10, 10))
        assert sweep_locks(tmp_path, before_s=0) == 50


def test_a_lock_whose_file_was_swept_before_it_was_taken_is_taken_anew(tmp_path, monkeypatch):
    real, swept = fcntl.flock, []

    def sweep_first(descriptor, operation):
        if not swept:
            swept.append((tmp_path / "a").unlink())
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    with lock(tmp_path / "a"), pytest.raises(LockTimeout), lock(tmp_path / "a", timeout_s=0):
        pass
    assert swept == [None]
