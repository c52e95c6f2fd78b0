import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import worker
from pipeline.errors import Cancelled
from pipeline.jobs import JobTable
from pipeline.records import Progress
from pipeline.store import Store

ROOT = Path(__file__).parents[3]
RUNNER = "runners:run"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture
def jobs(store):
    return JobTable(store)


@pytest.fixture
def start(store, monkeypatch):
    """Start workers by hand; all are ended with the test."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{Path(__file__).parent}")
    children = []

    def start(*options):
        where = ["--cache", str(store.root), "--lane", "build"]
        command = [sys.executable, "-m", "pipeline.worker", *where]
        children.append(
            subprocess.Popen(
                [*command, "--runner", RUNNER, *options],
                cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                process_group=0,
            )
        )  # fmt: skip
        return children[-1]

    yield start
    for child in children:
        child.kill()
        child.communicate()


def wait_for(condition, limit_s=10):
    end_s = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.02)
    return found


def submit(jobs, do, **spec):
    return jobs.submit("build", {"do": do, **spec}, "somebody").id


def run(jobs, store, do):
    """Run one job in this process."""
    job_id = submit(jobs, do)
    job = jobs.claim("build")
    worker._run_job(job, store, jobs, worker.Runners(RUNNER), worker.Reporter(jobs, job_id))
    return jobs.get(job_id)


@pytest.fixture
def here(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.mark.usefixtures("here")
class TestOneJob:
    def test_its_result_is_stored(self, jobs, store):
        job = run(jobs, store, "answer")
        assert (job.state, job.result["pid"], job.done) == ("done", os.getpid(), 1)

    def test_our_own_error_is_shown_as_it_is(self, jobs, store):
        job = run(jobs, store, "refuse")
        assert (job.state, job.error) == ("failed", "no such model; known are a and b")

    def test_another_error_is_shown_by_a_number_that_the_log_has(self, jobs, store, caplog):
        job = run(jobs, store, "stumble")
        assert job.error.startswith("internal error ")
        assert "private words" not in job.error
        assert job.error.split(",")[0] in caplog.text
        assert "ZeroDivisionError: private words" in caplog.text

    def test_a_result_that_is_not_json_fails_the_job(self, jobs, store):
        assert run(jobs, store, "not_json").error.startswith("internal error ")


@pytest.mark.usefixtures("here")
class TestRunners:
    def test_a_function_does_every_job_of_its_kind(self, store):
        assert worker.Runners(RUNNER).of("build")({"do": "answer"}, store, print)["n"] is None

    def test_a_class_is_made_once_and_keeps_what_it_holds(self, store):
        runners = worker.Runners("runners:Counting")
        counts = [runners.of("live")({}, store, print)["count"] for _ in range(2)]
        assert counts == [1, 2]


class StillPulse:
    """A pulse that does not beat: the thread of a real one would outlive the test."""

    reporter = None

    def start(self):
        pass


@pytest.mark.usefixtures("here")
def test_a_worker_without_jobs_for_long_gives_back_what_it_holds(store, jobs, monkeypatch):
    monkeypatch.setattr(worker, "KEEP_WARM_S", 0.0)
    job_id = submit(jobs, "answer")
    worker.serve(store, "build", worker.Runners(RUNNER), StillPulse())  # else it never returns
    assert jobs.get(job_id).state == "done"


class TestReporter:
    def test_the_last_value_is_written_once(self, jobs, monkeypatch):
        job_id = submit(jobs, "work")
        jobs.claim("build")
        written = []
        real = jobs.update
        monkeypatch.setattr(
            jobs, "update", lambda *args, **more: written.append(args[1]) or real(*args, **more)
        )
        report = worker.Reporter(jobs, job_id)
        for done in range(1000):
            report(Progress("maps", done, 1000))
        report.flush()
        report.flush()
        assert written == [Progress("maps", 999, 1000)]
        assert jobs.get(job_id).done == 999

    def test_seconds_left_follow_from_the_rate_within_the_stage(self, jobs, monkeypatch):
        job_id = submit(jobs, "work")
        jobs.claim("build")
        report = worker.Reporter(jobs, job_id)
        left = []
        for now_s, progress in (
            (0.0, Progress("load", 0, 1)),
            (100.0, Progress("maps", 10, 40)),  # 10 were there before
            (104.0, Progress("maps", 12, 40)),  # 2 in 4 s, 28 to go
        ):
            monkeypatch.setattr(worker.time, "monotonic", lambda now_s=now_s: now_s)
            report(progress)
            report.flush()
            left.append(jobs.get(job_id).seconds_left)
        assert left == [None, None, 56.0]

    def test_a_cancelled_job_is_stopped_at_its_next_report(self, jobs):
        job_id = submit(jobs, "work")
        jobs.claim("build")
        report = worker.Reporter(jobs, job_id)
        report.flush()
        report(Progress("maps", 1, 2))
        jobs.cancel(job_id, "somebody")
        report.flush()
        with pytest.raises(Cancelled):
            report(Progress("maps", 2, 2))


def test_a_worker_runs_jobs_in_order_and_reports_progress(jobs, start):
    first, last = submit(jobs, "answer", n=1), submit(jobs, "work")
    start()
    seen = wait_for(lambda: (job := jobs.get(last)).done > 0 and job)
    assert (seen.state, seen.stage, seen.total) == ("running", "maps", 10_000)
    assert jobs.get(first).result["n"] == 1


def test_a_cancelled_job_stops_and_the_next_one_runs(jobs, start):
    job_id = submit(jobs, "work")
    start()
    wait_for(lambda: jobs.get(job_id).done > 0)
    jobs.cancel(job_id, "somebody")
    next_id = submit(jobs, "answer")
    wait_for(lambda: jobs.get(next_id).state == "done")
    assert jobs.get(job_id).state == "cancelled"


def test_terminated_in_a_job_it_leaves_promptly_and_whole(store, jobs, start):
    job_id = submit(jobs, "unfinished")
    child = start()
    wait_for((store.root / "begun").exists)
    child.send_signal(signal.SIGTERM)
    assert child.wait(5) == 0
    assert jobs.get(job_id).state == "interrupted"
    assert list((store.root / "tmp").iterdir()) == []


def test_terminated_while_it_loads_a_model_it_leaves(store, jobs, start):
    job_id = submit(jobs, "guarded")
    child = start()
    wait_for((store.root / "begun").exists)
    child.send_signal(signal.SIGTERM)
    assert child.wait(5) == 0
    assert jobs.get(job_id).state == "interrupted"


def test_terminated_while_idle_it_leaves_promptly(store, start):
    child = start()
    wait_for((store.root / "heartbeat-build").exists)
    child.send_signal(signal.SIGTERM)
    assert child.wait(5) == 0


def test_a_job_left_by_a_killed_worker_is_interrupted(jobs, start):
    job_id = submit(jobs, "work")
    jobs.claim("build")
    start()
    wait_for(lambda: jobs.get(job_id).state == "interrupted")


def test_a_new_worker_cleans_up_after_broken_writes(store, start):
    leftover = store.root / "tmp" / "leftover"
    leftover.touch()
    os.utime(leftover, (1, 1))
    start()
    wait_for(lambda: not leftover.exists())


def test_without_its_parent_it_leaves(store, start):
    child = start("--parent", "1")
    assert child.wait(10) == 0


def test_a_folder_that_cannot_be_used_is_named(store, start):
    (store.root / "schema").write_text("99")
    child = start()
    assert child.wait(10) == 1
    assert "schema '99'" in child.stderr.read()
