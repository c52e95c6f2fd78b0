"""Reading a user's text files: encodings, tables, JSON lines, limits, and hostile content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline import text_files
from pipeline.errors import InputError
from pipeline.text_files import Rows, read_rows

Read = Callable[[str, str | bytes], Rows]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that writes a file and reads its rows."""

    def write_and_read(name: str, content: str | bytes) -> Rows:
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        return read_rows(tmp_path / name)

    return write_and_read


@pytest.mark.parametrize("name", ["a.txt", "a", "a.md"])
def test_any_other_file_is_one_text_a_line(read: Read, name: str) -> None:
    rows = read(name, "one\n\n  two \r\nthree\rfour")
    assert rows.columns == {"text": ("one", "two", "three", "four")}
    assert rows.line_numbers == (1, 3, 4, 5)
    assert rows.notes == ()


def test_only_line_ends_end_a_line(read: Read) -> None:
    line = "form\ffeed line\u2028separator next\x85line"
    assert read("a.txt", line).columns["text"] == (line,)


def test_a_byte_order_mark_is_dropped(read: Read) -> None:
    assert read("a.txt", "\ufeffone").columns["text"] == ("one",)


def test_windows_1252_is_read_and_noted(read: Read) -> None:
    rows = read("a.txt", "café “quoted”".encode("cp1252"))
    assert rows.columns["text"] == ("café “quoted”",)
    assert rows.notes == (
        "'a.txt' is not UTF-8 (byte 3) and was read as Windows-1252; "
        "save it as UTF-8 if letters look wrong",
    )


def test_bytes_of_neither_encoding_are_refused(read: Read) -> None:
    with pytest.raises(InputError, match="neither UTF-8 nor Windows-1252"):
        read("a.txt", b"one \x81 two \xff")


@pytest.mark.parametrize(
    "data", [b"one long word\0two", "utf sixteen".encode("utf-16"), b"\x01\x02\x03ab"]
)
def test_binary_files_are_refused(read: Read, data: bytes) -> None:
    with pytest.raises(InputError, match=r"is a binary file.*save it as UTF-8 text"):
        read("a.txt", data)


def test_a_few_control_characters_are_still_text(read: Read) -> None:
    assert read("a.txt", "a text with \x1b in it").columns["text"]


def test_an_empty_file_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match=r"'a.txt' is empty"):
        read("a.txt", "")


def test_a_long_line_is_refused_by_number_and_length(read: Read) -> None:
    assert read("a.txt", "x" * 20_000).columns["text"]
    with pytest.raises(InputError, match=r"line 2: found 20,001 characters.*at most 20,000"):
        read("a.txt", "short\n" + "x" * 20_001)


def test_a_file_over_the_size_limit_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(InputError, match="larger than 1 MB"):
        read("a.txt", "word\n" * 300_000)


def test_too_many_rows_are_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "MAX_ROWS", 3)
    assert len(read("a.txt", "x\n" * 3).line_numbers) == 3
    with pytest.raises(InputError, match="more than 3 rows"):
        read("a.txt", "x\n" * 4)


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read .Is a directory.*check its rights"):
        read_rows(tmp_path)


def test_csv_takes_quotes_commas_and_line_ends_in_fields(read: Read) -> None:
    rows = read("a.CSV", 'text,n\n"one, ""two""\r\nthree",4\n\nfour,5\n')
    assert rows.columns == {"text": ('one, "two"\r\nthree', "four"), "n": ("4", "5")}
    assert rows.line_numbers == (2, 5)


def test_tsv_takes_quotes_as_they_are(read: Read) -> None:
    rows = read("a.tsv", 'text\tn\n"Yes," he said\t1\n')
    assert rows.columns == {"text": ('"Yes," he said',), "n": ("1",)}


def test_a_column_without_a_name_is_called_by_its_number(read: Read) -> None:
    assert list(read("a.csv", ",text\n0,one\n").columns) == ["column 1", "text"]


@pytest.mark.parametrize(("content", "message"), [
    ("text,n\none,1\ntwo,2,3\n", "line 3: found 3 fields, expected 2"),
    ("text,n\none\n", "line 2: found 1 fields, expected 2"),
    ('text\n"never closed\n', "line 2: .*check its quotes"),
    ('text\n"one" two\n', "line 2: .*check its quotes"),
    ("text,text\n1,2\n", "more than one column 'text'"),
    ("text;n\none;1\n", "the one column 'text;n'; expected commas"),
    ("text\n" + "x" * 140_000, "line 2: field larger than field limit"),
    ("a" * 201 + "\nx\n", "200 characters in the name of one"),
    (",".join(map(str, range(101))), "more than 100 columns"),
])  # fmt: skip
def test_malformed_tables_are_refused_by_line(read: Read, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read("a.csv", content)


@pytest.mark.parametrize("content", ["\n\n", "text,n\n"])
def test_a_table_without_rows_has_no_columns(read: Read, content: str) -> None:
    assert read("a.csv", content).columns == {}


def test_json_lines_may_differ_in_their_fields(read: Read) -> None:
    rows = read("a.jsonl", '{"text": "one", "n": 1.5}\n\n{"text": " two\\u2028", "ok": true}\n')
    assert rows.columns == {"text": ("one", "two"), "n": ("1.5", ""), "ok": ("", "true")}
    assert rows.line_numbers == (1, 3)


def test_json_values_become_text(read: Read) -> None:
    rows = read("a.ndjson", '{"text": null, "list": ["ä", 1]}')
    assert rows.columns == {"text": ("",), "list": ('["ä", 1]',)}


@pytest.mark.parametrize(("line", "message"), [
    ("{'text': 1}", "not valid JSON"),
    ('["one"]', "found a JSON list, expected an object"),
    ('{"text": "\\ud800"}', "not valid JSON"),
    ("[" * 100_000, "not valid JSON"),
    ('{"n": ' + "9" * 5000 + "}", "not valid JSON"),
    (json.dumps({str(n): n for n in range(101)}), "more than 100 columns"),
])  # fmt: skip
def test_a_bad_json_line_is_refused(read: Read, line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read("a.jsonl", line)


def test_a_bad_json_line_is_named_by_its_number(read: Read) -> None:
    with pytest.raises(InputError, match="line 3: not valid JSON"):
        read("a.jsonl", '{"text": "one"}\n\n{"text": \n')


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv", ".jsonl"])
def test_changed_bytes_are_read_or_refused_and_never_crash(read: Read, suffix: str) -> None:
    generator = np.random.default_rng(3)
    table = b'text,n\n"a ""b""",1\r\nc,2\n'
    jsonl = b'{"text": "\\u00e4"}\n{"text": "b", "n": 1}\n'
    original = {".tsv": table.replace(b",", b"\t"), ".jsonl": jsonl}
    n_read = 0
    for _ in range(200):
        data = bytearray(original.get(suffix, table))
        data[generator.integers(0, len(data))] = generator.integers(0, 256)
        try:
            columns = read("a" + suffix, bytes(data)).columns
        except InputError:
            continue
        n_read += 1
        assert len({len(values) for values in columns.values()}) <= 1
        "".join(map("".join, columns.values())).encode()
    assert 20 < n_read < 200
