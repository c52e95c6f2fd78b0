"""The process that owns a device: takes the jobs of one lane one by one and runs them.

Started by `pipeline.supervisor`; by hand: `python -m pipeline.worker --cache FOLDER --lane build`.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import math
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.errors import Cancelled, PipelineError, StoreError
from pipeline.jobs import JobRecord, JobTable
from pipeline.kinds import KINDS, LANES, heartbeat_path, log_path
from pipeline.records import Progress
from pipeline.store import Store

logger = logging.getLogger(__name__)

Report = Callable[[Progress], None]
Runner = Callable[[dict[str, Any], Store, Report], dict[str, Any]]

# Also the shortest time between two writes of progress: at most four a second.
PULSE_S = 0.25
PATIENCE_S = 10.0
JANITOR_EVERY_S = 3600.0
CLEANS = "build"  # the lane whose worker lets the janitor in
# How long an idle worker keeps what its jobs have loaded; then a small one takes its place.
KEEP_WARM_S = 1800.0
# How soon a waiting job is seen: somebody may be looking on.
LOOK_EVERY_S = 0.1
# A worker before this one may need as long as that to end.
TAKE_OVER_S = 15.0


class Terminated(SystemExit):
    """Raised in the main thread by SIGTERM; nothing that a job catches holds it up."""


class Reporter:
    """The `report` of one job: the job calls it as often as it likes, the pulse writes.

    The job itself never waits for the table; the last value wins.
    """

    def __init__(self, jobs: JobTable, job_id: str) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self._stop = False
        self._stage = ""
        self._stage_began = (0.0, 0)
        self._latest: tuple[Progress, float | None] | None = None
        self._written: tuple[Progress, float | None] | None = None

    def __call__(self, progress: Progress) -> None:
        """Take note of progress.

        Raises
        ------
        Cancelled : the job is to stop.
        """
        if self._stop:
            raise Cancelled("stopped as asked; what was finished is kept")
        now_s = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._stage_began = progress.stage, (now_s, progress.done)
        began_s, began_done = self._stage_began
        rate = (progress.done - began_done) / max(now_s - began_s, 1e-9)
        seconds_left = (progress.total - progress.done) / rate if rate > 0 else None
        self._latest = progress, seconds_left

    def flush(self) -> None:
        """Write what is new, and see whether the job is to stop."""
        latest = self._latest
        if latest is None or latest is self._written:
            job = self._jobs.get(self._job_id)
        else:
            job = self._jobs.update(self._job_id, latest[0], seconds_left=latest[1])
            self._written = latest
        self._stop = job is None or job.state != "running" or job.cancel_s is not None


class Pulse(threading.Thread):
    """A thread that shows life, carries progress, and ends the process when its parent is gone.

    Parameters
    ----------
    heartbeat : the file that is touched at every beat.
    parent_pid : process that must live; None for a worker started by hand.
    """

    def __init__(self, heartbeat: Path, parent_pid: int | None) -> None:
        super().__init__(name="pulse", daemon=True)
        self._heartbeat = heartbeat
        self._parent_pid = parent_pid
        self.reporter: Reporter | None = None

    def run(self) -> None:
        """Beat until the process ends."""
        while True:
            if self._parent_pid not in (None, os.getppid()):
                _leave_alone()
            try:
                self._heartbeat.touch()
                if (reporter := self.reporter) is not None:
                    reporter.flush()
            except (StoreError, OSError) as error:
                logger.warning("progress not written: %s", error)
            time.sleep(PULSE_S)


class Runners:
    """What does the jobs: imported at the first job of its kind, so that an idle worker is small.

    Parameters
    ----------
    only : "module:name" that does every job, instead of what `pipeline.kinds` says; for tests.
    """

    def __init__(self, only: str | None = None) -> None:
        self._only = only
        self._made: dict[str, Runner] = {}

    def of(self, kind: str) -> Runner:
        """Return what does a kind of job."""
        name = self._only or KINDS[kind].runner
        if name not in self._made:
            module, _, attribute = name.partition(":")
            found = getattr(importlib.import_module(module), attribute)
            self._made[name] = found() if isinstance(found, type) else found
        return self._made[name]


def serve(store: Store, lane: str, runners: Runners, pulse: Pulse) -> None:
    """Run the jobs of a lane until none has come for half an hour after the last.

    The janitor comes at the start and once an hour between jobs. A worker that has not had a job
    yet holds nothing that could be given back, and stays.
    """
    jobs = JobTable(store)
    jobs.interrupt_running(lane)
    pulse.start()
    visit_s, last_job_s = -JANITOR_EVERY_S, math.inf
    while time.monotonic() - last_job_s < KEEP_WARM_S:
        if lane == CLEANS and time.monotonic() - visit_s > JANITOR_EVERY_S:
            _clean(store)
            visit_s = time.monotonic()
        job = jobs.claim(lane)
        if job is None:
            time.sleep(LOOK_EVERY_S)
            continue
        pulse.reporter = Reporter(jobs, job.id)
        _run_job(job, store, jobs, runners, pulse.reporter)
        pulse.reporter = None
        last_job_s = time.monotonic()


def _clean(store: Store) -> None:
    """Let the janitor in; that it fails is no reason to run no jobs."""
    try:
        store.janitor()
    except (StoreError, OSError) as error:
        logger.warning("the janitor did not finish: %s", error)


def _run_job(
    job: JobRecord, store: Store, jobs: JobTable, runners: Runners, report: Reporter
) -> None:
    """Run one job and write how it ended; whatever it raises stays here."""
    started_s = time.monotonic()
    try:
        result = runners.of(job.kind)(dict(job.spec), store, report)
        report.flush()
        jobs.finish(job.id, result)
    except Terminated:
        raise
    except Cancelled:
        jobs.mark_cancelled(job.id)
    except PipelineError as error:
        jobs.fail(job.id, str(error))
    except BaseException:  # the worker's border; native code may raise more than Exception
        error_id = secrets.token_hex(4)
        logger.exception("internal error %s in job %s", error_id, job.id)
        log = log_path(store.root, job.lane).name
        jobs.fail(job.id, f"internal error {error_id}, see {log} in the cache folder")
    logger.info("job %s (%s) ended after %.1f s", job.id, job.kind, time.monotonic() - started_s)


def main() -> int:
    """Serve a store until told to stop; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.worker", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder of the store")
    parser.add_argument("--lane", choices=LANES, required=True, help="whose jobs to do")
    parser.add_argument("--runner", help="module:name that does every job; for tests")
    parser.add_argument("--parent", type=int, help="process whose end also ends this one")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _terminate)
    try:
        store = Store(options.cache)
        pulse = Pulse(heartbeat_path(store.root, options.lane), options.parent)
        with store.lock(f"worker-{options.lane}", timeout_s=TAKE_OVER_S):
            try:
                serve(store, options.lane, Runners(options.runner), pulse)
            except Terminated:
                JobTable(store).interrupt_running(options.lane)
    except Terminated:
        pass
    except StoreError as error:
        logger.error("%s", error)
        return 1
    return 0


def _terminate(number: int, frame: FrameType | None) -> None:
    """Unwind the main thread, children first, so that no pool waits for its work."""
    for other in (signal.SIGTERM, signal.SIGINT):
        signal.signal(other, signal.SIG_IGN)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGTERM)
    raise Terminated


def _leave_alone() -> None:
    """End this process as its supervisor would: kindly, then by force."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_S)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
