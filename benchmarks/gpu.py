"""All six maps of 144 heads on a GPU, and how near its repulsion comes to what the chip can do.

`python -m benchmarks.gpu [--heads 144]`: heads are those of `minilm` on the sample
sentences, taken again until there are enough. Prints seconds of each map of all heads together
(neighbours and graphs, made by the processor, apart), and seconds of a repulsion step with its
share of the floor: a pair costs 8 issue slots in 2-D and 11 in 3-D, four schedulers of each
multiprocessor give 32 lanes of one slot a clock. Without CUDA it says so and ends.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from benchmarks.atlases import open_atlas, open_store
from benchmarks.results import conditions, write_result
from pipeline.gpu_maps import Prepared, _batch_size, _lay_out, prepare_head
from pipeline.projection.batch import fused, over_rows, repulsion
from pipeline.projection.pca import project_pca
from pipeline.specs import MapSpec

MAPS = [MapSpec("tsne", 2), MapSpec("tsne", 3), MapSpec("umap", 2), MapSpec("umap", 3)]
SLOTS = {2: 8, 3: 11}
LANES = 128
DEVICE = "cuda"
N_STEPS = 20


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--heads", type=int, default=144)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA GPU: nothing measured", file=sys.stderr)
        return
    store = open_store()
    atlas = open_atlas(store, "minilm")
    cells = atlas.capture.cells
    heads = [cells[i % len(cells)] for i in range(options.heads)]
    distinct = dict.fromkeys(heads)
    points = np.stack([atlas.unit_points(*head) for head in distinct])
    _, pca_s = _clock(lambda: project_pca(points, n_components=3))
    began_s = time.perf_counter()
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(prepare_head, store.root, atlas.key, *head, MAPS) for head in distinct]
        known = dict(zip(distinct, [job.result() for job in jobs], strict=True))
    prepare_s = (time.perf_counter() - began_s) * len(heads) / len(distinct)
    prepared = [known[head] for head in heads]
    seconds = {spec.name: _lay_out_all(prepared, spec, points.shape[1]) for spec in MAPS}
    steps = {f"{d}d": _step(prepared, d) for d in (2, 3)}
    result = {
        "device": torch.cuda.get_device_name(),
        "n_heads": len(heads),
        "n_points": points.shape[1],
        "pca_s": pca_s * len(heads) / len(distinct),
        "prepare_s": prepare_s,
        "maps_s": seconds,
        "total_s": pca_s + prepare_s + sum(seconds.values()),
        "repulsion_step": steps,
        "conditions": conditions(),
    }
    write_result("gpu", result)
    print(json.dumps(result))


def _lay_out_all(prepared: list[Prepared], spec: MapSpec, n_points: int) -> float:
    """Return the seconds of one map of all heads; compiling is not counted."""
    size = _batch_size(n_points, DEVICE)

    def run(heads: list[Prepared]) -> None:
        for first in range(0, len(heads), size):
            list(_lay_out(heads[first : first + size], spec, DEVICE))

    run(prepared[:2])
    return _clock(lambda: run(prepared))[1]


def _step(prepared: list[Prepared], dims: int) -> dict[str, float]:
    """Time the repulsion of all pairs of all heads."""
    starts = np.stack([one.parts[MapSpec("tsne", dims)][0] for one in prepared])
    positions = torch.from_numpy(starts).to(DEVICE) * 1e5
    repel = fused(repulsion, DEVICE)
    over_rows(repel, positions)
    torch.cuda.synchronize()
    _, elapsed_s = _clock(lambda: [over_rows(repel, positions) for _ in range(N_STEPS)])
    chip = torch.cuda.get_device_properties(DEVICE)
    clock_hz = 1e3 * chip.clock_rate
    n_pairs = positions.shape[0] * positions.shape[1] ** 2
    floor_s = n_pairs * SLOTS[dims] / (chip.multi_processor_count * LANES * clock_hz)
    return {
        "seconds": elapsed_s / N_STEPS,
        "floor_s": floor_s,
        "share": floor_s * N_STEPS / elapsed_s,
    }


def _clock(call: Callable[[], Any]) -> tuple[Any, float]:
    began_s = time.perf_counter()
    result = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result, time.perf_counter() - began_s


if __name__ == "__main__":
    main()
