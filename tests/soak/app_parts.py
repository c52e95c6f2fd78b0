"""Figures 8, 9 and E8: the whole program is ended, loses its web process, is clicked at."""

from __future__ import annotations

import http.client
import json
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.jobs import JobRecord, JobTable
from pipeline.kinds import LANES
from pipeline.store import Store
from tests.soak.common import Figure, Place, begun, ended, kill, wait_for
from tests.soak.process_parts import worker_pids
from tests.soak.request_parts import CALLBACKS, body_of

VISITORS = 10
MAX_QUEUED, MAX_QUEUED_EACH = LANES["build"].max_queued, LANES["build"].max_queued_each


class Program:
    """A running dashboard."""

    def __init__(self, place: Place) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._place = place
        environment = {"QKATLAS_PORT": str(self.port), "QKATLAS_SAMPLE": "0"}
        with (place.folder / "app.log").open("ab") as log:
            self.process = place.start("-m", "app", stderr=log, more=environment)

    def ask(self, path: str, *, body: Any = None, visitor: int = 1) -> tuple[int, bytes]:
        """Ask from an address of its own for each visitor."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=30, source_address=(f"127.0.0.{visitor}", 0)
        )
        try:
            method, text = ("GET", None) if body is None else ("POST", json.dumps(body))
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def is_up(self) -> bool:
        """Tell whether it answers."""
        try:
            return self.ask("/healthz")[0] == 200
        except OSError:
            return False

    def web_pid(self) -> int | None:
        """Return the process that answers: the child of the one that we started."""
        found = [
            pid for pid, command in self._place.processes().items()
            if command.endswith("-m app ") and pid != self.process.pid
        ]  # fmt: skip
        return found[0] if found else None


@contextmanager
def program(place: Place) -> Iterator[Program]:
    """Run the dashboard until the block ends."""
    running = Program(place)
    try:
        assert wait_for(running.is_up)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(30)


def ends(place: Place, count: int) -> list[Figure]:
    """End the program at random moments, kindly and by force; nothing may outlive it."""
    rng = random.Random(0)
    jobs = JobTable(Store(place.cache))
    worst_s, orphans, wrong = 0.0, 0, 0
    n_forced = max(1, count // 10)
    for number in range(count + n_forced):
        job = jobs.submit("build", place.spec(seed=number, methods=("tsne",)).to_json(), "me")
        running = Program(place)
        if number % 5:  # the others are ended while they start
            begun(jobs, job.id)
        time.sleep(rng.uniform(0, 2.0))
        began_s = time.monotonic()
        running.process.send_signal(signal.SIGKILL if number >= count else signal.SIGTERM)
        if running.process.wait(30) != 0 and number < count and number % 5:
            wrong += 1
        left = not wait_for(lambda: not place.processes(), 20)
        worst_s = max(worst_s, time.monotonic() - began_s)
        orphans += left
        wrong += _state(jobs, job) == "running" and number < count
        place.end_all()
        jobs.interrupt_running("build")
        jobs.cancel(job.id, "me")
    return [
        Figure("8", f"SIGTERM at {count} moments, SIGKILL at {n_forced}: worst end of all",
               "<= 10 s", f"{worst_s:.1f} s", worst_s <= 10),
        Figure("8", "the same: orphans; jobs or exit statuses left wrong", "0; 0",
               f"{orphans}; {wrong}", not orphans and not wrong),
    ]  # fmt: skip


def web_deaths(place: Place, count: int) -> list[Figure]:
    """Kill the process that answers while a job runs; the job must not notice."""
    rng = random.Random(0)
    jobs = JobTable(Store(place.cache))
    lost, unanswered, worst_s = 0, 0, 0.0
    with program(place) as running:
        for number in range(count):
            job = jobs.submit("build", place.spec(seed=number).to_json(), "me")
            begun(jobs, job.id)
            time.sleep(rng.uniform(0, 1.0))
            web = running.web_pid()
            assert web
            kill(web)
            began_s = time.monotonic()
            unanswered += not wait_for(running.is_up)
            worst_s = max(worst_s, time.monotonic() - began_s)
            found = ended(jobs, job.id)
            lost += found is None or found.state != "done"
    return [Figure("E8", f"web process killed in {count} jobs: jobs lost; not back; slowest",
                   "0; 0", f"{lost}; {unanswered}; {worst_s:.1f} s",
                   not lost and not unanswered)]  # fmt: skip


def clicks(place: Place, count: int) -> list[Figure]:
    """Click `count` times within two seconds, from ten addresses, each for another build."""
    for number in range(count + 1):
        text = place.corpus.read_text() + f"\nthe cat sat on the hill {number}"
        (place.folder / f"corpus-{number}.txt").write_text(text)
    jobs = JobTable(Store(place.cache))
    with program(place) as running:
        callbacks = json.loads(running.ask("/_dash-dependencies")[1])
        callback = next(c for c in callbacks if c["inputs"][0]["id"] == "build-start")
        alone = _peak_while(place, lambda: _click(running, callback, place, count, 1), jobs, 1)
        answers: list[int] = []
        together = _peak_while(
            place, lambda: answers.extend(_storm(running, callback, place, count)), jobs, 4
        )
        workers = together["workers"]
        is_up = running.is_up()
        for job in jobs.list():
            jobs.cancel(job.id, job.owners[0])
    ratio = together["bytes"] / alone["bytes"]
    return [
        Figure("9", f"{count} clicks in 2 s: workers a lane; memory / that of one job",
               "<= 1; <= 1.3", f"{workers}; {ratio:.2f} ({together['bytes'] / 2**20:.0f} MB)",
               workers <= 1 and ratio <= 1.3),
        Figure("9", "the same: most that waited, of all; of one visitor; answers that were not 200",
               f"<= {MAX_QUEUED}; <= {MAX_QUEUED_EACH}; 0",
               f"{together['queued']}; {together['own']}; "
               f"{sum(status != 200 for status in answers)}",
               together["queued"] <= MAX_QUEUED and together["own"] <= MAX_QUEUED_EACH and is_up
               and set(answers) == {200} and together["queued"] > 0),
    ]  # fmt: skip


def _state(jobs: JobTable, job: JobRecord) -> str:
    found = jobs.get(job.id)
    assert found is not None
    return found.state


def _click(running: Program, callback: Any, place: Place, number: int, visitor: int) -> int:
    values = {
        "build-start": 1, "build-model": "minilm", "build-normalisation": "faithful",
        "build-corpus": str(place.folder / f"corpus-{number}.txt"), "build-methods": ["pca"],
        "build-other-model": "tiny/bert",
    }  # fmt: skip
    return running.ask(CALLBACKS, body=body_of(callback, values.get), visitor=visitor)[0]


def _storm(running: Program, callback: Any, place: Place, count: int) -> list[int]:
    """Click from ten threads, evenly over two seconds."""
    statuses: list[int] = []

    def visitor(one: int) -> None:
        for number in range(one - 1, count, VISITORS):
            statuses.append(_click(running, callback, place, number, one))
            time.sleep(2.0 * VISITORS / count / 2)

    threads = [threading.Thread(target=visitor, args=(one,)) for one in range(1, VISITORS + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def _peak_while(place: Place, act: Any, jobs: JobTable, n_done: int) -> dict[str, int]:
    """Act, then watch memory, workers and queue until so many more jobs are done."""
    peak = {"bytes": 0, "workers": 0, "queued": 0, "own": 0}
    wanted = sum(job.state == "done" for job in jobs.list()) + n_done
    thread = threading.Thread(target=act)
    thread.start()
    end_s = time.monotonic() + 600
    while thread.is_alive() or sum(job.state == "done" for job in jobs.list()) < wanted:
        assert time.monotonic() < end_s, "the builds do not end"
        processes = place.processes()
        workers = max(len(worker_pids(place, lane)) for lane in LANES)
        queued = sum(job.state == "queued" for job in jobs.list())
        own = max(_queued_of(jobs, f"127.0.0.{v}") for v in range(1, VISITORS + 1))
        now = {"bytes": _memory(processes), "workers": workers, "queued": queued, "own": own}
        peak = {name: max(peak[name], value) for name, value in now.items()}
        time.sleep(0.1)
    thread.join()
    return peak


def _queued_of(jobs: JobTable, owner: str) -> int:
    return sum(job.state == "queued" and owner in job.owners for job in jobs.list())


def _memory(processes: dict[int, str]) -> int:
    """Return the bytes that some processes have for themselves, their share of what is shared."""
    total = 0
    for pid in processes:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += 1024 * int(line.split()[1])
        except OSError:
            continue
    return total
