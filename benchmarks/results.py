"""`benchmarks/results.json`: each benchmark writes its own key, and may go on where it stopped."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

PATH = Path(__file__).parent / "results.json"
LIBRARIES = ("torch", "transformers", "numpy", "numba", "scipy", "scikit-learn", "umap-learn")


def read_result(key: str) -> dict[str, Any]:
    """Return what a benchmark has written, an empty object when it has not run."""
    found: dict[str, Any] = _read().get(key, {})
    return found


def write_result(key: str, value: Any) -> None:
    """Put the result of one benchmark beside the others."""
    text = json.dumps(_read() | {key: value}, indent=1)
    aside = PATH.with_suffix(".tmp.json")
    aside.write_text(text)
    aside.replace(PATH)


def conditions() -> dict[str, Any]:
    """Return what the numbers depend on: versions, processor, cores, and how busy they were."""
    return {
        "versions": {name: version(name) for name in LIBRARIES},
        "machine": platform.processor() or platform.machine(),
        "n_cores": os.cpu_count() or 1,
        "load_average": os.getloadavg()[0],
    }


def _read() -> dict[str, Any]:
    return json.loads(PATH.read_text()) if PATH.exists() else {}
