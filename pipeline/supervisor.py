"""Keeps one worker process alive: starts it, explains its death, ends it. Never imports it."""

from __future__ import annotations

import logging
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
PATIENCE_S = 10.0
HEARTBEAT_AGE_S = 10.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
LOG_LIMIT_BYTES = 5 * 2**20


class Supervisor:
    """A thread that keeps the worker of a store alive as long as its own process lives.

    Of several processes with a supervisor for one store, one has the worker; when that process
    ends, its worker ends with it and another supervisor takes over within a second.

    Parameters
    ----------
    store : the jobs to serve; the worker logs to `worker.log` in its folder.
    python : interpreter of the worker.
    runner : "module:function" that does a job; see `pipeline.worker.serve`.
    """

    def __init__(self, store: Store, *, python: str = sys.executable, runner: str = RUNNER) -> None:
        self._store = store
        self._jobs = JobTable(store)
        self._log = store.root / "worker.log"
        self._command = [
            python, "-m", "pipeline.worker", "--cache", str(store.root), "--runner", runner,
            "--parent", str(os.getpid()),
        ]  # fmt: skip
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
        try:
            beat_s = (self._store.root / "heartbeat").stat().st_mtime
        except FileNotFoundError:
            return False
        return time.time() - beat_s < HEARTBEAT_AGE_S

    def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            started_s = time.monotonic()
            try:
                with self._store.lock("supervisor", timeout_s=0):
                    self._run_worker()
            except LockTimeout:
                self._stopping.wait(1.0)  # another process has the worker
                continue
            except (StoreError, OSError):
                logger.exception("the worker could not be started or watched")
            if time.monotonic() - started_s > LONGEST_PAUSE_S:
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
        """Limit the log; end a worker whose job was asked to stop ten seconds ago and has not."""
        if self._log.stat().st_size > LOG_LIMIT_BYTES:
            shutil.copyfile(self._log, self._log.with_suffix(".log.1"))
            os.truncate(self._log, 0)  # the worker appends, so it goes on at the start
        job = self._jobs.running()
        if job is None or job.cancel_s is None:
            return
        if time.time() - job.cancel_s > PATIENCE_S:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()

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


def _end_group(worker: subprocess.Popen[bytes]) -> None:
    """End a worker kindly, then whatever is left of it and its children."""
    worker.terminate()
    with suppress(subprocess.TimeoutExpired):
        worker.wait(PATIENCE_S)
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
