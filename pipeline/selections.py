"""Selections of points, named by what is in them, and the maps of such points alone.

Never computes anything that takes long: PCA at once, other maps are jobs of the worker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.atlas import read_atlas
from pipeline.errors import InputError
from pipeline.jobs import JobRecord, JobTable
from pipeline.objects import ObjectRef
from pipeline.reproject import make_remap
from pipeline.selection_files import put_points, read_points
from pipeline.specs import RemapSpec
from pipeline.store import Store

REPROJECT = "reproject"

Int64 = NDArray[np.int64]


class Selections:
    """The selections of one store and their maps.

    Parameters
    ----------
    store : the cache folder.
    jobs : its queue.
    """

    def __init__(self, store: Store, jobs: JobTable) -> None:
        self._store, self._jobs = store, jobs

    def put(self, atlas_key: str, points: NDArray[np.uint32]) -> str:
        """Store a selection; return its key, the same for the same points of a capture.

        Parameters
        ----------
        points : (n,) uint32 point numbers, in any order.

        Raises
        ------
        InputError
            if there is no such atlas or point, or there are fewer than ten.
        """
        return put_points(read_atlas(self._store, atlas_key).capture, points)

    def points(self, selection: str) -> Int64:
        """Return the point numbers of a selection; see `read_points`."""
        return read_points(self._store, selection)

    def find(self, spec: RemapSpec) -> dict[str, Any] | None:
        """Return the record of the map of a selection; None when it is not made yet."""
        return self._store.get_record(spec.key)

    def make(self, spec: RemapSpec, *, owner: str) -> dict[str, Any] | JobRecord:
        """Return the map of a selection, or the job that makes it.

        Raises
        ------
        InputError
            if the atlas, the head or the selection is not in the store.
        JobError
            if too many jobs wait.
        """
        atlas = read_atlas(self._store, spec.atlas)
        atlas.capture.cell(spec.layer, spec.head)
        found = self.find(spec)
        if found is not None:
            self._store.note_use(found)
            return found
        read_points(self._store, spec.selection, capture=atlas.record["capture"])
        if spec.map.method == "pca":
            return make_remap(spec, self._store)
        last = self._last(spec)
        if last is not None and last.state == "failed":
            return last
        return self._jobs.submit(REPROJECT, spec.to_json(), owner)

    def coordinates(self, key: str) -> tuple[dict[str, Any], NDArray[np.float32], Int64]:
        """Return the record of a map of a selection, its coordinates and its point numbers.

        Raises
        ------
        InputError
            if it is not in the store.
        """
        record = self._store.get_record(key)
        if record is None or record["kind"] != "remap":
            raise InputError("this map of a selection is not in the cache any more")
        refs = record["objects"]
        arrays = (self._store.open_array(ObjectRef.from_json(refs[name]))
                  for name in ("coordinates", "points"))  # fmt: skip
        coordinates, points = arrays
        return record, np.asarray(coordinates), np.asarray(points)

    def _last(self, spec: RemapSpec) -> JobRecord | None:
        """Return the newest job for a map."""
        jobs = [job for job in self._jobs.list()
                if job.kind == REPROJECT and dict(job.spec) == spec.to_json()]  # fmt: skip
        return jobs[-1] if jobs else None
