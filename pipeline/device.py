"""Chooses device and dtype; the only place that asks about a GPU. Torch is imported when needed."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from pipeline.errors import InputError


def resolve_device(requested: str) -> str:
    """Return "cpu" or "cuda" for "auto", "cpu" or "cuda".

    A machine without an NVIDIA driver, or a CPU build of torch, is answered without importing
    torch, which would cost seconds when a stored result only has to be looked up.

    Raises
    ------
    InputError
        if "cuda" is requested and there is none.
    """
    if requested == "cpu":
        return "cpu"
    found = _cuda_found()
    if requested == "cuda" and not found:
        raise InputError(
            "device: found no CUDA GPU that torch can use, expected one for 'cuda'; "
            "use 'auto' or 'cpu', or install a CUDA build of torch and the NVIDIA driver"
        )
    return "cuda" if found else "cpu"


def _cuda_found() -> bool:
    if version("torch").endswith("+cpu") or not Path("/dev/nvidiactl").exists():
        return False
    import torch

    return torch.cuda.is_available()
