"""Texts beside the images of a folder are their captions; what cannot be one is said."""

from __future__ import annotations

from pathlib import Path

from pipeline.corpora import load_corpus
from pipeline.images import array_to_png
from pipeline.text_files import MAX_CHARACTERS
from tests.unit.pipeline.test_images import noise


def _folder(folder: Path, **captions: bytes | None) -> Path:
    for name, caption in captions.items():
        (folder / f"{name}.png").write_bytes(array_to_png(noise()))
        if caption is not None:
            (folder / f"{name}.txt").write_bytes(caption)
    return folder


def test_a_text_of_the_same_name_is_the_caption(tmp_path: Path) -> None:
    _folder(tmp_path, cat=b"  a cat\non a mat\n", dog=None, owl="une hulotte é".encode())
    corpus = load_corpus(str(tmp_path))
    assert corpus.columns == {"caption": ("a cat\non a mat", "", "une hulotte é")}
    assert corpus.left_out == ()


def test_without_captions_there_is_no_column(tmp_path: Path) -> None:
    (_folder(tmp_path, cat=None) / "notes.txt").write_text("no caption")
    corpus = load_corpus(str(tmp_path))
    assert corpus.columns == {}
    assert "'notes.txt'" in corpus.left_out[0]


def test_what_is_no_text_is_left_out_and_said(tmp_path: Path) -> None:
    long = b"a" * (MAX_CHARACTERS + 1)
    _folder(tmp_path, cat=b"\x00\x01\x02", dog=long, owl=b"an owl", yak=b"")
    corpus = load_corpus(str(tmp_path))
    assert corpus.n_sequences == 4
    assert corpus.columns["caption"] == ("", "", "an owl", "")
    first, second, third = corpus.left_out
    assert "no caption: 'cat.txt' is a binary file" in first
    assert "caption 'dog.txt' has 20,001 characters" in second
    assert "'yak.txt' is empty" in third
