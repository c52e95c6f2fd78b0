"""The header that stands before the numbers of an array file: .npy, version 1.0, C order."""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from pipeline.errors import StoreError

HEADER = re.compile(
    rb"\{'descr': '([^'\\]+)', 'fortran_order': False, 'shape': \(([0-9, ]*)\), \} *\n"
)


def plain_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return a dtype of plain numbers.

    Raises
    ------
    ValueError
        if it holds Python objects or fields.
    """
    found = np.dtype(dtype)
    if found.hasobject or found.names:
        holds = "Python objects" if found.hasobject else "fields"
        raise ValueError(f"dtype {found} holds {holds}; expected plain numbers")
    return found


def write_header(file: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Write the header of an array that follows."""
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def read_header(file: BinaryIO) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Read dtype and shape of an array file of ours; the file then stands at the first number.

    NumPy's own reader compiles the header as Python, which fails now and then when two threads do
    it at once (CPython 3.11: "AST constructor recursion depth mismatch").

    Raises
    ------
    StoreError
        if the file does not begin as `write_header` writes it.
    """
    np.lib.format.read_magic(file)
    header = file.read(int.from_bytes(file.read(2), "little"))
    found = HEADER.fullmatch(header)
    if found is None:
        raise StoreError(f"an array file begins with {header[:80]!r}, expected numpy's header")
    descr, shape = found.groups()
    return np.dtype(descr.decode()), tuple(int(size) for size in shape.split(b",") if size.strip())
