"""Reads label maps that lie beside the images of a folder: masks, or COCO JSON.

Masks of `cat.jpg` are `cat.mask.png` beside it or `masks/cat.png`. A mask of grey values or with a
palette holds class numbers; one of colours holds a class for each colour, black for none. Names
stand in `classes.json` of the folder: `{"1": "person", "#ff0000": "car"}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.coco import CocoFile, find_coco
from pipeline.errors import InputError
from pipeline.images import labels_to_png, open_mask, picture_size
from pipeline.records import LabelMaps
from pipeline.text_files import read_bytes

MASK_ENDING = ".mask.png"
MASK_FOLDER = "masks"
NAMES_FILE = "classes.json"
MAX_CLASSES = 1_000
BACKGROUND = "bg"

_COLOUR = re.compile(r"#[0-9a-f]{6}")
UInt16 = NDArray[np.uint16]


def is_mask(path: Path) -> bool:
    """Tell whether a file is a mask by its name."""
    return path.name.lower().endswith(MASK_ENDING)


def read_label_maps(
    folder: Path, images: Mapping[Path, bytes], sizes: Mapping[Path, tuple[int, int]]
) -> LabelMaps | None:
    """Return the label maps of the images of a folder; None where it has none at all.

    Parameters
    ----------
    folder : of the corpus.
    images : file -> PNG as it is kept, maybe smaller than the file.
    sizes : file -> (height, width) of the upright original.

    Raises
    ------
    InputError
        If `classes.json` or a COCO file cannot be used.
    """
    coco = find_coco(folder)
    classes = _Classes(folder)
    maps: list[bytes] = []
    notes: list[str] = []
    for path, png in images.items():
        found: UInt16 | None = None
        try:
            found = _labels_of(path, coco, classes, sizes[path])
        except InputError as error:
            notes.append(str(error))
        maps.append(b"" if found is None else _shrink(found, picture_size(png)))
    if not any(maps):
        return None if not notes else LabelMaps(tuple(maps), {0: BACKGROUND}, "", tuple(notes))
    source = f"{coco.name} (COCO) in the folder" if coco else "masks beside the images"
    names = {0: BACKGROUND} | (coco.names if coco else classes.names)
    return LabelMaps(tuple(maps), names, source, tuple(notes))


def _labels_of(
    path: Path, coco: CocoFile | None, classes: _Classes, size: tuple[int, int]
) -> UInt16 | None:
    if coco is not None:
        return coco.labels_of(path.name, size)
    beside = path.with_name(path.stem + MASK_ENDING)
    inside = path.parent / MASK_FOLDER / f"{path.stem}.png"
    mask = next((one for one in (beside, inside) if one.is_file()), None)
    if mask is None:
        return None
    image = open_mask(read_bytes(mask), name=mask.name)
    if (image.height, image.width) != size:
        raise InputError(
            f"mask {mask.name!r} is {image.width} x {image.height} pixels, its image "
            f"{path.name!r} {size[1]} x {size[0]}; expected the same size: the image has no labels"
        )
    return classes.numbers_of(image, mask.name)


class _Classes:
    """Class numbers and names of masks; colours get numbers as they come up."""

    def __init__(self, folder: Path) -> None:
        given = _read_names(folder / NAMES_FILE)
        self.names = {int(key): name for key, name in given.items() if not key.startswith("#")}
        self._colours: dict[int, int] = {0: 0}
        self._given = given
        free = (number for number in range(1, MAX_CLASSES) if number not in self.names)
        self._free = free
        for key, name in given.items():
            if key.startswith("#"):
                self._add(int(key[1:], 16), name)

    def _add(self, colour: int, name: str) -> None:
        number = next(self._free, None)
        if number is None:
            raise InputError(f"masks have more than {MAX_CLASSES} classes; expected fewer")
        self._colours[colour] = number
        self.names[number] = name

    def numbers_of(self, image: Image.Image, name: str) -> UInt16:
        """Return the (height, width) class numbers of a mask."""
        if image.mode in ("P", "L", "1") or image.mode.startswith("I"):
            numbers = np.asarray(image).astype(np.int64)
            if numbers.max() >= MAX_CLASSES:
                raise InputError(
                    f"mask {name!r} has class number {numbers.max()}; expected less than "
                    f"{MAX_CLASSES}: the image has no labels"
                )
            for number in np.unique(numbers).tolist():
                self.names.setdefault(number, f"class {number}" if number else BACKGROUND)
            return numbers.astype(np.uint16)
        red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype(np.int64), -1, 0)
        colours = (red << 16) | (green << 8) | blue
        kinds, places = np.unique(colours, return_inverse=True)
        if kinds.size > MAX_CLASSES:
            raise InputError(
                f"mask {name!r} has {kinds.size:,} colours; expected a class for each of at most "
                f"{MAX_CLASSES}, without smooth edges (save it as PNG, not JPEG)"
            )
        for colour in kinds.tolist():
            if colour not in self._colours:
                self._add(colour, f"#{colour:06x}")
        numbers = np.array([self._colours[colour] for colour in kinds.tolist()])
        return numbers[places.reshape(colours.shape)].astype(np.uint16)


def _read_names(path: Path) -> dict[str, str]:
    """Return what classes.json says: a number or colour -> name; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        found: Any = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not JSON ({error}); expected {_EXAMPLE}") from error
    keys = found.keys() if isinstance(found, dict) else ["?"]
    wrong = [key for key in keys if not (_COLOUR.fullmatch(key.lower()) or _is_number(key))]
    if wrong or not all(isinstance(name, str) for name in found.values()):
        raise InputError(f"{path.name} does not name classes; expected {_EXAMPLE}")
    return {key.lower(): name[:80] for key, name in found.items()}


_EXAMPLE = '{"1": "person", "#ff0000": "car"}'


def _is_number(key: str) -> bool:
    return key.isdecimal() and int(key) < MAX_CLASSES


def _shrink(labels: UInt16, size: tuple[int, int]) -> bytes:
    """Return the map in the size of the image that is kept, each pixel one of the original."""
    if labels.shape != size:
        image = Image.fromarray(labels)
        labels = np.asarray(image.resize(size[::-1], Image.Resampling.NEAREST), dtype=np.uint16)
    return labels_to_png(labels)
