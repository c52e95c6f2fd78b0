"""The only door for the dashboard: ask for a result, get it remembered or have it computed.

Never imports torch: what has to be computed becomes a job of the worker process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.atlas import Atlas, Capture, read_atlas, read_capture, read_cells, read_coordinates
from pipeline.catalogue import ModelState, list_models
from pipeline.corpora import CorpusInfo, list_corpora, load_corpus
from pipeline.encodings import Encoding, encode, list_encodings
from pipeline.errors import InputError
from pipeline.jobs import JobRecord, JobTable
from pipeline.report import HeadReport, judge, report_head
from pipeline.search import Found, find_tokens
from pipeline.specs import AtlasSpec
from pipeline.store import Store

BUILD = "build"
N_NEIGHBOURS = 10

Int64 = NDArray[np.int64]


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
        self._encoding = lru_cache(maxsize=32)(self._encode)
        self._unit_points = lru_cache(maxsize=4)(self._read_unit_points)
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

    def map_sets(self, atlas_key: str) -> dict[tuple[str, int], dict[str, Any]]:
        """Return the records of an atlas' map sets by (method, dims), also unfinished ones."""
        return {
            (record["method"], record["dims"]): record
            for record in self._store.records("map")
            if record["atlas"] == atlas_key
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

    def coordinates(self, cell: dict[str, Any]) -> Any:
        """Return the (n_points, dims) float32 coordinates of a cell of a map."""
        return read_coordinates(self._store, cell)

    def search(self, capture_key: str, query: str, *, manner: str = "word") -> list[Found]:
        """Return the tokens that say the searched terms; see `pipeline.search.find_tokens`."""
        return find_tokens(self.capture(capture_key).tokens, query, manner=manner)

    def encodings(self, capture_key: str) -> dict[str, tuple[str, str]]:
        """Return name -> (words, ramp) of what the colour of a point can stand for."""
        return list_encodings(self.capture(capture_key))

    def encoding(self, capture_key: str, name: str) -> Encoding:
        """Return what one colouring says of every token; see `pipeline.encodings.encode`."""
        return self._encoding(capture_key, name)

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

    def seconds_per_head(self, usual: float) -> float:
        """Return what a head cost in the last build that made maps, or what is usual."""
        for job in reversed(self._jobs.list()):
            maps_s = ((job.result or {}).get("seconds") or {}).get("maps", 0)
            n_heads = sum(map(len, (job.result or {}).get("scale") or []))
            if maps_s > 1 and n_heads:
                return float(maps_s) / n_heads
        return usual

    def live_build(self, model: str, corpus: str) -> JobRecord | None:
        """Return the newest build of a model and a corpus that waits or runs."""
        return self._newest(model, corpus, live=True)

    def last_build(self, model: str, corpus: str) -> JobRecord | None:
        """Return the newest build of a model and a corpus, whatever became of it."""
        return self._newest(model, corpus, live=False)

    def nearest_points(self, atlas_key: str, layer: int, head: int, point: int) -> Int64:
        """Return the ten points nearest to one in the joint embedding of a head, nearest first.

        Raises
        ------
        InputError
            if there is no such head or point.
        """
        points = self._unit_points(atlas_key, layer, head)
        if not 0 <= point < points.shape[0]:
            raise InputError(f"point: found {point}, expected 0 to {points.shape[0] - 1}")
        closeness = points @ points[point]
        closeness[point] = -np.inf
        nearest = np.argsort(-closeness, kind="stable")[:N_NEIGHBOURS]
        return nearest.astype(np.int64)

    def head_arrays(
        self, atlas_key: str, layer: int, head: int, map_key: str | None
    ) -> dict[str, NDArray[Any]]:
        """Return what is known of one head as named arrays, with their provenance as text.

        Parameters
        ----------
        map_key : of the map whose coordinates go with them, None for none.
        """
        atlas = self.atlas(atlas_key)
        vectors = atlas.capture.vectors(layer, head)
        tokens = atlas.capture.tokens
        facts = {name: atlas.record[name] for name in ("model", "corpus", "normalisation", "seed")}
        facts |= {"atlas": atlas_key, "layer": layer, "head": head,
                  "revision": atlas.capture.record["model"]["revision"]}  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {
            "queries": vectors.queries, "keys": vectors.keys,
            "token_text": np.array(tokens.token_text), "sequence_index": tokens.sequence_index,
            "token_index": tokens.token_index,
        }  # fmt: skip
        if map_key is not None:
            view = self.map_view(map_key)
            cell = view.cells[view.capture.cell(layer, head)]
            if cell is not None:
                arrays["coordinates"] = np.asarray(self.coordinates(cell))
                facts |= {"method": view.record["method"], "dims": view.record["dims"]}
        return arrays | {"provenance": np.array(json.dumps(facts))}

    def head_report(
        self, atlas_key: str, layer: int, head: int, map_key: str | None
    ) -> tuple[HeadReport, dict[str, Any]]:
        """Look at one head on a map; see `pipeline.report`. Also returns its stored figures."""
        atlas = self.atlas(atlas_key)
        cell = None
        if map_key is not None:
            cell = self.map_view(map_key).cells[atlas.capture.cell(layer, head)]
        coordinates = None if cell is None else np.asarray(self.coordinates(cell))
        quality: dict[str, Any] = (cell or {}).get("quality") or {}
        return report_head(atlas, layer, head, coordinates), quality

    def judge(self, quality: dict[str, Any]) -> list[tuple[str, str]]:
        """Say in plain words what the figures of a map mean; see `pipeline.report.judge`."""
        return judge(quality)

    def norm_range(self, capture_key: str, place: Mapping[str, Any] | None) -> tuple[float, float]:
        """Return the least and the greatest raw norm of one head, or of all for None."""
        capture = self.capture(capture_key)
        norms = capture.norms()
        if place is not None:
            norms = norms[capture.cell(int(place["layer"]), int(place["head"]))]
        return float(norms.min()), float(norms.max())

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

    def _read_unit_points(self, atlas_key: str, layer: int, head: int) -> NDArray[np.float32]:
        return self.atlas(atlas_key).unit_points(layer, head)

    def _encode(self, capture_key: str, name: str) -> Encoding:
        return encode(self.capture(capture_key), name)

    def _read_map(self, key: str) -> MapView:
        record = self._store.get_record(key)
        if record is None or record["kind"] != "map":
            raise InputError(f"map set {key} is not in the cache; build its atlas again")
        capture = self.capture(record["capture"])
        return MapView(record, capture, tuple(read_cells(self._store, key, capture.cells)))
