"""Reads a user's text, CSV, TSV or JSON-lines file into rows, with limits; chooses no columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError

MAX_FILE_BYTES = 64 * 2**20
MAX_CHARACTERS = 20_000
MAX_ROWS = 200_000
MAX_COLUMNS = 100
MAX_NAME = 200
MAX_CONTROL_SHARE = 0.1

_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r")) + b"\x7f"

Row = tuple[int, dict[str, str]]


@dataclass(frozen=True)
class Rows:
    """What was found in a text file.

    Parameters
    ----------
    columns : name -> one string a row, without surrounding blanks; empty when there are no rows.
    line_numbers : the line on which each row begins, from 1.
    notes : sentences on what the reader had to assume.
    """

    columns: Mapping[str, tuple[str, ...]]
    line_numbers: tuple[int, ...]
    notes: tuple[str, ...]


def read_rows(path: Path) -> Rows:
    """Read a text file by its suffix; blank lines are skipped.

    `.csv` is comma-separated with double quotes, `.tsv` tab-separated without any quoting, both
    with a header line; `.jsonl` and `.ndjson` hold one JSON object a line; everything else is one
    text a line, in the column `text`. The encoding is UTF-8, or Windows-1252 where it cannot be.

    Raises
    ------
    InputError
        If the file is empty, binary, unreadable, malformed or over one of the limits above.
    """
    text, notes = decode_text(read_bytes(path), path.name)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        rows = _split_table(text, path.name, delimiter=",", quoting=csv.QUOTE_MINIMAL)
    elif suffix == ".tsv":
        rows = _split_table(text, path.name, delimiter="\t", quoting=csv.QUOTE_NONE)
    elif suffix in {".jsonl", ".ndjson"}:
        rows = _split_json(text, path.name)
    else:
        rows = ((number, {"text": line}) for number, line in _split_lines(text))
    columns, line_numbers = _collect(rows, path.name)
    return Rows(columns, line_numbers, notes)


def read_bytes(path: Path) -> bytes:
    """Read a whole file of at most 64 MB.

    Raises
    ------
    InputError
        If it is larger or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{path.name!r} cannot be read ({error.strerror}); expected a readable file: "
            "check its rights"
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"{path.name!r} is larger than {MAX_FILE_BYTES / 2**20:.0f} MB; "
            "expected a smaller file: split it"
        )
    return data


def decode_text(data: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    """Return the text, and a note when it was not UTF-8."""
    if not data:
        raise InputError(f"{name!r} is empty; expected a text or table with at least one line")
    n_controls = len(data) - len(data.translate(None, _CONTROLS))
    if b"\0" in data or n_controls > MAX_CONTROL_SHARE * len(data):
        raise InputError(
            f"{name!r} is a binary file ({n_controls:,} control characters in {len(data):,} "
            "bytes); expected plain text: save it as UTF-8 text, and put images into a folder"
        )
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        note = (
            f"{name!r} is not UTF-8 (byte {error.start:,}) and was read as Windows-1252; "
            "save it as UTF-8 if letters look wrong"
        )
    try:
        return data.decode("cp1252"), (note,)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name!r} is neither UTF-8 nor Windows-1252 (byte {error.start:,}); "
            "expected UTF-8: save it as UTF-8"
        ) from error


def _split_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and content of each line that is not blank."""
    # str.splitlines would also cut at form feeds and U+2028, which JSON may hold in a string.
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.strip():
            yield number, line


def _split_table(text: str, name: str, *, delimiter: str, quoting: Any) -> Iterator[Row]:
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True
    )
    try:
        header = _name_columns(next((fields for fields in reader if fields), []), name)
        line_number = reader.line_num + 1
        for fields in reader:
            if fields and len(fields) != len(header):
                raise InputError(
                    f"{name!r}, line {line_number}: found {len(fields)} fields, expected "
                    f"{len(header)} as in the header: check its separators and quotes"
                )
            if fields:
                yield line_number, dict(zip(header, fields, strict=True))
            line_number = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{name!r}, line {reader.line_num}: {error}; expected a table with one header line: "
            "check its quotes"
        ) from error


def _name_columns(header: list[str], name: str) -> list[str]:
    """Return the header without blanks; a column without a name is called by its number."""
    if len(header) > MAX_COLUMNS or any(len(field) > MAX_NAME for field in header):
        raise _columns_error(name)
    names = [field.strip() or f"column {number}" for number, field in enumerate(header, 1)]
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise InputError(
            f"{name!r} has more than one column {twice[0]!r}; expected different "
            "names: rename one of them"
        )
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise InputError(
            f"{name!r} has the one column {names[0]!r}; expected commas between columns "
            "in .csv and tabs in .tsv: save it so"
        )
    return names


def _columns_error(name: str) -> InputError:
    return InputError(
        f"{name!r} has more than {MAX_COLUMNS} columns or more than {MAX_NAME} characters in the "
        "name of one; expected fewer: keep the columns that you need, below a header line"
    )


def _split_json(text: str, name: str) -> Iterator[Row]:
    for number, line in _split_lines(text):
        try:
            row = json.loads(line)
            # Half of a surrogate pair is valid JSON, but no text that can be stored or shown.
            json.dumps(row, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{name!r}, line {number}: not valid JSON ({error}); expected one object a line"
            ) from error
        if not isinstance(row, dict):
            raise InputError(
                f"{name!r}, line {number}: found a JSON {type(row).__name__}, expected an object "
                'such as {"text": "..."}'
            )
        yield number, {column: _as_text(value) for column, value in row.items()}


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _collect(rows: Iterator[Row], name: str) -> tuple[dict[str, tuple[str, ...]], tuple[int, ...]]:
    """Turn rows into columns, with an empty string where a row lacks one."""
    columns: dict[str, list[str]] = {}
    line_numbers: list[int] = []
    for line_number, row in rows:
        for column, value in row.items():
            is_new = column not in columns
            if is_new and (len(columns) == MAX_COLUMNS or len(column) > MAX_NAME):
                raise _columns_error(name)
            if len(value) > MAX_CHARACTERS:
                raise InputError(
                    f"{name!r}, line {line_number}: found {len(value):,} characters in "
                    f"{column!r}, expected at most {MAX_CHARACTERS:,}: split it into shorter texts"
                )
            columns.setdefault(column, [""] * len(line_numbers)).append(value.strip())
        line_numbers.append(line_number)
        for values in columns.values():
            if len(values) < len(line_numbers):
                values.append("")
        if len(line_numbers) > MAX_ROWS:
            raise InputError(
                f"{name!r} has more than {MAX_ROWS:,} rows; expected fewer: take a sample of it"
            )
    return {column: tuple(values) for column, values in columns.items()}, tuple(line_numbers)
