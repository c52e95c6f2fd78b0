"""What is said and done when the disk is full."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import SpaceError
from pipeline.folder import FULL_DISK


@contextmanager
def space_guard(root: Path, needed_bytes: int) -> Iterator[None]:
    """Turn "no space left on device" inside the body into SpaceError.

    The reserve file is given up first, so that the small tables can still note what happened.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        (root / "reserve").unlink(missing_ok=True)
        raise space_error(root, needed_bytes) from error


def space_error(root: Path, needed_bytes: int) -> SpaceError:
    """Say what does not fit, what is free, and what to do."""
    free = shutil.disk_usage(root).free
    return SpaceError(
        f"needs {needed_bytes / 1e6:,.1f} MB, free {free / 1e6:,.1f} MB on {root}; free some space "
        "or set QKATLAS_CACHE to a folder on a larger disk"
    )
