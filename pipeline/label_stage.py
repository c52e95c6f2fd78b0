"""Labels the patches of a capture: from maps that came with the corpus, or by a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.captured import Capture
from pipeline.errors import InputError
from pipeline.images import png_to_array, png_to_labels
from pipeline.patch_labels import (
    NO_LABEL,
    PatchLabels,
    majority,
    of_tokens,
    put_labels,
    read_labels,
)
from pipeline.records import LabelMaps, Progress
from pipeline.specs import digest
from pipeline.stages import DTYPE, Request

if TYPE_CHECKING:  # it imports torch
    from pipeline.models import LoadedModel

Report = Callable[[Progress], None]
Int64 = NDArray[np.int64]

NEAREST = 0  # of PIL.Image.Resampling


def fingerprint_of(request: Request) -> str | None:
    """Return what tells the labels of a request from others; None where it asks for none."""
    corpus = request.corpus
    if corpus.modality != "image":
        return None
    if request.segmentation is not None:
        return digest({"model": dict(request.segmentation.files), "corpus": corpus.sha256})
    return digest({"maps": corpus.label_maps.sha256}) if corpus.label_maps else None


def has_labels(request: Request, capture: Capture) -> bool:
    """Tell whether the labels that a request asks for are stored."""
    wanted = fingerprint_of(request)
    found = read_labels(capture.store, request.capture_key)
    return wanted is None or (found is not None and found.fingerprint == wanted)


def label_stage(request: Request, capture: Capture, report: Report) -> None:
    """Label the patches of a capture, unless that is done or nothing says what they show."""
    fingerprint = fingerprint_of(request)
    if fingerprint is None or has_labels(request, capture):
        return
    # Imported here: torch and transformers take seconds.
    from pipeline.models import load

    report(Progress("labels", 0, 1, "labelling patches"))
    maps = request.corpus.label_maps
    if request.segmentation is not None:
        from pipeline.segmentation import load_segmenter, segment

        segmenter = load_segmenter(request.segmentation, device=request.device)
        maps = segment(segmenter, request.corpus.images, report=report)
        del segmenter
    if maps is None:
        return
    loaded = load(request.source, device="cpu", dtype=DTYPE, attention=None)
    found, notes = _label(loaded, request, capture, maps)
    numbers = of_tokens(capture, found)
    used = set(np.unique(numbers).tolist()) - {NO_LABEL}
    names = {n: maps.names.get(n, f"class {n}") for n in sorted(used)}
    labels = PatchLabels(numbers, names, maps.source, fingerprint, (*maps.notes, *notes))
    put_labels(capture.store, request.capture_key, labels)


def _label(
    loaded: LoadedModel, request: Request, capture: Capture, maps: LabelMaps
) -> tuple[list[Int64 | None], list[str]]:
    """Return the classes of the patches of each captured image, and why some have none."""
    grid = capture.tokens.grid or (1, 1)
    # The side of what a token stands for, which may be several patches.
    side = png_to_array(capture.image(0)).shape[1] // grid[1]
    place = {label: number for number, label in enumerate(request.corpus.labels)}
    found: list[Int64 | None] = []
    notes = []
    for label in capture.record["corpus"]["labels"]:
        sequence = place[label]
        png = maps.maps[sequence]
        if not png:
            found.append(None)
            continue
        try:
            seen = warp_labels(loaded, png_to_labels(png))
        except InputError as error:
            found.append(None)
            notes.append(f"image {request.corpus.labels[sequence]!r} has no labels: {error}")
            continue
        found.append(majority(seen, grid, side))
    return found, notes


def warp_labels(loaded: LoadedModel, labels: NDArray[np.uint16]) -> Int64:
    """Move a label map as the model's own image processor moves its image.

    Resized, cropped and padded by the processor itself, with the nearest pixel instead of a mean:
    the map goes through as a picture whose red and green are the two bytes of the class and whose
    blue says that there is something of the image at all.

    Parameters
    ----------
    labels : (height, width) uint16 classes, in the size of the image.

    Returns
    -------
    (height, width) int64 as the model sees it; -1 in margins that the processor adds.

    Raises
    ------
    InputError
        If the processor blends pixels all the same.
    """
    picture = np.stack(
        [labels & 255, labels >> 8, np.full_like(labels, 255)], axis=-1
    ).astype(np.uint8)  # fmt: skip
    made = loaded.image_processor(
        images=[picture], return_tensors="np", input_data_format="channels_last",
        resample=NEAREST, do_rescale=False, do_normalize=False,
    )["pixel_values"]  # fmt: skip
    low, high, inside = np.asarray(made)[0].astype(np.int64)
    seen = np.where(inside == 255, low + 256 * high, NO_LABEL)
    known = np.isin(inside, (0, 255)).all() and np.isin(seen, [NO_LABEL, *np.unique(labels)]).all()
    if not known:
        raise InputError(
            f"the image processor of {loaded.source.name} blends the pixels of label maps; "
            "expected one that can resize to the nearest pixel"
        )
    return seen
