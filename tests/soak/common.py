"""What the parts share: figures, children that can be found again, tiny models."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.jobs import JobRecord, JobTable
from pipeline.specs import AtlasSpec
from tests.unit.pipeline.tiny_models import SENTENCES, make_hub

ROOT = Path(__file__).parents[2]
# A variable that all children of a part inherit, so that none is overlooked.
MARK = "QKATLAS_SOAK_MARK"


@dataclass(frozen=True)
class Figure:
    """One row of the table: what was promised and what was measured."""

    number: str
    what: str
    target: str
    measured: str
    reached: bool


@dataclass(frozen=True)
class Place:
    """Where one part runs: its cache folder, tiny models and a corpus."""

    folder: Path
    hub_cache: Path
    corpus: Path

    @property
    def cache(self) -> Path:
        """Folder of the store."""
        return self.folder / "cache"

    @property
    def environment(self) -> dict[str, str]:
        """Environment of children: our models, nothing of the network."""
        return os.environ | {
            MARK: str(self.folder),
            "HF_HUB_CACHE": str(self.hub_cache),
            "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody listens there
            "QKATLAS_CACHE": str(self.cache),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "default",
        }

    def spec(self, **changes: Any) -> AtlasSpec:
        """Return a build of a few seconds."""
        values = {"model": "tiny/bert", "corpus": str(self.corpus), "methods": ("pca",)}
        return AtlasSpec(**values | changes)

    def start(
        self, *command: str, more: dict[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a Python program, with more environment, as the leader of a process group."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL} | options
        return subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=self.environment | (more or {}),
            process_group=0, **options,
        )  # fmt: skip

    def processes(self) -> dict[int, str]:
        """Return the process ids and command lines of everything that was started from here."""
        mark, found = f"{MARK}={self.folder}".encode(), {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark not in (folder / "environ").read_bytes().split(b"\0"):
                    continue
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if command:  # a zombie has none
                found[int(folder.name)] = command
        return found

    def end_all(self) -> None:
        """Kill whatever is left."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def make_place(folder: Path, *, hub_cache: Path | None = None) -> Place:
    """Make a folder for a part; tiny models are made unless there are some."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(" ".join(SENTENCES[: 1 + i % 3]) for i in range(9)))
    return Place(folder, hub_cache or make_hub(folder / "hub"), corpus)


def wait_for(condition: Callable[[], Any], limit_s: float = 300.0, pause_s: float = 0.02) -> Any:
    """Return what a condition gives once it gives something; None when time is up."""
    end_s = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() > end_s:
            return None
        time.sleep(pause_s)
    return found


def begun(jobs: JobTable, job_id: str) -> JobRecord | None:
    """Wait until a job runs, or has ended already, and return it; None when time is up."""
    found: JobRecord | None = wait_for(
        lambda: (job := jobs.get(job_id)) and job.state != "queued" and job
    )
    return found


def ended(jobs: JobTable, job_id: str) -> JobRecord | None:
    """Wait until a job has ended and return it; None when time is up."""
    found: JobRecord | None = wait_for(
        lambda: (job := jobs.get(job_id)) and not job.is_live and job
    )
    return found


def kill(pid: int) -> None:
    """End a process at once."""
    os.kill(pid, signal.SIGKILL)
