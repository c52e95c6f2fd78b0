"""Time to the first matrix, and the seconds of each stage, of a fresh build in a fresh process.

`python -m benchmarks.first_matrix [--model minilm] [--corpus sentences]`: builds the PCA maps into
an empty cache and prints when the first picture of all heads was there, counted from the start of
the process; then what a second call costs, as a ratio. `pca_matrix_s` of the results is the time
from the end of the capture to that picture: normalisation and PCA of all heads.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.results import conditions, write_result

ROOT = Path(__file__).parent.parent


def build(cache: Path, model: str, corpus: str) -> tuple[dict[str, Any], float]:
    """Build with the command line in a process of its own; return its JSON and its wall seconds."""
    command = [sys.executable, "-m", "pipeline", "build", "--json", "--methods", "pca"]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--model", model, "--corpus", corpus], cwd=ROOT, check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=os.environ | {"QKATLAS_CACHE": str(cache)},
    )  # fmt: skip
    return json.loads(done.stdout), time.perf_counter() - start


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--corpus", default="sentences")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        found, total_s = build(cache, options.model, options.corpus)
        _, again_s = build(cache, options.model, options.corpus)
    stages = found["seconds"]
    after_picture_s = stages["maps"]
    write_result("pca_matrix_s", round(stages["normalise"] + stages["pca"], 3))
    print(json.dumps({
        "model": options.model,
        "corpus": options.corpus,
        "heads": sum(map(len, found["scale"])),
        "points_a_head": found["n_points"],
        # All of the process but the quality figures, which come after the picture.
        "first_matrix_s": round(total_s - after_picture_s, 2),
        "stages_s": stages,
        "whole_build_s": round(total_s, 2),
        "second_call_s": round(again_s, 2),
        "second_call_ratio": round(again_s / total_s, 3),
        "peak_rss_bytes": found["peak_rss_bytes"],
        "conditions": conditions(),
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
