"""Peak memory of a whole build, over all its processes, beyond the weights of the model.

`python -m benchmarks.memory [--model smollm2] [--heads 0]`: builds all maps into an empty cache
beside the converted models, and samples the proportional set size of the whole process tree ten
times a second. With `--seconds` the build is stopped after so long, when every stage has run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.atlases import open_store
from benchmarks.results import conditions, write_result

PERIOD_S = 0.1
LIMIT_BYTES = 2.5e9


def main() -> None:
    """Build, sample, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--seconds", type=float, help="stop the build after so long")
    options = parser.parse_args()
    store = open_store()
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        if (store.root / "models").exists():
            models.symlink_to(store.root / "models")
        peak, stopped = _sample(options.model, Path(folder), options.seconds)
        weights = _weights_bytes(Path(folder), options.model)
    write_result("memory", {
        "beyond_weights_bytes": peak - weights,
        "peak_bytes": peak,
        "weights_bytes": weights,
        "model": options.model,
        "stopped_early": stopped,
        "within_limit": peak - weights <= LIMIT_BYTES,
        "conditions": conditions(),
    })  # fmt: skip
    print(json.dumps({"beyond_weights_bytes": peak - weights, "stopped_early": stopped}))


def _sample(model: str, cache: Path, limit_s: float | None) -> tuple[int, bool]:
    """Return the peak of the whole tree, and whether the build was stopped."""
    command = [sys.executable, "-m", "pipeline", "build", "--model", model]
    build = subprocess.Popen(
        [*command, "--corpus", "sentences", "--dims", "2,3"],
        env=os.environ | {"QKATLAS_CACHE": str(cache)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    root, peak, began_s = psutil.Process(build.pid), 0, time.monotonic()
    while build.poll() is None:
        peak = max(peak, sum(map(_own_bytes, [root, *root.children(recursive=True)])))
        if limit_s is not None and time.monotonic() - began_s > limit_s:
            build.send_signal(signal.SIGINT)
            build.wait()
            return peak, True
        time.sleep(PERIOD_S)
    if build.returncode != 0:
        raise SystemExit(f"the build ended with status {build.returncode}")
    return peak, False


def _own_bytes(process: psutil.Process) -> int:
    """Proportional set size: a page that processes share counts once over all of them."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    except (OSError, psutil.Error):
        return 0  # it has just ended
    return 0


def _weights_bytes(cache: Path, model: str) -> int:
    from pipeline.catalogue import find_source
    from pipeline.store import Store

    store = Store(cache)
    source = find_source(model, cache=cache, hub_cache=cache, remembered=store.file_sha256)
    return sum(path.stat().st_size for path in source.folder.rglob("*.safetensors"))


if __name__ == "__main__":
    main()
