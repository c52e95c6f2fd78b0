"""Starts builds of atlases and follows them. Never imports torch: the worker does the jobs."""

from __future__ import annotations

from pipeline.corpora import load_corpus
from pipeline.errors import JobError
from pipeline.jobs import JobRecord, JobTable
from pipeline.specs import AtlasSpec

BUILD = "build"


class Builds:
    """The builds of one store.

    Parameters
    ----------
    jobs : its queue.
    """

    def __init__(self, jobs: JobTable) -> None:
        self._jobs = jobs

    def start(self, spec: AtlasSpec, *, owner: str) -> JobRecord:
        """Queue a build, or join an equal one.

        Raises
        ------
        InputError
            if the corpus cannot be read.
        JobError
            if too many jobs wait.
        """
        load_corpus(spec.corpus, column=spec.column)
        return self._jobs.submit(BUILD, spec.to_json(), owner)

    def start_again(self, job_id: str, *, owner: str) -> JobRecord:
        """Queue a build like one that ended; what that one had finished is not computed again.

        Raises
        ------
        JobError
            if there is no such job, or too many wait.
        """
        job = self._jobs.get(job_id)
        if job is None or job.kind != BUILD:
            raise JobError("this build is not known any more; start it from the build page")
        return self.start(AtlasSpec.from_json(job.spec), owner=owner)

    def job(self, job_id: str) -> JobRecord | None:
        """Return a job as it is now."""
        return self._jobs.get(job_id)

    def position(self, job_id: str) -> int | None:
        """Return how many jobs come before this one; None when it has ended."""
        return self._jobs.position(job_id)

    def cancel(self, job_id: str, *, owner: str) -> JobRecord | None:
        """Ask a job to stop; it goes on for others who asked for it.

        Raises
        ------
        JobError
            if only others asked for it.
        """
        return self._jobs.cancel(job_id, owner)

    def seconds_per_head(self, usual: float) -> float:
        """Return what a head cost in the last build that made maps, or what is usual."""
        for job in self._newest():
            maps_s = ((job.result or {}).get("seconds") or {}).get("maps", 0)
            n_heads = sum(map(len, (job.result or {}).get("scale") or []))
            if maps_s > 1 and n_heads:
                return float(maps_s) / n_heads
        return usual

    def last(self, model: str, corpus: str) -> JobRecord | None:
        """Return the newest build of a model and a corpus, whatever became of it."""
        for job in self._newest():
            if (job.spec.get("model"), job.spec.get("corpus")) == (model, corpus):
                return job
        return None

    def _newest(self) -> list[JobRecord]:
        """Return all builds, the newest first."""
        return [job for job in reversed(self._jobs.list()) if job.kind == BUILD]
