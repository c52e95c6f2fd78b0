"""Forks callers of one capture and kills the one that computes; see `killed_holders`.

Importing torch takes longer than the capture of a tiny model: it is done once, before the forks.
For each line of input, "seconds spec": one answer in JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pipeline import extract, inputs, models  # noqa: F401  imported for the children
from pipeline.build import _resolve, hub_cache
from pipeline.specs import AtlasSpec
from pipeline.stages import Clock, capture_stage
from pipeline.store import Store

N_CALLERS = 4
ROOT = Path(os.environ["QKATLAS_CACHE"])


def call(spec: dict[str, Any], holder: Path) -> None:
    """Ask for a capture as a build does: under its lock, computed only if it is not there."""
    store = Store(ROOT)
    request = _resolve(AtlasSpec.from_json(spec), store, hub_cache())
    with store.lock(f"build-{request.capture_key}"):
        if not holder.exists():
            holder.with_suffix(".new").write_text(str(os.getpid()))
            holder.with_suffix(".new").rename(holder)
        capture = capture_stage(request, store, Clock(), lambda _: None)
    vectors = capture.vectors(1, 2)
    assert vectors.queries.shape == (capture.n_tokens, 8)


def fork(spec: dict[str, Any], holder: Path) -> int:
    """Start a caller."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        call(spec, holder)
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    """Serve lines until there are no more."""
    for number, line in enumerate(sys.stdin):
        pause_s, spec = line.split(" ", 1)
        holder = ROOT.parent / f"holder-{number}"
        began_s = time.monotonic()
        pids = [fork(json.loads(spec), holder) for _ in range(N_CALLERS)]
        while not holder.exists():
            time.sleep(0.005)
        time.sleep(float(pause_s))
        killed = int(holder.read_text())
        os.kill(killed, signal.SIGKILL)
        statuses = {pid: os.waitpid(pid, 0)[1] for pid in pids}
        unserved = sum(status != 0 for pid, status in statuses.items() if pid != killed)
        seconds = time.monotonic() - began_s
        sys.stdout.write(json.dumps({"unserved": unserved, "seconds": seconds}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
