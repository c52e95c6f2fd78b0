"""Reads what images of a folder are shown with: a text file beside each, of the same name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import InputError
from pipeline.text_files import MAX_CHARACTERS, decode_text, read_bytes

SUFFIX = ".txt"


def caption_file(image: Path) -> Path:
    """Return where the caption of an image would lie: `cat.txt` beside `cat.png`."""
    return image.with_suffix(SUFFIX)


def read_captions(images: Iterable[Path]) -> tuple[dict[Path, str], list[str]]:
    """Return the caption of every image that has one, and a sentence for each that is left out.

    Line breaks within a caption stay, as the image token of a model may want them.
    """
    captions: dict[Path, str] = {}
    left_out = []
    for image in images:
        path = caption_file(image)
        if not path.is_file():
            continue
        try:
            text, notes = decode_text(read_bytes(path), path.name)
        except InputError as error:
            left_out.append(f"no caption: {error}")
            continue
        if len(text.strip()) > MAX_CHARACTERS:
            left_out.append(
                f"caption {path.name!r} has {len(text):,} characters, expected at most "
                f"{MAX_CHARACTERS:,}; it was left out"
            )
            continue
        captions[image] = text.strip()
        left_out += notes
    return captions, left_out
