"""Loads texts, sentence pairs and images to analyse, each with source and licence; keeps nothing.

Sample corpora come from `pipeline.samples`, the user's own from a text file, a table or a folder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.captions import caption_file, read_captions
from pipeline.decoder import Decoder
from pipeline.errors import InputError
from pipeline.images import MAX_SIDE, upright_size
from pipeline.label_files import MASK_FOLDER, is_mask, read_label_maps
from pipeline.records import CAPTION, Corpus
from pipeline.samples import CorpusInfo
from pipeline.samples.catalogue import SAMPLES
from pipeline.text_files import read_bytes, read_rows

__all__ = ["CorpusInfo", "list_corpora", "load_corpus"]

MAX_IMAGES = 2_000
MAX_FOLDER_BYTES = 2 * 2**30
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
PAIR_COLUMNS = (("text", "text_pair"), ("premise", "hypothesis"), ("sentence1", "sentence2"))

_OWN_LICENCE = "not known (the user's own data)"
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_LISTED = 5


def list_corpora() -> list[CorpusInfo]:
    """Return what is known of each sample corpus, without building any."""
    return [info for info, _ in SAMPLES]


def load_corpus(name: str, *, column: str | None = None) -> Corpus:
    """Load a sample corpus by name, or the user's own by path.

    A path may lead to

    - a table (`.csv`, `.tsv`, `.jsonl`, `.ndjson`): pairs where it has the columns `text` and
      `text_pair`, `premise` and `hypothesis`, or `sentence1` and `sentence2`; else the texts of the
      column `text`, or of the only column that is not all numbers. The other columns are kept.
    - any other text file: one text a line;
    - a folder with `.png`, `.jpg`, `.jpeg` or `.webp` files, sorted by name, each image reduced to
      at most 1,024 px on its longer side. If it has none but has subfolders, their images are
      taken, and the column `folder` names the subfolder. Where `cat.txt` lies beside `cat.png`, it
      is its caption, in the column `caption`. Hidden files are ignored.

    Parameters
    ----------
    name : of a sample corpus, which goes before a file of the same name, or a path.
    column : the column of a table that holds the texts; its rows are then no pairs.

    Raises
    ------
    InputError
        If there is no such corpus, file or column, or the file cannot be used; see `read_rows` and
        `decode_image`. A row without text or an image that cannot be read is left out instead, and
        `Corpus.left_out` says so.

    Cost
    ----
    All images are held in memory, at most 2 GB of PNG files.
    """
    for info, build in SAMPLES:
        if info.name == name:
            _refuse_column(name, column)
            return build(info)
    path = _find(name)
    if path.is_file():
        return _load_texts(path, column)
    _refuse_column(name, column)
    return _load_images(path)


def _refuse_column(name: str, column: str | None) -> None:
    if column is not None:
        raise InputError(
            f"{name!r} is not a table and has no column {column!r}; expected a .csv, .tsv, .jsonl "
            "or .ndjson file: leave the column out"
        )


def _find(name: str) -> Path:
    """Return the path of a regular file or a folder."""
    path = Path(name)
    try:
        is_there = name != "" and path.exists()
        is_usable = path.is_file() or path.is_dir()
    except OSError:  # a name too long for a file, or a folder that may not be entered
        is_there = False
    if not is_there:
        known = ", ".join(info.name for info, _ in SAMPLES)
        raise InputError(
            f"found no corpus, file or folder called {name!r}; expected one of {known}, or the "
            "path of a text file, a table or a folder of images"
        )
    if not is_usable:
        raise InputError(
            f"{name!r} is neither a file nor a folder but a device, pipe or socket; "
            "expected a text file, a table or a folder of images"
        )
    return path


def _load_texts(path: Path, column: str | None) -> Corpus:
    rows = read_rows(path)
    text_column, pair_column = _choose_columns(rows.columns, column, path.name)
    texts = rows.columns[text_column]
    pairs = rows.columns[pair_column] if pair_column else ()
    kept = [row for row, text in enumerate(texts) if text]
    columns = {
        name: _to_numbers([values[row] for row in kept])
        for name, values in rows.columns.items()
        if name not in {text_column, pair_column}
    }
    empty = [line for line, text in zip(rows.line_numbers, texts, strict=True) if not text]
    return Corpus(
        _show(path.name),
        "text",
        f"file {_show(path.name)}",
        _OWN_LICENCE,
        texts=tuple(texts[row] for row in kept),
        text_pairs=tuple(pairs[row] for row in kept if pairs),
        labels=tuple(f"line {rows.line_numbers[row]}" for row in kept),
        columns=columns,
        left_out=rows.notes + _list_empty(empty, text_column),
    )


def _choose_columns(
    columns: Mapping[str, tuple[str, ...]], wanted: str | None, name: str
) -> tuple[str, str | None]:
    """Return the column of the texts, and that of the second texts if there is one."""
    if not columns:
        raise InputError(f"{name!r} has no rows; expected at least one line with text")
    if wanted is not None and wanted in columns:
        return wanted, None
    if wanted is None:
        for first, second in PAIR_COLUMNS:
            if first in columns and second in columns:
                return first, second
        textual = [column for column, values in columns.items() if _is_textual(values)]
        if "text" in columns or len(textual) == 1:
            return ("text" if "text" in columns else textual[0]), None
    raise InputError(
        f"{name!r} has no column {wanted or 'text'!r}; found {', '.join(map(repr, columns))}: "
        "choose the one that holds the texts"
    )


def _is_textual(values: Sequence[str]) -> bool:
    return any(values) and isinstance(_to_numbers(values)[0], str)


def _to_numbers(values: Sequence[str]) -> tuple[str | float, ...]:
    """Return floats where every value is a finite decimal number, else the strings as they are."""
    if all(map(_NUMBER.fullmatch, values)):
        numbers = tuple(map(float, values))
        if all(map(math.isfinite, numbers)):
            return numbers
    return tuple(values)


def _list_empty(lines: list[int], column: str) -> tuple[str, ...]:
    """Say which rows had no text; the first few by number."""
    if not lines:
        return ()
    more = f" and {len(lines) - _LISTED:,} more" if len(lines) > _LISTED else ""
    shown = ", ".join(map(str, lines[:_LISTED]))
    return (f"rows without text in column {column!r} were left out: line {shown}{more}",)


def _load_images(folder: Path) -> Corpus:
    folder = folder.resolve()  # so that "." has a name
    paths = _find_images(folder)
    images: dict[Path, bytes] = {}
    sizes: dict[Path, tuple[int, int]] = {}
    left_out: list[str] = _others(folder, paths)
    n_bytes = 0
    with Decoder() as decoder:
        for path in paths:
            try:
                name, data = _show(path.relative_to(folder)), read_bytes(path)
                images[path] = decoder.decode(data, name=name)
                sizes[path] = upright_size(data, name=name)
            except InputError as error:
                left_out.append(str(error))
                continue
            n_bytes += len(images[path])
            if n_bytes > MAX_FOLDER_BYTES:
                raise InputError(
                    f"the images in {folder.name!r} take more than "
                    f"{MAX_FOLDER_BYTES / 2**30:.0f} GB; expected less: take a sample of them"
                )
    if not images:
        raise InputError(
            f"none of the {len(paths)} images in {folder.name!r} can be read; the first: "
            f"{left_out[0]}"
        )
    nested = paths[0].parent != folder
    label_maps = read_label_maps(folder, images, sizes)
    if label_maps is not None:
        left_out += label_maps.notes
        label_maps = label_maps if any(label_maps.maps) else None
    captions, faults = read_captions(images)
    columns = {"folder": tuple(_show(path.parent.name) for path in images)} if nested else {}
    columns |= {CAPTION: tuple(captions.get(path, "") for path in images)} if captions else {}
    return Corpus(
        _show(folder.name),
        "image",
        f"folder {_show(folder.name)}; images over {MAX_SIDE:,} px reduced to that size",
        _OWN_LICENCE,
        images=tuple(images.values()),
        labels=tuple(_show(path.relative_to(folder)) for path in images),
        columns=columns,
        left_out=(*left_out, *faults),
        label_maps=label_maps,
    )


def _others(folder: Path, images: list[Path]) -> list[str]:
    """Say which files beside the images are not read: texts, and pictures of other formats."""
    captions = {caption_file(image) for image in images}
    names = sorted(
        path.name for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".")
        if path.suffix.lower() not in (*IMAGE_SUFFIXES, ".json") and path not in captions
    )  # fmt: skip
    if not names:
        return []
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    shown = ", ".join(repr(_show(name)) for name in names[:_LISTED])
    return [
        f"files that are no images were left out: {shown}{more}; a corpus is of images or of texts"
    ]


def _find_images(folder: Path) -> list[Path]:
    """Return the image files of a folder, or of its subfolders if it has none itself."""
    try:
        paths = _list_images(folder)
        if not paths:
            subfolders = sorted(
                path for path in folder.iterdir() if path.is_dir() and path.name != MASK_FOLDER
            )
            paths = [path for subfolder in subfolders for path in _list_images(subfolder)]
    except OSError as error:
        raise InputError(
            f"folder {folder.name!r} cannot be read ({error.strerror}); check its rights"
        ) from error
    if not 0 < len(paths) <= MAX_IMAGES:
        raise InputError(
            f"found {len(paths):,} images in {folder.name!r} and its subfolders; expected 1 to "
            f"{MAX_IMAGES:,} files named {', '.join(IMAGE_SUFFIXES)}"
        )
    return paths


def _list_images(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
        if not path.name.startswith(".") and not is_mask(path)
    )


def _show(path: Path | str) -> str:
    """Return a path as text that can be stored: file names may hold bytes that are not UTF-8."""
    return str(path).encode("utf-8", "replace").decode()
