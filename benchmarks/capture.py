"""Compares our capture of a corpus with the model's own forward passes over the same batches.

`python -m benchmarks.capture [--runs 5]`: for each of the three models, alternating runs of the
model with its default attention, of the model with plain ("eager") attention, of our capture, which
verifies every layer and writes it to files, and of a capture that also waits until the disk has
them. The headline is the time of the capture against that of the default in the same round, median
over the rounds; on a busy machine processor time says more.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.atlases import MODELS, corpus_of, open_store
from benchmarks.results import conditions, write_result
from pipeline.build import _prepare, hub_cache
from pipeline.extract import extract
from pipeline.inputs import ModelInputs, plan_batches
from pipeline.models import LoadedModel, load
from pipeline.objects import ObjectRef
from pipeline.records import Progress
from pipeline.specs import AtlasSpec
from pipeline.stages import DTYPE
from pipeline.store import Store
from pipeline.survey import forward
from pipeline.tokens import prepare_inputs


def main() -> None:
    """Measure each model and write the largest ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capture", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    rows = {}
    for model in MODELS:
        rows[model] = _measure(model, options.runs)
        print(model, json.dumps(rows[model]), file=sys.stderr, flush=True)
    write_result("capture", {
        "overhead_ratio": max(row["overhead_ratio"] for row in rows.values()),
        "models": rows,
        "conditions": conditions(),
    })  # fmt: skip


def _measure(model: str, n_runs: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        request = _prepare(
            AtlasSpec(model, corpus_of(model, Path(folder))), open_store(), hub_cache(), _no_report
        )
        loaded = load(request.source, device=request.device, dtype=DTYPE, attention="sdpa")
        inputs = prepare_inputs(loaded, request.corpus, seed=0)
        kept = Path(folder) / "store"
        calls: dict[str, Callable[[], object]] = {
            "default": lambda: _forward_all(loaded, inputs, "sdpa"),
            "eager": lambda: _forward_all(loaded, inputs, "eager"),
            "capture": lambda: _capture(loaded, inputs, kept),
            "on_disk": lambda: _capture(loaded, inputs, kept, settle=True),
        }
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
        for run in range(n_runs + 1):
            for name, call in calls.items():
                wall_s, cpu_s = time.perf_counter(), time.process_time()
                call()
                taken = time.perf_counter() - wall_s, time.process_time() - cpu_s
                if run > 0:  # the first warms up
                    seconds[name].append(taken)
                shutil.rmtree(kept, ignore_errors=True)  # what is there is not written again
    wall, cpu = (
        {name: np.array([taken[place] for taken in runs]) for name, runs in seconds.items()}
        for place in range(2)
    )

    def ratio(of: dict[str, Any], name: str, peer: str = "default") -> float:
        """Return the median over the rounds: a busy moment is in both."""
        return float(np.median(of[name] / of[peer]))

    return {
        "overhead_ratio": ratio(wall, "capture"),
        "cpu_ratio": ratio(cpu, "capture"),
        "on_disk_ratio": ratio(wall, "on_disk"),
        "ratio_to_eager": ratio(wall, "capture", "eager"),
        "wall_s": {name: float(np.median(runs)) for name, runs in wall.items()},
        "cpu_s": {name: float(np.median(runs)) for name, runs in cpu.items()},
        "n_tokens": inputs.table.n_tokens,
    }


def _capture(
    loaded: LoadedModel, inputs: ModelInputs, folder: Path, *, settle: bool = False
) -> None:  # fmt: skip
    """Capture as a build does, which waits for the disk only before it writes the record."""
    store = Store(folder)
    with store.hasty():
        layers, _ = extract(loaded, inputs, store, report=_no_report)
    if settle:
        files = [ref for layer in layers for ref in vars(layer).values()]
        store.settle(ref for ref in files if isinstance(ref, ObjectRef))


def _forward_all(loaded: LoadedModel, inputs: ModelInputs, attention: str) -> None:
    """Run the model as `extract` does, without anything else."""
    tower = inputs.tower(loaded)
    n_heads = getattr(tower.config, "num_attention_heads", None) or 16
    own = tower.config._attn_implementation
    tower.set_attn_implementation(attention)
    try:
        for sequences in plan_batches(inputs.query_lengths, n_heads=n_heads):
            forward(tower, inputs.batch(loaded, sequences))
    finally:
        tower.set_attn_implementation(own)


def _no_report(progress: Progress) -> None:
    del progress


if __name__ == "__main__":
    main()
