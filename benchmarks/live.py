"""How long somebody waits for a live input: the real worker, warm, at about 32 tokens.

    QKATLAS_CACHE=cache python -m benchmarks.live

prints a Markdown table: seconds from the click to the stored capture, the first input (it imports
torch and loads the model), the median and the slowest of the next ones, and an equal input again.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

from benchmarks.atlases import open_store
from pipeline.build import hub_cache
from pipeline.jobs import JobRecord, JobTable
from pipeline.service import Service
from pipeline.supervisor import Supervisor

MODELS = ("minilm", "smollm2")
N_INPUTS = 10
TEXT = (
    "The quick brown fox jumps over the lazy dog and then it runs away to the forest where it "
    "sleeps until morning comes, number {number} of {run}"
)


def wait(service: Service, job: JobRecord) -> JobRecord:
    """Return a job when it has ended."""
    while True:
        found = service.live.job(job.id)
        if found is None or not found.is_live:
            return found or job
        time.sleep(0.01)


def seconds_of(service: Service, model: str, text: str) -> tuple[float, int]:
    """Return how long an input took, and its tokens."""
    began_s = time.perf_counter()
    job = wait(service, service.live.submit_text(model, text, owner="benchmark"))
    seconds = time.perf_counter() - began_s
    return seconds, service.capture(service.live.result(job.id)).n_tokens


def main() -> None:
    """Print the table."""
    store = open_store()
    service = Service(store, JobTable(store), hub_cache=Path(hub_cache()))
    supervisor = Supervisor(store, lanes=("live",))
    supervisor.start()
    run = f"{time.time() % 1000:.0f}"
    _say("| model | tokens | first | median | slowest | equal input | load average |")
    _say("|---|--:|--:|--:|--:|--:|--:|")
    for model in MODELS:
        texts = [TEXT.format(number=number, run=run) for number in range(N_INPUTS + 1)]
        first, n_tokens = seconds_of(service, model, texts[0])
        others = [seconds_of(service, model, text)[0] for text in texts[1:]]
        again, _ = seconds_of(service, model, texts[0])
        figures = (first, statistics.median(others), max(others), again)
        cells = (
            model,
            str(n_tokens),
            *(f"{s:.2f} s" for s in figures),
            f"{os.getloadavg()[0]:.1f}",
        )
        _say(f"| {' | '.join(cells)} |")
    supervisor.stop()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
