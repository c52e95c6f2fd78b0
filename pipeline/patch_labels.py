"""The label of each patch of a capture: what stands in it mostly. Kept apart from the capture.

So labels can be added to a capture, or replaced, without running its model again. NumPy only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.captured import Capture
from pipeline.encodings import N_CLASSES, Encoding
from pipeline.objects import ObjectRef
from pipeline.specs import SCHEMA, STAGE_VERSIONS, digest
from pipeline.store import Store

Int64 = NDArray[np.int64]

NO_LABEL = -1


@dataclass(frozen=True)
class PatchLabels:
    """Labels of the tokens of a capture.

    Parameters
    ----------
    numbers : (n_tokens,) int64 class of each token; -1 for special tokens, images without labels
        and patches that lie wholly in a margin.
    names : class number -> name, of the classes that occur.
    source : where the labels are from, in words.
    fingerprint : of everything they follow from.
    notes : a sentence for each image that has no labels: why.
    """

    numbers: Int64
    names: dict[int, str]
    source: str
    fingerprint: str
    notes: tuple[str, ...] = ()

    @property
    def texts(self) -> list[str]:
        """Name of the label of each token, "" for none."""
        return [self.names.get(number, "") for number in self.numbers.tolist()]


def labels_key(capture: str) -> str:
    """Name the labels of a capture; the last that were made count."""
    version = STAGE_VERSIONS["labels"]
    return digest({"schema": SCHEMA, "stage": "labels", "version": version, "capture": capture})


def read_labels(store: Store, capture: str) -> PatchLabels | None:
    """Return the labels of a capture by its key; None where it has none."""
    record = store.get_record(labels_key(capture))
    if record is None:
        return None
    return PatchLabels(
        np.asarray(store.open_array(ObjectRef.from_json(record["objects"]["numbers"]))),
        {int(number): name for number, name in record["names"].items()},
        record["source"],
        record["fingerprint"],
        tuple(record["notes"]),
    )


def put_labels(store: Store, capture: str, labels: PatchLabels) -> None:
    """Keep the labels of a capture in the place of those that were there."""
    record: dict[str, Any] = {
        "kind": "labels", "capture": capture, "source": labels.source,
        "names": {str(number): name for number, name in labels.names.items()},
        "fingerprint": labels.fingerprint, "notes": list(labels.notes),
        "objects": {"numbers": store.put_array(labels.numbers).to_json()},
    }  # fmt: skip
    store.put_record(labels_key(capture), record)


def majority(labels: NDArray[np.int64], grid: tuple[int, int], patch: int) -> Int64:
    """Return the most frequent class of each patch; of equals the smallest number.

    Parameters
    ----------
    labels : (height, width) int64 class of each pixel as the model saw it; -1 where nothing of the
        image is, which has no vote. Pixels beyond the grid are not looked at.
    grid : rows and columns.
    patch : side of a patch in pixels.

    Returns
    -------
    (rows, columns) int64; -1 where no pixel has a vote.
    """
    rows, columns = grid
    inside = labels[: rows * patch, : columns * patch]
    tiles = inside.reshape(rows, patch, columns, patch).swapaxes(1, 2).reshape(rows * columns, -1)
    n = int(tiles.max()) + 2
    votes = np.zeros((tiles.shape[0], n), dtype=np.int64)
    np.add.at(votes, (np.arange(tiles.shape[0])[:, None], tiles + 1), 1)
    votes[:, 0] = 0
    winner = votes.argmax(axis=1) - 1
    return np.where(votes.any(axis=1), winner, NO_LABEL).reshape(rows, columns)


def of_tokens(capture: Capture, maps: list[Int64 | None]) -> Int64:
    """Return the (n_tokens,) int64 class of each token from the (rows, columns) of each image."""
    tokens = capture.tokens
    numbers = np.full(capture.n_tokens, NO_LABEL, dtype=np.int64)
    for sequence, classes in enumerate(maps):
        if classes is None:
            continue
        here = np.flatnonzero((tokens.sequence_index == sequence) & (tokens.row >= 0))
        numbers[here] = classes[tokens.row[here], tokens.column[here]]
    return numbers


def encode_labels(labels: PatchLabels) -> Encoding:
    """Return labels as five colours: the most frequent ones, all others, and none at all."""
    counts = Counter(labels.numbers[labels.numbers >= 0].tolist())
    has_none = bool((labels.numbers < 0).any())
    room = N_CLASSES - has_none
    common = [number for number, _ in counts.most_common()]
    shown = common if len(common) <= room else common[: room - 1]
    words = [labels.names.get(number, f"class {number}") for number in shown]
    others = len(words)
    if len(common) > room:
        words.append("all others")
    if has_none:
        words.append("no label")
    place = {number: i for i, number in enumerate(shown)} | {NO_LABEL: len(words) - 1}
    values = [place.get(number, others) for number in labels.numbers.tolist()]
    return Encoding("discrete", np.array(values, dtype=np.float64), tuple(words))
