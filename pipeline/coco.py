"""Reads label maps from COCO JSON: panoptic segments, stuff or instances. No images but masks."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.errors import InputError
from pipeline.images import open_mask
from pipeline.text_files import read_bytes

UInt16 = NDArray[np.uint16]
Mask = NDArray[np.bool_]

MAX_COUNTS = 1_000_000


@dataclass(frozen=True)
class CocoFile:
    """One COCO file.

    Parameters
    ----------
    name : of the file.
    folder : where it lies; the masks of panoptic segments lie in a folder of its stem beside it, in
        `masks`, or beside it.
    names : class number -> name, in the order of the categories, from 1.
    numbers : category id -> class number.
    annotations : image file name -> annotations, in order.
    """

    name: str
    folder: Path
    names: dict[int, str]
    numbers: dict[int, int]
    annotations: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def labels_of(self, image_name: str, size: tuple[int, int]) -> UInt16 | None:
        """Return the (height, width) class numbers of an image; None where it is not in the file.

        Raises
        ------
        InputError
            If what is said of the image cannot be used.
        """
        rows = self.annotations.get(image_name)
        if rows is None:
            return None
        labels = np.zeros(size, dtype=np.uint16)
        try:
            for row in rows:
                if "segments_info" in row:
                    self._draw_segments(row, labels)
                else:
                    inside = _area(row["segmentation"], size)
                    labels[inside] = self.numbers[row["category_id"]]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(
                f"{self.name}: the annotations of {image_name!r} cannot be read "
                f"({type(error).__name__}: {error}); the image has no labels"
            ) from error
        return labels

    def _draw_segments(self, row: dict[str, Any], labels: UInt16) -> None:
        """Fill in panoptic segments; a segment's number is R + 256 G + 65536 B in its mask."""
        name = Path(row["file_name"]).name
        places = [self.folder / Path(self.name).stem, self.folder / "masks", self.folder]
        mask = next((place / name for place in places if (place / name).is_file()), None)
        if mask is None:
            raise InputError(f"{self.name} names the mask {name!r}, which is not there")
        image = open_mask(read_bytes(mask), name=name)
        if (image.height, image.width) != labels.shape:
            raise InputError(
                f"mask {name!r} is {image.width} x {image.height} pixels, its image "
                f"{labels.shape[1]} x {labels.shape[0]}; expected the same size: the image has no "
                "labels"
            )
        parts = np.asarray(image.convert("RGB")).astype(np.int64)
        segments = parts @ np.array([1, 256, 65536])
        for segment in row["segments_info"]:
            labels[segments == segment["id"]] = self.numbers[segment["category_id"]]


def find_coco(folder: Path) -> CocoFile | None:
    """Return the COCO file of a folder, None where there is none.

    Raises
    ------
    InputError
        If there are two, or one is damaged.
    """
    found = [
        coco for path in sorted(folder.glob("*.json")) if (coco := _read(path, folder)) is not None
    ]
    if len(found) > 1:
        names = ", ".join(coco.name for coco in found)
        raise InputError(f"found several COCO files ({names}); expected one: move the others away")
    return found[0] if found else None


def _read(path: Path, folder: Path) -> CocoFile | None:
    """Return a file as COCO, None where it is something else."""
    try:
        data = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        if path.name == "classes.json":
            return None
        raise InputError(f"{path.name} is not JSON ({error}); remove or repair it") from error
    if not isinstance(data, dict) or not {"images", "annotations", "categories"} <= data.keys():
        return None
    try:
        categories = list(enumerate(data["categories"], start=1))
        files = {row["id"]: Path(row["file_name"]).name for row in data["images"]}
        annotations: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in data["annotations"]:
            annotations[files[row["image_id"]]].append(row)
        names = {number: str(row["name"])[:80] for number, row in categories}
        numbers = {row["id"]: number for number, row in categories}
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path.name} is not COCO as expected ({type(error).__name__}: {error}); "
            "expected images with id and file_name, categories with id and name, annotations "
            "with image_id"
        ) from error
    return CocoFile(path.name, folder, names, numbers, dict(annotations))


def _area(segmentation: Any, size: tuple[int, int]) -> Mask:
    """Return the (height, width) pixels of polygons or of a run-length code."""
    if isinstance(segmentation, list):
        image = Image.new("1", size[::-1])
        draw = ImageDraw.Draw(image)
        for polygon in segmentation:
            draw.polygon([float(x) for x in polygon], fill=1)
        return np.asarray(image)
    counts = segmentation["counts"]
    if [int(x) for x in segmentation["size"]] != list(size):
        raise ValueError(f"its size is {segmentation['size']}, that of the image {list(size)}")
    runs = counts if isinstance(counts, list) else _runs(counts)
    values = np.arange(len(runs)) % 2 == 1
    if len(runs) > MAX_COUNTS or min(runs, default=0) < 0 or sum(runs) != size[0] * size[1]:
        raise ValueError("its run lengths do not fill the image")
    pixels = np.repeat(values, np.array(runs, dtype=np.int64))
    # COCO counts down the columns.
    return pixels.reshape(size[::-1]).T


def _runs(text: str) -> list[int]:
    """Return the run lengths of COCO's compressed code.

    Five bits a sign; the last sign of a number has 32 unset. From the third
    on they are differences to the one before the last.
    """
    runs: list[int] = []
    value = shift = 0
    for sign in text:
        part = ord(sign) - 48
        value |= (part & 31) << shift
        shift += 5
        if part & 32:
            continue
        if part & 16:
            value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return runs
