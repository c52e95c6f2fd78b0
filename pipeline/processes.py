"""Spawned one-thread processes that end with the one that started them, whatever becomes of it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

from pipeline.errors import JobError

PR_SET_PDEATHSIG = 1  # of prctl(2)


@contextmanager
def spawned(n_workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give spawned one-thread processes; none is left when the block is left by an error."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n_workers, mp_context=context, initializer=_one_thread)
    try:
        yield pool
        pool.shutdown()
    except BrokenProcessPool as error:
        raise JobError(
            "a projection process ended unexpectedly, probably out of memory; what is finished is "
            "kept. Close other programs and build again"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


def _one_thread() -> None:
    """Threads inside a head scale badly; one process a core does not."""
    # Linux ends the process with the thread that started it, here the main one: killed for memory,
    # that cannot do it itself. What ended before we asked sends nothing any more.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid != os.getppid():
        os._exit(1)
    threadpool_limits(1)
    os.nice(5)  # the page stays quick while heads are computed
