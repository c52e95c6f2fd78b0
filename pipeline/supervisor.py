"""Keeps one worker process a lane alive: starts it, explains its death, ends it. Never imports it.

As a program of its own, `python -m pipeline.supervisor --cache FOLDER`, it outlives the processes
that serve the web, and ends with the program that started it.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import StoreError
from pipeline.jobs import JobTable
from pipeline.kinds import LANES, heartbeat_path, log_path
from pipeline.locks import LockTimeout
from pipeline.store import Store

logger = logging.getLogger(__name__)

POLL_S = 0.2
# A job looks for its cancel in every batch and head; where it cannot (a library is being imported,
# a model loaded), the worker is ended instead: kindly, so that it cleans up, then by force.
CANCEL_PATIENCE_S = 1.0
PATIENCE_S = 10.0
STOP_PATIENCE_S = 4.0
# How long a supervisor that stands by leaves the work to another one that has just started.
STANDBY_S = 10.0
HEARTBEAT_AGE_S = 10.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
LOG_LIMIT_BYTES = 5 * 2**20


class Supervisor:
    """Threads that keep the workers of a store alive as long as their own process lives.

    Of several processes with a supervisor for one store, one has the worker of a lane; when that
    process ends, its worker ends with it and another supervisor takes over within a second. Whoever
    stands by leaves the first ten seconds to the others.

    Parameters
    ----------
    store : the jobs to serve; the worker of a lane logs to `worker-LANE.log` in its folder.
    lanes : which lanes to serve; see `pipeline.kinds`.
    python : interpreter of the workers.
    runner : "module:name" that does every job, instead of what `pipeline.kinds` says; for tests.
    stands_by : whether another process is expected to have the workers.
    """

    def __init__(
        self, store: Store, *, lanes: Sequence[str] = tuple(LANES), python: str = sys.executable,
        runner: str | None = None, stands_by: bool = False,
    ) -> None:  # fmt: skip
        only = () if runner is None else ("--runner", runner)
        commands = {lane: [
            python, "-m", "pipeline.worker", "--cache", str(store.root), "--lane", lane,
            "--parent", str(os.getpid()), *only,
        ] for lane in lanes}  # fmt: skip
        self._keepers = [
            Keeper(store, lane, command, stands_by=stands_by) for lane, command in commands.items()
        ]

    def start(self) -> None:
        """Begin; returns at once."""
        for keeper in self._keepers:
            keeper.start()

    def stop(self) -> None:
        """End the workers and all their children; takes at most about ten seconds."""
        for keeper in self._keepers:
            keeper.stopping.set()
        for keeper in self._keepers:
            keeper.join()

    def alive(self) -> bool:
        """Tell whether the workers, of this or another process, showed life in the last 10 s."""
        return all(time.time() - keeper.beat_s() < HEARTBEAT_AGE_S for keeper in self._keepers)


class Keeper(threading.Thread):
    """The thread that keeps the worker of one lane; see `Supervisor`.

    `stopping` tells it to end.
    """

    def __init__(self, store: Store, lane: str, command: list[str], *, stands_by: bool) -> None:
        super().__init__(name=f"keeper of {lane}", daemon=True)
        self.stopping = threading.Event()
        self._store = store
        self._lane = lane
        self._command = command
        self._stands_by = stands_by
        self._jobs = JobTable(store)
        self._log = log_path(store.root, lane)

    def beat_s(self) -> float:
        """Return when a worker of this lane showed life last, 0 for never."""
        try:
            return heartbeat_path(self._store.root, self._lane).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def run(self) -> None:
        """Keep a worker until told to stop."""
        if self._stands_by:
            self.stopping.wait(STANDBY_S)
        pause_s = FIRST_PAUSE_S
        while not self.stopping.is_set():
            started_s = time.time()
            try:
                with self._store.lock(f"supervisor-{self._lane}", timeout_s=0):
                    self._run_worker()
            except LockTimeout:
                self.stopping.wait(1.0)  # another process has the worker
                continue
            except (StoreError, OSError):
                logger.exception("the worker could not be started or watched")
            if self.beat_s() > started_s:  # it got as far as to work, and may do so again
                pause_s = FIRST_PAUSE_S
            self.stopping.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _run_worker(self) -> None:
        """Start a worker, watch it to its end, and say what became of its job."""
        with self._log.open("ab") as log:
            worker = self._spawn(log)
        try:
            while worker.poll() is None and not self.stopping.wait(POLL_S):
                try:
                    self._look_after(worker)
                except (StoreError, OSError) as error:  # no reason to end a worker that works
                    logger.warning("the worker could not be looked after: %s", error)
        finally:
            _end_group(worker)
        if self.stopping.is_set():
            self._jobs.interrupt_running(self._lane)
        else:
            self._explain(worker.returncode)

    def _spawn(self, log: BinaryIO) -> subprocess.Popen[bytes]:
        # A program of its own, never a fork of this process: its threads and locks would be
        # copied in whatever state they are.
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=Path(__file__).parents[1],
            process_group=0,
        )  # fmt: skip

    def _look_after(self, worker: subprocess.Popen[bytes]) -> None:
        """Limit the log; end a worker whose job does not stop when asked, or never ends."""
        if self._log.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(self._log, self._log.with_suffix(".log.1"))
            os.truncate(self._log, 0)  # the worker appends, so it goes on at the start
        job = self._jobs.running(self._lane)
        if job is None or job.started_s is None:
            return
        waited_s = time.time() - (job.cancel_s or math.inf)
        limit_s = LANES[self._lane].job_limit_s
        if time.time() - job.started_s > limit_s:
            limit = f"{limit_s / 3600:g} hours" if limit_s >= 3600 else f"{limit_s / 60:g} minutes"
            self._jobs.fail(job.id, f"stopped after {limit}, the longest that such a job may take; "
                            "try a smaller model or fewer inputs")  # fmt: skip
            waited_s = math.inf
        if waited_s > PATIENCE_S:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        elif waited_s > CANCEL_PATIENCE_S:
            worker.terminate()

    def _explain(self, status: int) -> None:
        job = self._jobs.running(self._lane)
        if status == 0 and job is None:
            return  # it gave back what it had loaded; a small one takes its place
        how = f"signal {-status}" if status < 0 else f"status {status}"
        if status == -signal.SIGKILL:
            how += ", probably out of memory; try a smaller model or fewer inputs"
        else:
            how += f"; see {self._log.name} in the cache folder, then try again"
        logger.warning("the worker ended by %s", how)
        if job is None:
            return
        if job.cancel_s is not None:
            self._jobs.mark_cancelled(job.id)
        else:
            self._jobs.fail(job.id, f"the worker ended by {how}")


def main() -> int:
    """Keep the workers of a store until told to stop, or until the parent process is gone."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.supervisor", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder of the store")
    parser.add_argument("--parent", type=int, help="process whose end also ends this one")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    supervisor = Supervisor(Store(options.cache))
    supervisor.start()
    while not stopping.wait(POLL_S) and options.parent in (None, os.getppid()):
        pass
    supervisor.stop()
    return 0


def _end_group(worker: subprocess.Popen[bytes]) -> None:
    """End a worker kindly, then whatever is left of it and its children."""
    worker.terminate()
    with suppress(subprocess.TimeoutExpired):
        worker.wait(STOP_PATIENCE_S)
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


if __name__ == "__main__":
    sys.exit(main())
