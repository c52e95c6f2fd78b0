"""Which kinds of jobs there are, who does each, and in which lane it waits. Imports nothing heavy.

Each lane has its own queue and its own worker process, so that a text that somebody has just typed
never waits for a build of an hour. A new kind is one line in `KINDS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import JobError


@dataclass(frozen=True)
class Lane:
    """One queue with the worker process that serves it.

    Parameters
    ----------
    job_limit_s : what one job may take before it is ended.
    max_queued : how many jobs may wait.
    max_queued_each : how many of these may be of one owner: nobody fills the queue alone.
    """

    job_limit_s: float
    max_queued: int = 32
    max_queued_each: int = 10

    def check_room(self, waiting: Sequence[tuple[str, ...]], owner: str) -> None:
        """Refuse one more job where too many wait.

        Parameters
        ----------
        waiting : the owners of each job that waits.

        Raises
        ------
        JobError
            says how many wait.
        """
        own = sum(owner in owners for owners in waiting)
        for count, most, whose in (
            (len(waiting), self.max_queued, ""), (own, self.max_queued_each, " of yours"),
        ):  # fmt: skip
            if count >= most:
                raise JobError(
                    f"{count} jobs{whose} wait already, at most {most} may; try again when one "
                    "has ended, or cancel one"
                )


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    Parameters
    ----------
    runner : "module:name" of what does it, imported by the worker at the first job: a function
        `(spec, store, report) -> result` between plain JSON and plain JSON, or a class that is made
        once and then called in the same way: what it holds stays warm from job to job.
    lane : where it waits.
    """

    runner: str
    lane: str


LANES = {
    # A build of the largest corpus on the slowest machine takes less.
    "build": Lane(job_limit_s=24 * 3600.0),
    "live": Lane(job_limit_s=10 * 60.0),
}
KINDS = {
    "build": Kind("pipeline.build:run_build", "build"),
    "live": Kind("pipeline.live_runner:LiveRunner", "live"),
    "weights": Kind("pipeline.weight_stage:run_weights", "live"),
    "reproject": Kind("pipeline.reproject:run_reproject", "live"),
    "warm": Kind("pipeline.live_runner:LiveRunner", "live"),
}


def find_kind(name: str) -> Kind:
    """Return a kind by name.

    Raises
    ------
    JobError
        if there is no such kind.
    """
    if name not in KINDS:
        raise JobError(f"job kind {name!r}: expected one of {', '.join(KINDS)}")
    return KINDS[name]


def heartbeat_path(root: Path, lane: str) -> Path:
    """Return the file in a cache folder whose time tells that the worker of a lane lives."""
    return root / f"heartbeat-{lane}"


def log_path(root: Path, lane: str) -> Path:
    """Return the file in a cache folder to which the worker of a lane writes."""
    return root / f"worker-{lane}.log"
