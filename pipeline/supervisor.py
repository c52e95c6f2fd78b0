"""Keeps one worker process alive: starts it, explains its death, ends it. Never imports it.

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
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import StoreError
from pipeline.jobs import RUNNER, JobTable
from pipeline.locks import LockTimeout
from pipeline.store import Store

logger = logging.getLogger(__name__)

POLL_S = 0.2
# A job looks for its cancel in every batch and head; where it cannot (a library is being imported,
# a model loaded), the worker is ended instead: kindly, so that it cleans up, then by force.
CANCEL_PATIENCE_S = 1.0
PATIENCE_S = 10.0
STOP_PATIENCE_S = 4.0
# What a job may take; a build of the largest corpus on the slowest machine takes less.
JOB_LIMIT_S = 24 * 3600.0
# How long a supervisor that stands by leaves the work to another one that has just started.
STANDBY_S = 10.0
HEARTBEAT_AGE_S = 10.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
LOG_LIMIT_BYTES = 5 * 2**20


class Supervisor:
    """A thread that keeps the worker of a store alive as long as its own process lives.

    Of several processes with a supervisor for one store, one has the worker; when that process
    ends, its worker ends with it and another supervisor takes over within a second. Whoever stands
    by leaves the first ten seconds to the others.

    Parameters
    ----------
    store : the jobs to serve; the worker logs to `worker.log` in its folder.
    python : interpreter of the worker.
    runner : "module:function" that does a job; see `pipeline.worker.serve`.
    stands_by : whether another process is expected to have the worker.
    """

    def __init__(
        self, store: Store, *, python: str = sys.executable, runner: str = RUNNER,
        stands_by: bool = False,
    ) -> None:  # fmt: skip
        self._store = store
        self._jobs = JobTable(store)
        self._log = store.root / "worker.log"
        self._command = [
            python, "-m", "pipeline.worker", "--cache", str(store.root), "--runner", runner,
            "--parent", str(os.getpid()),
        ]  # fmt: skip
        self._stands_by = stands_by
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="supervisor", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the worker and all its children; takes at most about ten seconds."""
        self._stopping.set()
        self._thread.join()

    def alive(self) -> bool:
        """Tell whether a worker, of this or another process, showed life in the last 10 s."""
        return time.time() - self._beat_s() < HEARTBEAT_AGE_S

    def _beat_s(self) -> float:
        try:
            return (self._store.root / "heartbeat").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _keep(self) -> None:
        if self._stands_by:
            self._stopping.wait(STANDBY_S)
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            started_s = time.time()
            try:
                with self._store.lock("supervisor", timeout_s=0):
                    self._run_worker()
            except LockTimeout:
                self._stopping.wait(1.0)  # another process has the worker
                continue
            except (StoreError, OSError):
                logger.exception("the worker could not be started or watched")
            if self._beat_s() > started_s:  # it got as far as to work, and may do so again
                pause_s = FIRST_PAUSE_S
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _run_worker(self) -> None:
        """Start a worker, watch it to its end, and say what became of its job."""
        with self._log.open("ab") as log:
            worker = self._spawn(log)
        try:
            while worker.poll() is None and not self._stopping.wait(POLL_S):
                try:
                    self._look_after(worker)
                except (StoreError, OSError) as error:  # no reason to end a worker that works
                    logger.warning("the worker could not be looked after: %s", error)
        finally:
            _end_group(worker)
        if self._stopping.is_set():
            self._jobs.interrupt_running()
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
        job = self._jobs.running()
        if job is None or job.started_s is None:
            return
        waited_s = time.time() - (job.cancel_s or math.inf)
        if time.time() - job.started_s > JOB_LIMIT_S:
            self._jobs.fail(job.id, f"stopped after {JOB_LIMIT_S / 3600:g} hours, the longest that "
                            "a job may take; try a smaller model or fewer inputs")  # fmt: skip
            waited_s = math.inf
        if waited_s > PATIENCE_S:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        elif waited_s > CANCEL_PATIENCE_S:
            worker.terminate()

    def _explain(self, status: int) -> None:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        if status == -signal.SIGKILL:
            how += ", probably out of memory; try a smaller model or fewer inputs"
        else:
            how += "; see worker.log in the cache folder, then try again"
        logger.warning("the worker ended by %s", how)
        job = self._jobs.running()
        if job is None:
            return
        if job.cancel_s is not None:
            self._jobs.mark_cancelled(job.id)
        else:
            self._jobs.fail(job.id, f"the worker ended by {how}")


def main() -> int:
    """Keep the worker of a store until told to stop, or until the parent process is gone."""
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
