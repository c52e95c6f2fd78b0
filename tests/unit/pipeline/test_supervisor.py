import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from pipeline import kinds
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


def supervise(store, **options):
    """Keep the worker of one lane: most of what is tested here knows no other."""
    return Supervisor(store, lanes=("build",), **{"runner": RUNNER} | options)


@pytest.fixture
def supervisor(store):
    supervisor = supervise(store)
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
    return jobs.submit("build", {"do": do, **spec}, "somebody").id


def ended(jobs, job_id):
    return wait_for(lambda: not (job := jobs.get(job_id)).is_live and job)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def workers_of(store):
    """Return how many workers each lane has."""
    commands = [command for command in processes_of(store) if "pipeline.worker" in command]
    return Counter(command.split("--lane ")[1].split()[0] for command in commands)


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
    assert "status 3; see worker-build.log" in ended(jobs, submit(jobs, "leave")).error


def test_a_job_that_ignores_its_cancel_is_ended_with_its_children(
    store, jobs, supervisor, monkeypatch
):
    monkeypatch.setattr(supervisor_module, "PATIENCE_S", 0.3)
    job_id = submit(jobs, "ignore")
    child = child_of_job(store)
    jobs.cancel(job_id, "somebody")
    assert ended(jobs, job_id).state == "cancelled"
    wait_for(lambda: not is_alive(child))


def test_a_job_that_ignores_its_cancel_but_not_the_end_is_cancelled_within_two_seconds(
    store, jobs, supervisor
):
    job_id = submit(jobs, "unfinished")
    wait_for((store.root / "begun").exists)
    jobs.cancel(job_id, "somebody")
    began_s = time.monotonic()
    assert ended(jobs, job_id).state == "cancelled"
    assert time.monotonic() - began_s < 2
    assert list((store.root / "tmp").iterdir()) == []
    assert ended(jobs, submit(jobs, "answer")).state == "done"


def test_a_job_that_never_ends_is_ended(store, jobs, supervisor, monkeypatch):
    monkeypatch.setitem(kinds.LANES, "build", kinds.Lane(job_limit_s=1.0))
    job = ended(jobs, submit(jobs, "ignore"))
    assert job.state == "failed"
    assert "the longest that such a job may take" in job.error
    child = child_of_job(store)
    wait_for(lambda: not is_alive(child))
    assert job.ended_s - job.started_s < 2


def test_a_worker_that_dies_again_and_again_is_replaced_at_once(jobs, supervisor):
    ids = [submit(jobs, "die", n=n) for n in range(4)]
    times = [ended(jobs, job_id).ended_s for job_id in ids]
    assert max(b - a for a, b in itertools.pairwise(times)) < 4  # it was 0.5, 1, 2, 4 s and more


def test_whoever_stands_by_takes_over_only_later(store, jobs, monkeypatch):
    monkeypatch.setattr(supervisor_module, "STANDBY_S", 1.0)
    supervisor = supervise(store, stands_by=True)
    supervisor.start()
    job_id = submit(jobs, "answer")
    time.sleep(0.5)
    assert not (store.root / "heartbeat-build").exists()
    assert ended(jobs, job_id).state == "done"
    supervisor.stop()


def test_as_a_program_it_keeps_a_worker_and_ends_with_its_parent(store):
    code = (
        "import subprocess, sys, time;"
        "subprocess.Popen([sys.executable, '-m', 'pipeline.supervisor', '--cache', sys.argv[1],"
        "'--parent', str(__import__('os').getpid())]); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(store.root)], cwd=ROOT)
    wait_for((store.root / "heartbeat-build").exists)
    started = processes_of(store)
    assert any("pipeline.worker" in command for command in started)
    parent.kill()
    parent.wait()
    wait_for(lambda: not processes_of(store))


def processes_of(store):
    """Return the command lines of all processes that name the folder of a store."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode().replace("\0", " ")
        except OSError:
            continue
        if str(store.root) in command:
            found.append(command)
    return found


def test_children_of_a_killed_worker_do_not_outlive_it(store, jobs, supervisor):
    ended(jobs, submit(jobs, "die_with_child"))
    child = child_of_job(store)
    wait_for(lambda: not is_alive(child))


def test_stopping_ends_worker_and_children_and_interrupts_the_job(store, jobs):
    supervisor = supervise(store)
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
    supervisor = supervise(store)
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
    os.utime(store.root / "heartbeat-build", (time.time() - 11,) * 2)
    assert not supervisor.alive()


def test_without_a_heartbeat_nothing_is_alive(store):
    assert not Supervisor(store).alive()


def test_two_supervisors_have_one_worker_and_the_second_takes_over(store, jobs, supervisor):
    first_pid = ended(jobs, submit(jobs, "answer", n=1)).result["pid"]
    second = supervise(store)
    second.start()
    assert ended(jobs, submit(jobs, "answer", n=2)).result["pid"] == first_pid
    supervisor.stop()
    assert ended(jobs, submit(jobs, "answer", n=3)).result["pid"] != first_pid
    second.stop()


def test_when_the_supervising_process_is_killed_its_worker_ends(store, jobs):
    code = (
        "import sys, time; from pathlib import Path; from pipeline.store import Store;"
        "from pipeline.supervisor import Supervisor;"
        "Supervisor(Store(Path(sys.argv[1])), lanes=('build',), runner='runners:run').start();"
        "time.sleep(60)"
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
    log = store.root / "worker-build.log"
    wait_for(supervisor.alive)
    monkeypatch.setattr(supervisor_module, "LOG_LIMIT_BYTES", 1000)
    with log.open("ab") as file:
        file.write(b"x" * 2000)
    wait_for(lambda: log.stat().st_size < 1000)
    assert b"x" * 2000 in (store.root / "worker-build.log.1").read_bytes()


def test_an_interpreter_that_is_not_there_does_not_end_the_supervisor(store, caplog):
    supervisor = supervise(store, python="/nowhere/python")
    supervisor.start()
    wait_for(lambda: "could not be started" in caplog.text)
    supervisor.stop()


def test_each_lane_has_one_worker_and_neither_waits_for_the_other(store, jobs):
    supervisor = Supervisor(store, runner=RUNNER)
    supervisor.start()
    build = submit(jobs, "ignore")
    wait_for(lambda: jobs.get(build).state == "running")
    live = jobs.submit("live", {"do": "answer"}, "somebody").id
    assert ended(jobs, live).state == "done"
    assert jobs.get(build).state == "running"
    assert workers_of(store) == {"build": 1, "live": 1}
    wait_for(supervisor.alive)
    os.kill(jobs.get(live).result["pid"], signal.SIGKILL)
    again = ended(jobs, jobs.submit("live", {"do": "answer", "n": 2}, "somebody").id)
    assert again.result["pid"] != jobs.get(live).result["pid"]
    assert jobs.get(build).state == "running"
    supervisor.stop()
    assert jobs.get(build).state == "interrupted"
    assert not workers_of(store)


def test_a_live_job_is_cancelled_and_a_dead_live_worker_explained_as_soon(store, jobs):
    supervisor = Supervisor(store, lanes=("live",), runner=RUNNER)
    supervisor.start()
    job_id = jobs.submit("live", {"do": "unfinished"}, "somebody").id
    wait_for((store.root / "begun").exists)
    jobs.cancel(job_id, "somebody")
    began_s = time.monotonic()
    assert ended(jobs, job_id).state == "cancelled"
    assert time.monotonic() - began_s < 2
    job_id = jobs.submit("live", {"do": "die"}, "somebody").id
    wait_for(lambda: jobs.get(job_id).state != "queued")
    began_s = time.monotonic()
    assert "the worker ended by signal 9" in ended(jobs, job_id).error
    assert time.monotonic() - began_s < 5
    supervisor.stop()


def test_the_store_is_alive_when_all_its_workers_are(store, supervisor):
    wait_for(supervisor.alive)
    assert not Supervisor(store).alive()  # nobody has started the worker of the other lane
