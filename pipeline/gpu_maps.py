"""Makes the maps of many heads at once on a GPU; what it cannot make is left to the processor.

Worker processes find neighbours and graphs of the next batch while the GPU lays out this one. A
finished map is published without quality figures: `finish_heads` measures what it finds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.atlas import Atlas, read_atlas
from pipeline.heads import HeadContext
from pipeline.projection.batch import project_tsne_batch, project_umap_batch
from pipeline.specs import MapSpec
from pipeline.store import Store

logger = logging.getLogger(__name__)
Float32 = NDArray[np.float32]

# On the device: an edge with its differences, and about so many edges a point.
EDGE_BYTES = 100
EDGES_A_POINT = 150
# Of the memory that is free; the compiled loops need some of the rest.
SHARE = 0.5


@dataclass(frozen=True)
class Prepared:
    """What the GPU needs of one head.

    Parameters
    ----------
    layer, head : which.
    parts : for each map its (n_points, dims) float32 first positions and its (n_points, n_points)
        graph.
    """

    layer: int
    head: int
    parts: dict[MapSpec, tuple[Float32, csr_array]]


Publish = Callable[[tuple[int, int], MapSpec, Float32], None]


def project_on_gpu(
    atlas: Atlas,
    heads: list[tuple[int, int]],
    maps: list[MapSpec],
    *,
    pool: Executor,
    publish: Publish,
    device: str = "cuda",
) -> None:
    """Lay out the t-SNE and UMAP maps of heads, batch by batch.

    A batch that does not fit is halved. Any other failure of the device is logged and ends this:
    the maps that are missing then are made by the processor.

    Parameters
    ----------
    atlas : whose vectors are stored.
    heads : (layer, head) of each, in the order in which they are wanted.
    maps : to make, t-SNE or UMAP, the first of all heads of a batch before the second of any.
    pool : worker processes that prepare the heads.
    publish : `publish((layer, head), spec, coordinates)` is told of each finished map.
    device : "cuda"; "cpu" runs the same code without a GPU.
    """
    root, size = atlas.capture.store.root, _batch_size(atlas.capture.n_points, device)
    batches = [heads[i : i + size] for i in range(0, len(heads), size)]
    try:
        for batch in _prepared(pool, root, atlas.key, batches, maps):
            for spec in maps:
                for one, coordinates in _lay_out(batch, spec, device):
                    publish((one.layer, one.head), spec, coordinates)
    # torch has no common class for what a driver, a compiler or a full device raise.
    except (RuntimeError, ImportError, OSError) as error:
        logger.warning("the GPU is not used for the maps that are missing: %s", error)
        logger.debug("", exc_info=True)


def prepare_head(
    root: Path, atlas_key: str, layer: int, head: int, maps: list[MapSpec]
) -> Prepared:
    """Find neighbours, first positions and graphs of one head. Runs in a worker."""
    atlas = read_atlas(Store(root), atlas_key)
    context = HeadContext(atlas, layer, head, atlas.unit_points(layer, head))
    return Prepared(layer, head, {spec: context.prepare(spec) for spec in maps})


def _prepared(
    pool: Executor,
    root: Path,
    atlas_key: str,
    batches: list[list[tuple[int, int]]],
    maps: list[MapSpec],
) -> Iterator[list[Prepared]]:
    """Yield batch after batch, the next one being prepared meanwhile."""

    def submit(batch: list[tuple[int, int]]) -> list[Future[Prepared]]:
        return [pool.submit(prepare_head, root, atlas_key, *place, maps) for place in batch]

    waiting = submit(batches[0]) if batches else []
    for following in [*batches[1:], []]:
        ready, waiting = waiting, submit(following)
        yield [future.result() for future in ready]


def _lay_out(
    batch: list[Prepared], spec: MapSpec, device: str
) -> Iterable[tuple[Prepared, Float32]]:
    """Lay out one map of each head; a batch that does not fit is halved."""
    starts, graphs = zip(*(one.parts[spec] for one in batch), strict=True)
    try:
        if spec.method == "tsne":
            made = project_tsne_batch(starts, graphs, device=device)
        else:
            made = project_umap_batch(starts, graphs, seed=spec.seed, device=device)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
        logger.warning("%d heads do not fit on the GPU together; halved", len(batch))
    else:
        return zip(batch, made, strict=True)
    torch.cuda.empty_cache()
    half = len(batch) // 2
    return chain(_lay_out(batch[:half], spec, device), _lay_out(batch[half:], spec, device))


def _batch_size(n_points: int, device: str) -> int:
    """Return how many heads fit on the device together."""
    if device == "cpu":
        return 4
    free_bytes, _ = torch.cuda.mem_get_info()
    return max(1, int(SHARE * free_bytes) // (n_points * EDGES_A_POINT * EDGE_BYTES))
