"""The synthetic atlases of the browser benchmark are ones that the dashboard can show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.opening import describe
from benchmarks.browser import TARGETS
from benchmarks.synthetic import make_atlas
from pipeline.jobs import JobTable
from pipeline.service import Service
from pipeline.store import Store


def test_a_synthetic_atlas_is_described_and_has_all_its_maps(tmp_path: Path) -> None:
    store = Store(tmp_path)
    make_atlas(store, "small", layers=2, heads=3, n_tokens=40)
    service = Service(store, JobTable(store), hub_cache=tmp_path)
    atlas = describe(service, "small", "synthetic", "faithful")
    assert (atlas["rows"], atlas["columns"], atlas["n_points"]) == (2, 3, 80)
    for dims in (2, 3):
        view = service.map_view(atlas["maps"][f"pca_{dims}"]["key"])
        assert view.measured
        assert np.asarray(service.coordinates(view.cells[5])).shape == (80, dims)  # type: ignore[arg-type]
    assert service.norm_range(atlas["capture"], None)[0] >= 1


def test_every_target_is_of_a_figure_that_is_measured() -> None:
    source = Path("benchmarks/browser.py").read_text(encoding="utf-8")
    for name in TARGETS:
        figure = name.split("_", maxsplit=2)[-1] if name.startswith("matrix") else name
        assert figure.removeprefix("head_") in source.split("TARGETS = {")[1].split("}", 1)[1]
