"""The queue of jobs and what became of them: rows that survive every process."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from pipeline.errors import JobError
from pipeline.kinds import KINDS, LANES, Lane, find_kind
from pipeline.records import Progress
from pipeline.specs import digest
from pipeline.store import Store
from pipeline.table import Rows

logger = logging.getLogger(__name__)

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]

# An owner whose jobs anybody may cancel.
ANYONE = "anyone"
KEEP_ENDED_S = 7 * 24 * 3600.0
JOB_ID = re.compile(r"[0-9a-f]{32}")
INTERRUPTED = "The program ended while this ran; what is finished is kept. Start it again to go on."


@dataclass(frozen=True)
class JobRecord:
    """One piece of work that somebody asked for.

    Parameters
    ----------
    id : 32 random hex digits.
    key : digest of kind and spec; equal work has an equal key.
    kind, spec : what to do, as plain JSON; see `pipeline.kinds`.
    owners : who asked for it; more than one when somebody joined.
    state : "queued", "running", then "done", "failed", "cancelled" or "interrupted".
    stage, done, total, message : the latest progress; see `pipeline.records.Progress`.
    seconds_left : to the end of the stage at its rate so far; None when not known.
    created_s, started_s, cancel_s, ended_s : Unix times of being submitted, begun, asked to stop,
        ended; None where it has not happened.
    result : plain JSON of a job that is done.
    error : why it failed or was interrupted; empty otherwise.
    """

    id: str
    key: str
    kind: str
    spec: Mapping[str, Any]
    owners: tuple[str, ...]
    state: State
    created_s: float
    stage: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    seconds_left: float | None = None
    started_s: float | None = None
    cancel_s: float | None = None
    ended_s: float | None = None
    result: Mapping[str, Any] | None = None
    error: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it still waits or runs."""
        return self.state in ("queued", "running")

    @property
    def lane(self) -> str:
        """The queue it belongs to."""
        return KINDS[self.kind].lane


class JobTable:
    """The jobs of one store; any process may look and ask, only the workers take jobs.

    Each lane of `pipeline.kinds` is a queue of its own. Unknown ids of the right form give None:
    jobs that ended are forgotten after a week.

    Raises
    ------
    JobError : an id that is not 32 hex digits.
    StoreError : the table cannot be read or written.
    """

    def __init__(self, store: Store) -> None:
        self._table = store.jobs

    def submit(self, kind: str, spec: Mapping[str, Any], owner: str) -> JobRecord:
        """Queue a job, or join an equal one that waits or runs and is not being cancelled.

        Raises
        ------
        JobError : an unknown kind, or too many jobs wait in its lane, of all or of this owner.
        """
        lane = find_kind(kind).lane
        key = _key(kind, spec)

        def action(rows: Rows) -> JobRecord:
            live = _live(rows, lane)
            for job in live:
                if job.key == key and job.cancel_s is None:
                    return _write(rows, replace(job, owners=_joined(job.owners, owner)))
            _check_room(live, owner, LANES[lane])
            job_id = secrets.token_hex(16)
            job = JobRecord(job_id, key, kind, spec, (owner,), "queued", time.time())
            _write(rows, job)
            rows.set(_line(lane), [*(other.id for other in live), job.id])
            return job

        return self._table.change(action)

    def get(self, job_id: str) -> JobRecord | None:
        """Return a job as it is now."""
        return _record(self._table.get(_checked(job_id)))

    def list(self) -> list[JobRecord]:
        """Return all jobs, the oldest first."""
        rows = (self._table.get(name) for name in self._table.names() if JOB_ID.fullmatch(name))
        return [job for row in rows if (job := _record(row)) is not None]

    def running(self, lane: str) -> JobRecord | None:
        """Return the job that the worker of a lane has taken."""
        jobs = (self.get(job_id) for job_id in self._table.get(_line(lane)) or [])
        return next((job for job in jobs if job is not None and job.state == "running"), None)

    def position(self, job_id: str) -> int | None:
        """Count the jobs of its lane that come before a job, the running one included.

        Returns
        -------
        None when it has ended or is not known.
        """
        job = self.get(job_id)
        line = [] if job is None else self._table.get(_line(job.lane)) or []
        return line.index(job_id) if job_id in line else None

    def cancel(self, job_id: str, owner: str) -> JobRecord | None:
        """End a job that waits at once; ask one that runs to stop.

        A job that others asked for as well goes on for them.

        Raises
        ------
        JobError : only others asked for it.
        """
        _checked(job_id)

        def action(rows: Rows) -> JobRecord | None:
            job = _record(rows.get(job_id))
            if job is None or not job.is_live or job.cancel_s is not None:
                return job
            if not {owner, ANYONE} & set(job.owners):
                raise JobError("somebody else asked for this job; only they can cancel it")
            others = tuple(name for name in job.owners if name not in (owner, ANYONE))
            if others:
                return _write(rows, replace(job, owners=others))
            asked = replace(job, cancel_s=time.time())
            return _end(rows, asked, "cancelled") if job.state == "queued" else _write(rows, asked)

        return self._table.change(action)

    def claim(self, lane: str) -> JobRecord | None:
        """Take the job that has waited longest in a lane, unless one of it runs; for its worker."""
        if not self._table.get(_line(lane)):
            return None  # the usual answer, without a transaction

        def action(rows: Rows) -> JobRecord | None:
            live = _live(rows, lane)
            if not live or any(job.state == "running" for job in live):
                return None
            return _write(rows, replace(live[0], state="running", started_s=time.time()))

        return self._table.change(action)

    def update(
        self, job_id: str, progress: Progress, *, seconds_left: float | None
    ) -> JobRecord | None:
        """Note the progress of a running job; tells by `cancel_s` whether it is to stop."""

        def action(rows: Rows) -> JobRecord | None:
            job = _record(rows.get(_checked(job_id)))
            if job is None or job.state != "running":
                return job
            return _write(rows, replace(job, seconds_left=seconds_left, **asdict(progress)))

        return self._table.change(action)

    def finish(self, job_id: str, result: Mapping[str, Any]) -> None:
        """End a running job with its result."""
        self._end_running(job_id, "done", result=result)

    def fail(self, job_id: str, error: str) -> None:
        """End a running job with the reason why it failed."""
        self._end_running(job_id, "failed", error=error)

    def mark_cancelled(self, job_id: str) -> None:
        """End a running job that stopped because it was asked to."""
        self._end_running(job_id, "cancelled")

    def interrupt_running(self, lane: str) -> None:
        """End jobs of a lane that run without a worker, and list anew which wait.

        For the start of its worker.
        """

        def action(rows: Rows) -> None:
            names = [name for name in rows if JOB_ID.fullmatch(name)]
            found = [job for name in names if (job := _record(rows.get(name)))]
            jobs = [job for job in found if job.lane == lane]
            for job in jobs:
                if job.state == "running" and job.cancel_s is not None:
                    _end(rows, job, "cancelled")
                elif job.state == "running":
                    _end(rows, job, "interrupted", error=INTERRUPTED)
            rows.set(_line(lane), [job.id for job in jobs if job.state == "queued"])

        self._table.change(action)

    def _end_running(self, job_id: str, state: State, **fields: Any) -> None:
        def action(rows: Rows) -> None:
            job = _record(rows.get(_checked(job_id)))
            if job is not None and job.state == "running":
                _end(rows, job, state, **fields)

        self._table.change(action)


def _checked(job_id: str) -> str:
    if not JOB_ID.fullmatch(job_id):
        raise JobError(f"job id {job_id!r}: expected 32 hex digits as given by the queue")
    return job_id


def _record(row: Any) -> JobRecord | None:
    """Read a row; one that another version of this program or somebody else wrote is no job."""
    if row is None:
        return None
    try:
        job = JobRecord(**row | {"owners": tuple(row["owners"])})
        is_known = job.state in get_args(State) and job.kind in KINDS
        is_ours = is_known and job.key == _key(job.kind, job.spec)
    except (TypeError, KeyError, ValueError):
        is_ours = False
    if not is_ours:
        logger.warning("left out a row of the job table that is no job of this program")
        return None
    return job


def _key(kind: str, spec: Mapping[str, Any]) -> str:
    return digest({"kind": kind, "spec": spec})


def _joined(owners: tuple[str, ...], owner: str) -> tuple[str, ...]:
    return owners if owner in owners else (*owners, owner)


def _line(lane: str) -> str:
    """Name the row that lists the jobs of a lane which have not ended, as they were submitted."""
    return f"line-{lane}"


def _check_room(live: list[JobRecord], owner: str, lane: Lane) -> None:
    """Refuse one more job where too many wait."""
    waiting = [job for job in live if job.state == "queued"]
    own = sum(owner in job.owners for job in waiting)
    for count, most, whose in (
        (len(waiting), lane.max_queued, ""), (own, lane.max_queued_each, " of yours"),
    ):  # fmt: skip
        if count >= most:
            raise JobError(
                f"{count} jobs{whose} wait already, at most {most} may; try again when one "
                "has ended, or cancel one"
            )


def _live(rows: Rows, lane: str) -> list[JobRecord]:
    jobs = (_record(rows.get(job_id)) for job_id in rows.get(_line(lane)) or [])
    return [job for job in jobs if job is not None]


def _write(rows: Rows, job: JobRecord) -> JobRecord:
    rows.set(job.id, asdict(job))
    return job


def _end(rows: Rows, job: JobRecord, state: State, **fields: Any) -> JobRecord:
    """Write a job's last row, which disappears in a week, and take it off the list."""
    ended = replace(job, state=state, ended_s=time.time(), seconds_left=None, **fields)
    rows.set(job.id, asdict(ended), expire=KEEP_ENDED_S)
    line = _line(job.lane)
    rows.set(line, [job_id for job_id in rows.get(line) or [] if job_id != job.id])
    return ended
