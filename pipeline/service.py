"""The only door for the dashboard: ask for a result, get it remembered or have it computed.

Never imports torch: what has to be computed becomes a job of the worker process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.aggregate import Aggregate, aggregate, why_not
from pipeline.atlas import Atlas, read_atlas, read_coordinates
from pipeline.builds import Builds
from pipeline.captured import Capture, read_capture
from pipeline.catalogue import ModelState, list_models
from pipeline.corpora import CorpusInfo, list_corpora
from pipeline.encoding_words import encoding_words
from pipeline.encodings import Encoding, encode, list_encodings
from pipeline.errors import InputError
from pipeline.exports import head_arrays
from pipeline.inspection import Inspection
from pipeline.jobs import JobTable
from pipeline.live import Live
from pipeline.map_view import MapView, read_map_view
from pipeline.orders import read_orders
from pipeline.parts import parts_to_choose, usual_atlas
from pipeline.patch_labels import PatchLabels, encode_labels, read_labels
from pipeline.placement import Placements
from pipeline.report import HeadReport, judge, report_head
from pipeline.search import Found, find_tokens
from pipeline.selections import Selections
from pipeline.specs import DEFAULT_GUIDANCE, DEFAULT_NEIGHBOURS, PARTS
from pipeline.store import Store
from pipeline.wanted import prefer_heads
from pipeline.weights import Weights

N_NEIGHBOURS = 10

Int64 = NDArray[np.int64]


class Service:
    """Everything the dashboard can ask for.

    Parameters
    ----------
    store : the cache folder.
    jobs : its queue.
    hub_cache : folder of downloaded models.

    Attributes
    ----------
    builds : starts builds and follows them.
    live : takes live inputs and follows them.
    placements : where live inputs lie on the maps.
    inspection : answers about single sequences.
    weights : what query and key weights have in common.
    selections : points that somebody has drawn around, and maps of them alone.
    """

    def __init__(self, store: Store, jobs: JobTable, *, hub_cache: Path) -> None:
        self.builds = Builds(jobs)
        self.live = Live(store, jobs, hub_cache=hub_cache, open_capture=self.capture)
        self.inspection = Inspection(self.capture)
        self.weights = Weights(store, jobs)
        self.selections = Selections(store, jobs)
        self._store = store
        self._hub_cache = hub_cache
        # A page asks for the same capture and map once a head; neither changes when it is complete.
        self._capture = lru_cache(maxsize=16)(self._read_capture)
        self._encoding = lru_cache(maxsize=32)(self._encode)
        self._unit_points = lru_cache(maxsize=4)(self._read_unit_points)
        self._aggregate = lru_cache(maxsize=16)(self._average)  # 64 MB at 1,024 tokens
        self.placements = Placements(
            open_map=self.map_view, open_atlas=self.atlas, open_capture=self.capture,
            unit_points=self._unit_points,
        )  # fmt: skip
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

    def find_atlas(
        self, model: str, corpus: str, normalisation: str, part: str = PARTS[0]
    ) -> Atlas | None:
        """Return the newest atlas of a model and a corpus by name, None if there is none.

        Vectors are those that the softmax receives. The part counts where there are several.
        """
        names = (model, corpus, normalisation)
        record = usual_atlas(self.atlases(), names, part)
        return None if record is None else self.atlas(record["key"])

    def parts(self, model: str, corpus: str) -> tuple[str, ...] | None:
        """Return the parts of a model to choose from; see `parts_to_choose`."""
        return parts_to_choose(self.atlases(), model, corpus)

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
        capture = self._capture(key)
        self._store.note_use(capture.record)
        return capture

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
        view = self._maps.get(key) or read_map_view(self._store, key, self.capture)
        if view.measured:
            self._maps[key] = view
        self._store.note_use(view.record)
        self._store.note_use(view.capture.record)
        return view

    def orders(self, atlas_key: str) -> list[dict[str, float]] | None:
        """Return by what each head orders patches; see `pipeline.orders.read_orders`."""
        return read_orders(self._store, atlas_key)

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

    def search(self, capture_key: str, query: str, *, manner: str = "word") -> list[Found]:
        """Return the tokens that say the searched terms; see `pipeline.search.find_tokens`."""
        labels = self.labels(capture_key)
        return find_tokens(
            self.capture(capture_key).tokens, query,
            manner=manner, labels=None if labels is None else labels.texts,
        )  # fmt: skip

    def labels(self, capture_key: str) -> PatchLabels | None:
        """Return the patch labels of a capture of images; None where it has none."""
        return read_labels(self._store, capture_key)

    def encodings(self, capture_key: str) -> dict[str, tuple[str, str]]:
        """Return name -> (words, ramp) of what the colour of a point can stand for."""
        found = list_encodings(self.capture(capture_key))
        has_labels = self.labels(capture_key) is not None
        return found | ({"label": ("label of the patch", "discrete")} if has_labels else {})

    def encoding(self, capture_key: str, name: str) -> Encoding:
        """Return what one colouring says of every token; see `pipeline.encodings.encode`."""
        labels = self.labels(capture_key) if name == "label" else None
        return encode_labels(labels) if labels else self._encoding(capture_key, name)

    def encoding_words(self, capture_key: str, name: str) -> list[str]:
        """Return the same in words; see `pipeline.encoding_words`."""
        labels = self.labels(capture_key) if name == "label" else None
        return list(labels.texts) if labels else encoding_words(self.capture(capture_key), name)

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

    def aggregate(
        self, capture_key: str, layer: int, head: int, *, weighting: str, left_out: frozenset[str]
    ) -> Aggregate:
        """Return mean attention by position; see `pipeline.aggregate.aggregate`."""
        return self._aggregate(capture_key, layer, head, weighting, left_out)

    def why_no_aggregate(self, capture_key: str) -> str:
        """Say why a corpus has no means by position; "" when it has."""
        return why_not(self.capture(capture_key))

    def head_arrays(self, atlas_key: str, layer: int, head: int) -> dict[str, Any]:
        """Return what is known of one head; see `pipeline.exports.head_arrays`."""
        return head_arrays(self._store, atlas_key, layer, head)

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

    def _read_capture(self, key: str) -> Capture:
        capture = read_capture(self._store, key)
        if capture is None:
            raise InputError(f"capture {key} is not in the cache; build its atlas again")
        return capture

    def _read_unit_points(self, atlas_key: str, layer: int, head: int) -> NDArray[np.float32]:
        return self.atlas(atlas_key).unit_points(layer, head)

    def _average(
        self, key: str, layer: int, head: int, weighting: str, left_out: frozenset[str]
    ) -> Aggregate:
        return aggregate(
            self.capture(key), layer, head, weighting=weighting, left_out=sorted(left_out)
        )  # fmt: skip

    def _encode(self, capture_key: str, name: str) -> Encoding:
        return encode(self.capture(capture_key), name)
