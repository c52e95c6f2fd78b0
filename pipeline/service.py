"""The only door for the dashboard: ask for a result, get it remembered or have it computed.

Never imports torch: what has to be computed becomes a job of the worker process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.atlas import (
    Atlas,
    Capture,
    read_atlas,
    read_capture,
    read_cells,
    read_coordinates,
)
from pipeline.catalogue import ModelState, list_models
from pipeline.corpora import CorpusInfo, list_corpora, load_corpus
from pipeline.errors import InputError
from pipeline.jobs import JobRecord, JobTable
from pipeline.search import find_tokens
from pipeline.specs import DEFAULT_GUIDANCE, DEFAULT_NEIGHBOURS, AtlasSpec
from pipeline.store import Store
from pipeline.wanted import prefer_heads

BUILD = "build"


@dataclass(frozen=True)
class MapView:
    """One map set, as far as it is computed.

    Parameters
    ----------
    record : of the map set (kind "map").
    capture : what it is made from.
    cells : for each head in cell order its map, or None; see `pipeline.atlas.read_cells`.
    """

    record: dict[str, Any]
    capture: Capture
    cells: tuple[dict[str, Any] | None, ...]

    @property
    def complete(self) -> bool:
        """Whether every head has coordinates."""
        return all(self.cells)

    @property
    def measured(self) -> bool:
        """Whether every head has coordinates and quality figures: nothing will change any more."""
        return all(cell and cell["quality"] for cell in self.cells)


class Service:
    """Everything the dashboard can ask for.

    Parameters
    ----------
    store : the cache folder.
    jobs : its queue.
    hub_cache : folder of downloaded models.
    """

    def __init__(self, store: Store, jobs: JobTable, *, hub_cache: Path) -> None:
        self._store = store
        self._jobs = jobs
        self._hub_cache = hub_cache
        # A page asks for the same capture and map once a head; neither changes when it is complete.
        self._capture = lru_cache(maxsize=16)(self._read_capture)
        self._maps: dict[str, MapView] = {}

    def models(self) -> list[ModelState]:
        """Return the known models with their state."""
        return list_models(self._store.root, self._hub_cache)

    def corpora(self) -> list[CorpusInfo]:
        """Return the sample corpora."""
        return list_corpora()

    def atlases(self) -> list[dict[str, Any]]:
        """Return the records of all atlases, the newest first."""
        found = self._store.records("atlas")
        return sorted(found, key=lambda record: -record["created_s"])

    def find_atlas(self, model: str, corpus: str, normalisation: str) -> Atlas | None:
        """Return the newest atlas of a model and a corpus by name, None if there is none."""
        for record in self.atlases():
            names = (record["model"], record["corpus"], record["normalisation"])
            if names == (model, corpus, normalisation):
                return self.atlas(record["key"])
        return None

    def atlas(self, key: str) -> Atlas:
        """Open an atlas by its id.

        Raises
        ------
        InputError
            if it is not in the store.
        """
        atlas = read_atlas(self._store, key)
        return Atlas(atlas.record, self.capture(atlas.record["capture"]))

    def capture(self, key: str) -> Capture:
        """Open a capture by its key.

        Raises
        ------
        InputError
            if it is not in the store.
        """
        return self._capture(key)

    def map_sets(
        self,
        atlas_key: str,
        *,
        guidance: float = DEFAULT_GUIDANCE,
        neighbours: str = DEFAULT_NEIGHBOURS,
    ) -> dict[tuple[str, int], dict[str, Any]]:
        """Return the records of an atlas' map sets by (method, dims), also unfinished ones.

        Parameters
        ----------
        guidance, neighbours : which t-SNE and UMAP maps; PCA knows neither.
        """
        shape = (guidance, neighbours)
        return {
            (record["method"], record["dims"]): record
            for record in self._store.records("map")
            if record["atlas"] == atlas_key
            and (record["method"] == "pca" or (record["guidance"], record["neighbours"]) == shape)
        }

    def map_view(self, key: str) -> MapView:
        """Return a map set with its cells as they are now.

        Raises
        ------
        InputError
            if there is no such map set.
        """
        view = self._maps.get(key) or self._read_map(key)
        if view.measured:
            self._maps[key] = view
        return view

    def prefer(self, atlas_key: str, heads: Iterable[tuple[int, int]]) -> None:
        """Ask that a running build makes the maps of these (layer, head) next, the first first.

        What was asked for before is forgotten.

        Raises
        ------
        InputError
            if there is no such atlas or head.
        """
        prefer_heads(self.atlas(atlas_key), heads)

    def coordinates(self, cell: dict[str, Any]) -> Any:
        """Return the (n_points, dims) float32 coordinates of a cell of a map."""
        return read_coordinates(self._store, cell)

    def search(self, capture_key: str, query: str) -> list[int]:
        """Return the numbers of the tokens that say a word; see `pipeline.search.find_tokens`."""
        return [int(i) for i in find_tokens(self.capture(capture_key).tokens, query)]

    def build(self, spec: AtlasSpec, *, owner: str) -> JobRecord:
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

    def job(self, job_id: str) -> JobRecord | None:
        """Return a job as it is now."""
        return self._jobs.get(job_id)

    def position(self, job_id: str) -> int | None:
        """Return how many jobs come before this one; None when it has ended."""
        return self._jobs.position(job_id)

    def cancel(self, job_id: str) -> None:
        """Ask a job to stop."""
        self._jobs.cancel(job_id)

    def live_build(self, model: str, corpus: str) -> JobRecord | None:
        """Return the newest build of a model and a corpus that waits or runs."""
        return self._newest(model, corpus, live=True)

    def last_build(self, model: str, corpus: str) -> JobRecord | None:
        """Return the newest build of a model and a corpus, whatever became of it."""
        return self._newest(model, corpus, live=False)

    def _newest(self, model: str, corpus: str, *, live: bool) -> JobRecord | None:
        for job in reversed(self._jobs.list()):
            if (job.spec["model"], job.spec["corpus"]) == (model, corpus):
                return job if job.is_live or not live else None
        return None

    def _read_capture(self, key: str) -> Capture:
        capture = read_capture(self._store, key)
        if capture is None:
            raise InputError(f"capture {key} is not in the cache; build its atlas again")
        return capture

    def _read_map(self, key: str) -> MapView:
        record = self._store.get_record(key)
        if record is None or record["kind"] != "map":
            raise InputError(f"map set {key} is not in the cache; build its atlas again")
        capture = self.capture(record["capture"])
        return MapView(record, capture, tuple(read_cells(self._store, key, capture.cells)))
