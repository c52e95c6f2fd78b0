"""Figures 5, 7 and the resumed build: equal requests, dead workers, a build that goes on."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.jobs import JobRecord, JobTable
from pipeline.store import Store
from tests.soak.common import Figure, Place, begun, ended, kill, wait_for

# Builds as the worker does, and counts how often a model was really run.
BUILD = """
import os, sys, json
from pathlib import Path
from pipeline import extract
from pipeline.build import run_build
from pipeline.store import Store
real, root = extract.extract, Path(os.environ["QKATLAS_CACHE"])
def counted(*args, **options):
    with (root.parent / "computed").open("a") as file:
        file.write("x")
    return real(*args, **options)
extract.extract = counted
print("ready", flush=True)
sys.stdin.readline()
print(run_build(json.loads(sys.argv[1]), Store(root), lambda _: None)["atlas"], flush=True)
"""
MESSAGE = "the worker ended by signal 9, probably out of memory"


def equal_requests(place: Place, count: int) -> list[Figure]:
    """Ask for the same atlas from `count` processes at once; count the computations."""
    store = Store(place.cache)
    jobs = [JobTable(store).submit("build", place.spec().to_json(), f"visitor {i}")
            for i in range(count)]  # fmt: skip
    answers = _build_at_once(place, count, seed=0)
    computed = _computed(place)
    return [
        Figure("5", f"{count} equal cold requests: jobs", "1", str(len({job.id for job in jobs})),
               len({job.id for job in jobs}) == 1),
        Figure("5", f"{count} processes build the same at once: computations; answers", "1; 1",
               f"{computed}; {len(set(answers))}", computed == 1 and len(set(answers)) == 1),
    ]  # fmt: skip


def killed_holders(place: Place, count: int) -> list[Figure]:
    """Kill the process that captures while others wait for the same; all must be served."""
    forks = place.start("-m", "tests.soak.forks", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert forks.stdin
    assert forks.stdout
    rng = random.Random(0)
    unserved, slowest_s = 0, 0.0
    for seed in range(count):
        spec = json.dumps(place.spec(seed=seed).to_json())
        forks.stdin.write(f"{rng.uniform(0, 0.4)} {spec}\n".encode())
        forks.stdin.flush()
        answer = json.loads(forks.stdout.readline())
        unserved += answer["unserved"]
        slowest_s = max(slowest_s, answer["seconds"])
    forks.communicate()
    left = Store(place.cache).records("capture")
    return [
        Figure("5", f"{count} killed holders, 3 others waiting each: callers not served", "0",
               f"{unserved} of {3 * count} (slowest {slowest_s:.1f} s)",
               unserved == 0 and len(left) == count),
    ]  # fmt: skip


def dead_workers(place: Place, count: int) -> list[Figure]:
    """Kill the worker while it builds, again and again; each time that must be said soon."""
    rng = random.Random(0)
    store = Store(place.cache)
    jobs, worst_s, right = JobTable(store), 0.0, 0
    with supervisor(place):
        for number in range(count):
            job_id = jobs.submit("build", place.spec(seed=number).to_json(), "me").id
            assert begun(jobs, job_id)
            time.sleep(rng.uniform(0, 1.0))
            pid = worker_pid(place)
            if pid is None or _job(jobs, job_id).state != "running":
                continue
            kill(pid)
            killed_s = time.monotonic()
            job = ended(jobs, job_id)
            worst_s = max(worst_s, time.monotonic() - killed_s)
            right += job is not None and (job.state, job.error[: len(MESSAGE)]) == (
                "failed", MESSAGE,
            )  # fmt: skip
        last = jobs.submit("build", place.spec(seed=count + 1).to_json(), "me").id
        done = (found := ended(jobs, last)) and found.state == "done"
    running = jobs.running("build")
    return [
        Figure("7", f"worker killed in a job, {count} times: right message, slowest", "< 5 s; all",
               f"{worst_s:.2f} s; {right} of {count}", worst_s < 5 and right == count),
        Figure("7", "the same: jobs that still seem to run; the next job is done", "0; yes",
               f"{int(running is not None)}; {'yes' if done else 'no'}",
               running is None and bool(done)),
    ]  # fmt: skip


def cancels(place: Place, count: int) -> list[Figure]:
    """Cancel builds at random moments; nothing is left behind and the next one runs."""
    rng = random.Random(0)
    store = Store(place.cache)
    jobs, slowest_s = JobTable(store), [0.0]
    orphans = 0
    with supervisor(place):
        for number in range(count):
            spec = place.spec(seed=number, methods=("pca", "tsne"), dims=(2, 3))
            job_id = jobs.submit("build", spec.to_json(), "me").id
            assert begun(jobs, job_id)
            time.sleep(rng.uniform(0, 6.0))
            jobs.cancel(job_id, "me")
            began_s = time.monotonic()
            job = ended(jobs, job_id)
            if job and job.state == "cancelled":
                slowest_s.append(time.monotonic() - began_s)
            orphans += not wait_for(lambda: not _pool(place), 10)
    return [Figure("E6", f"{count} cancels ({len(slowest_s) - 1} in time): slowest; orphans",
                   "<= 2 s; 0", f"{max(slowest_s):.2f} s; {orphans}",
                   max(slowest_s) <= 2 and not orphans and len(slowest_s) > 1)]  # fmt: skip


def resumed(place: Place, count: int) -> list[Figure]:
    """Kill everything in the middle of the maps, start again, count what is computed twice."""
    again = lost = wrong_states = 0
    for number in range(count):
        store = Store(place.cache)
        jobs = JobTable(store)
        spec = place.spec(seed=number, methods=("pca", "tsne"), dims=(2, 3)).to_json()
        with supervisor(place):
            job_id = jobs.submit("build", spec, "me").id
            _wait_for_heads(store, 2 + 32 * number)
            place.end_all()
        wait_for(lambda: not place.processes(), 10)
        finished = {path: path.stat().st_mtime_ns for path in _head_records(store)}
        with supervisor(place):
            job = ended(jobs, job_id)
            wrong_states += job is None or job.state != "interrupted"
            next_id = jobs.submit("build", spec, "me").id
            job = ended(jobs, next_id)
        after = {path: path.stat().st_mtime_ns for path in _head_records(store)}
        again += sum(after.get(path) != time_ns for path, time_ns in finished.items())
        lost += job is None or job.state != "done"
    return [
        Figure("8b", f"kill -9 of everything in the maps stage, {count} times: maps made twice",
               "0", str(again), again == 0),
        Figure("8b", "the same: jobs not `interrupted`; builds not finished afterwards", "0; 0",
               f"{wrong_states}; {lost}", not wrong_states and not lost),
    ]  # fmt: skip


@contextmanager
def supervisor(place: Place) -> Iterator[int]:
    """Run the real supervisor as a program; gives its process id."""
    log = (place.folder / "supervisor.log").open("ab")
    child = place.start("-m", "pipeline.supervisor", "--cache", str(place.cache), stderr=log)
    try:
        yield child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)
        log.close()


def worker_pid(place: Place) -> int | None:
    """Return the process id of the worker that builds."""
    found = worker_pids(place, "build")
    return found[0] if found else None


def worker_pids(place: Place, lane: str) -> list[int]:
    """Return the process ids of the workers of a lane."""
    start = f"-m pipeline.worker --cache {place.cache} --lane {lane} "
    return [pid for pid, command in place.processes().items() if start in command]


def _pool(place: Place) -> list[str]:
    return [line for line in place.processes().values() if "multiprocessing.spawn" in line]


def _job(jobs: JobTable, job_id: str) -> JobRecord:
    job = jobs.get(job_id)
    assert job is not None
    return job


def _head_records(store: Store) -> list[Path]:
    paths = list(store.root.glob("records/*/*.json"))
    return [path for path in paths if b'"kind": "head"' in path.read_bytes()]


def _wait_for_heads(store: Store, count: int) -> None:
    assert wait_for(lambda: len(_head_records(store)) > count)


def _caller(place: Place, seed: int) -> Any:
    spec = json.dumps(place.spec(seed=seed).to_json())
    caller = place.start("-c", BUILD, spec, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert caller.stdout
    assert caller.stdout.readline() == b"ready\n"
    return caller


def _build_at_once(place: Place, count: int, *, seed: int) -> list[bytes]:
    callers = [_caller(place, seed) for _ in range(count)]
    for caller in callers:
        caller.stdin.write(b"go\n")
        caller.stdin.flush()
    return [caller.communicate(timeout=600)[0].strip() for caller in callers]


def _computed(place: Place) -> int:
    path = place.folder / "computed"
    return len(path.read_text()) if path.exists() else 0
