import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import supervisor as supervisor_module
from pipeline.jobs import JobTable
from pipeline.store import Store
from pipeline.supervisor import Supervisor

ROOT = Path(__file__).parents[3]
RUNNER = "runners:run"


@pytest.fixture(autouse=True)
def runners(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{Path(__file__).parent}")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture
def jobs(store):
    return JobTable(store)


@pytest.fixture
def supervisor(store):
    supervisor = Supervisor(store, runner=RUNNER)
    supervisor.start()
    yield supervisor
    supervisor.stop()


def wait_for(condition, limit_s=15):
    end_s = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.02)
    return found


def submit(jobs, do, **spec):
    return jobs.submit("test", {"do": do, **spec}, "somebody").id


def ended(jobs, job_id):
    return wait_for(lambda: not (job := jobs.get(job_id)).is_live and job)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def child_of_job(store):
    wait_for((store.root / "child").exists)
    return int((store.root / "child").read_text())


def test_a_worker_killed_in_a_job_is_explained_and_the_next_job_runs(jobs, supervisor):
    job_id, next_id = submit(jobs, "die"), submit(jobs, "answer")
    wait_for(lambda: jobs.get(job_id).state == "running")
    began_s = time.monotonic()
    job = ended(jobs, job_id)
    assert time.monotonic() - began_s < 5
    assert (job.state, job.error) == (
        "failed",
        "the worker ended by signal 9, probably out of memory; try a smaller model or fewer inputs",
    )
    assert ended(jobs, next_id).state == "done"


def test_a_worker_that_leaves_by_itself_is_explained_by_its_status(jobs, supervisor):
    assert "status 3; see worker.log" in ended(jobs, submit(jobs, "leave")).error


def test_a_job_that_ignores_its_cancel_is_ended_with_its_children(
    store, jobs, supervisor, monkeypatch
):
    monkeypatch.setattr(supervisor_module, "PATIENCE_S", 0.3)
    job_id = submit(jobs, "ignore")
    child = child_of_job(store)
    jobs.cancel(job_id)
    assert ended(jobs, job_id).state == "cancelled"
    wait_for(lambda: not is_alive(child))


def test_children_of_a_killed_worker_do_not_outlive_it(store, jobs, supervisor):
    ended(jobs, submit(jobs, "die_with_child"))
    child = child_of_job(store)
    wait_for(lambda: not is_alive(child))


def test_stopping_ends_worker_and_children_and_interrupts_the_job(store, jobs):
    supervisor = Supervisor(store, runner=RUNNER)
    supervisor.start()
    job_id = submit(jobs, "ignore")
    child = child_of_job(store)
    began_s = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began_s < 5
    assert jobs.get(job_id).state == "interrupted"
    wait_for(lambda: not is_alive(child))


def test_a_worker_that_cannot_be_stopped_kindly_is_stopped(store, jobs, monkeypatch):
    monkeypatch.setattr(supervisor_module, "PATIENCE_S", 0.5)
    supervisor = Supervisor(store, runner=RUNNER)
    supervisor.start()
    job_id = submit(jobs, "stubborn")
    wait_for(lambda: jobs.get(job_id).state == "running")
    wait_for((store.root / "begun").exists)
    supervisor.stop()
    assert (store.root / "told").exists()
    assert jobs.get(job_id).state == "interrupted"


def test_alive_tells_whether_a_worker_shows_life(store, supervisor):
    wait_for(supervisor.alive)
    supervisor.stop()
    os.utime(store.root / "heartbeat", (time.time() - 11,) * 2)
    assert not supervisor.alive()


def test_without_a_heartbeat_nothing_is_alive(store):
    assert not Supervisor(store).alive()


def test_two_supervisors_have_one_worker_and_the_second_takes_over(store, jobs, supervisor):
    first_pid = ended(jobs, submit(jobs, "answer", n=1)).result["pid"]
    second = Supervisor(store, runner=RUNNER)
    second.start()
    assert ended(jobs, submit(jobs, "answer", n=2)).result["pid"] == first_pid
    supervisor.stop()
    assert ended(jobs, submit(jobs, "answer", n=3)).result["pid"] != first_pid
    second.stop()


def test_when_the_supervising_process_is_killed_its_worker_ends(store, jobs):
    code = (
        "import sys, time; from pathlib import Path; from pipeline.store import Store;"
        "from pipeline.supervisor import Supervisor;"
        "Supervisor(Store(Path(sys.argv[1])), runner='runners:run').start(); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(store.root)], cwd=ROOT)
    pid = ended(jobs, submit(jobs, "answer")).result["pid"]
    job_id = submit(jobs, "work")
    wait_for(lambda: jobs.get(job_id).state == "running")
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert ended(jobs, job_id).state == "interrupted"
    wait_for(lambda: not is_alive(pid))


def test_the_log_is_kept_small(store, supervisor, monkeypatch):
    log = store.root / "worker.log"
    wait_for(supervisor.alive)
    monkeypatch.setattr(supervisor_module, "LOG_LIMIT_BYTES", 1000)
    with log.open("ab") as file:
        file.write(b"x" * 2000)
    wait_for(lambda: log.stat().st_size < 1000)
    assert b"x" * 2000 in (store.root / "worker.log.1").read_bytes()


def test_an_interpreter_that_is_not_there_does_not_end_the_supervisor(store, caplog):
    supervisor = Supervisor(store, python="/nowhere/python")
    supervisor.start()
    wait_for(lambda: "could not be started" in caplog.text)
    supervisor.stop()
