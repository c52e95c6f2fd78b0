"""The door of all corpora: names, paths, choice of columns, folders of images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pipeline import corpora
from pipeline.corpora import list_corpora, load_corpus
from pipeline.errors import InputError
from pipeline.records import Corpus
from pipeline.samples.catalogue import SAMPLES


def write(path: Path, content: str) -> str:
    path.write_text(content, encoding="utf-8")
    return str(path)


def save_image(path: Path, colour: str = "red") -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (4, 3), colour).save(path)


def load_csv(folder: Path, content: str, column: str | None = None) -> Corpus:
    return load_corpus(write(folder / "own.csv", content), column=column)


def test_importing_the_door_loads_no_heavy_library() -> None:
    code = (
        "import sys, pipeline.corpora; pipeline.corpora.list_corpora(); "
        "print([m for m in ('torch', 'matplotlib', 'skimage', 'transformers') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["nothing", "", "no/such/file.txt", "x" * 5000, "a\0b"])
def test_an_unknown_name_lists_the_sample_corpora(name: str) -> None:
    with pytest.raises(InputError, match=r"expected one of sentences, pairs, repeats, gradients"):
        load_corpus(name)


def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        load_corpus(str(tmp_path / "pipe.txt"))


def test_a_text_file_gives_a_text_a_line(tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path / "own.txt", "one\n\ntwo\n"))
    assert (corpus.name, corpus.modality) == ("own.txt", "text")
    assert corpus.texts == ("one", "two")
    assert corpus.labels == ("line 1", "line 3")
    assert corpus.text_pairs == corpus.left_out == ()
    assert "user's own" in corpus.licence


def test_a_file_with_blank_lines_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'own.txt' has no rows"):
        load_corpus(write(tmp_path / "own.txt", " \n\n"))


def test_another_encoding_is_said_in_left_out(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes("café".encode("cp1252"))
    corpus = load_corpus(str(tmp_path / "own.txt"))
    assert "read as Windows-1252" in corpus.left_out[0]


def test_the_column_text_comes_first(tmp_path: Path) -> None:
    corpus = load_csv(tmp_path, "title,text,year\nA,one,1990\nB,two,2001.5\n")
    assert corpus.texts == ("one", "two")
    assert corpus.columns == {"title": ("A", "B"), "year": (1990.0, 2001.5)}


def test_the_only_textual_column_is_taken_without_being_named(tmp_path: Path) -> None:
    corpus = load_csv(tmp_path, "n,remark,empty\n1,one,\n2,two,\n")
    assert corpus.texts == ("one", "two")
    assert set(corpus.columns) == {"n", "empty"}


def test_the_wanted_column_is_taken(tmp_path: Path) -> None:
    corpus = load_csv(tmp_path, "premise,hypothesis\none,two\n", column="hypothesis")
    assert (corpus.texts, corpus.text_pairs) == (("two",), ())
    assert corpus.columns == {"premise": ("one",)}


@pytest.mark.parametrize("column", [None, "body", ""])
def test_an_unclear_column_lists_those_found(tmp_path: Path, column: str | None) -> None:
    with pytest.raises(InputError, match=r"found 'title', 'words'"):
        load_csv(tmp_path, "title,words\nA,one\n", column=column)


@pytest.mark.parametrize("header", [
    "text,text_pair", "premise,hypothesis", "sentence1,sentence2",
])  # fmt: skip
def test_known_pairs_of_columns_make_sentence_pairs(tmp_path: Path, header: str) -> None:
    corpus = load_csv(tmp_path, f"label,{header}\nyes,one,two\nno,three,\n")
    assert corpus.texts == ("one", "three")
    assert corpus.text_pairs == ("two", "")
    assert corpus.columns == {"label": ("yes", "no")}


def test_a_row_without_text_is_left_out_with_its_values(tmp_path: Path) -> None:
    corpus = load_csv(tmp_path, "text,n\none,1\n,x\nthree,3\n")
    assert corpus.texts == ("one", "three")
    assert corpus.labels == ("line 2", "line 4")
    assert corpus.columns == {"n": (1.0, 3.0)}
    assert corpus.left_out == ("rows without text in column 'text' were left out: line 3",)


def test_many_rows_without_text_are_counted(tmp_path: Path) -> None:
    corpus = load_csv(tmp_path, "text,n\none,1\n" + ",2\n" * 8)
    assert corpus.left_out[0].endswith("line 3, 4, 5, 6, 7 and 3 more")


@pytest.mark.parametrize("value", ["", "nan", "1_000", "1e999", "٣", "12 kg", "0x1f"])
def test_a_column_with_one_other_value_stays_text(tmp_path: Path, value: str) -> None:
    corpus = load_csv(tmp_path, f"text,n\none,1\ntwo,{value}\n")
    assert corpus.columns == {"n": ("1", value)}


@pytest.mark.parametrize(("value", "number"), [
    ("-1.5", -1.5), ("+2.", 2.0), (".5", 0.5), ("1e-3", 0.001), ("007", 7.0),
])  # fmt: skip
def test_decimal_numbers_become_numbers(tmp_path: Path, value: str, number: float) -> None:
    assert load_csv(tmp_path, f"text,n\none,{value}\n").columns == {"n": (number,)}


def test_a_column_is_refused_where_there_are_none(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png")
    for name in ("sentences", str(tmp_path)):
        with pytest.raises(InputError, match=r"not a table.*leave the column out"):
            load_corpus(name, column="text")


def test_a_folder_gives_its_images_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "c.webp", ".hidden.png"):
        save_image(tmp_path / name)
    write(tmp_path / "notes.txt", "not an image")
    save_image(tmp_path / "sub" / "d.png")
    corpus = load_corpus(str(tmp_path))
    assert (corpus.name, corpus.modality) == (tmp_path.name, "image")
    assert corpus.labels == ("a.JPG", "b.png", "c.webp")
    assert corpus.columns == {}
    assert all(image.startswith(b"\x89PNG") for image in corpus.images)
    assert "over 1,024 px reduced" in corpus.source


def test_subfolders_are_taken_where_the_folder_has_no_image(tmp_path: Path) -> None:
    save_image(tmp_path / "dogs" / "a.png")
    save_image(tmp_path / "cats" / "a.png", "blue")
    corpus = load_corpus(str(tmp_path))
    assert corpus.labels == (os.path.join("cats", "a.png"), os.path.join("dogs", "a.png"))
    assert corpus.columns == {"folder": ("cats", "dogs")}


def test_an_unreadable_image_is_left_out_with_its_reason(tmp_path: Path) -> None:
    save_image(tmp_path / "good.png")
    write(tmp_path / "bad.png", "no picture")
    corpus = load_corpus(str(tmp_path))
    assert corpus.labels == ("good.png",)
    assert len(corpus.left_out) == 1
    assert "'bad.png' is not a picture" in corpus.left_out[0]


def test_a_folder_with_unreadable_images_only_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "bad.png", "no picture")
    with pytest.raises(InputError, match=r"none of the 1 images.*'bad.png' is not a picture"):
        load_corpus(str(tmp_path))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found 0 images.*expected 1 to 2,000 files named .png"):
        load_corpus(str(tmp_path))


def test_a_folder_that_cannot_be_listed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputError, match=r"cannot be read .Permission denied.; check its rights"):
        load_corpus(str(tmp_path))


def test_too_many_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "MAX_IMAGES", 1)
    for name in ("a.png", "b.png"):
        save_image(tmp_path / name)
    with pytest.raises(InputError, match=r"found 2 images.*expected 1 to 1 files"):
        load_corpus(str(tmp_path))


def test_too_many_bytes_of_images_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "MAX_FOLDER_BYTES", 10)
    save_image(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"take more than .* take a sample"):
        load_corpus(str(tmp_path))


def test_a_file_name_that_is_not_utf8_can_still_be_stored(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png")
    (tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    assert load_corpus(str(tmp_path)).labels == ("?.png",)


def test_every_load_gives_the_same_digest(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png")
    assert load_corpus(str(tmp_path)).sha256 == load_corpus(str(tmp_path)).sha256


def test_listing_builds_no_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(corpora, "SAMPLES", tuple((info, fail) for info, _ in SAMPLES))
    assert len(list_corpora()) == 6
