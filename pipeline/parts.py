"""Which part of a model an atlas shows, and which are there to choose from. Records only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.specs import PARTS, ROTARY

Record = dict[str, Any]


def parts_beside(part: str, modality: str) -> list[str]:
    """Return the parts that a model has of which one was captured; none where it has one.

    Texts: an encoder-decoder model. Images: a model that is shown images in texts, whose decoder
    reads both in one sequence, so that nothing crosses.
    """
    if part == "self":
        return []
    return [one for one in PARTS if one != "cross" or modality == "text"]


def usual_atlas(records: Iterable[Record], names: tuple[str, str, str], part: str) -> Record | None:
    """Return the first of some atlases that has these names and shows this part; None for none.

    Parameters
    ----------
    records : of atlases, the newest first.
    names : model, corpus and normalisation.
    part : counts where there are several.
    """
    same = [
        record
        for record in records
        if (record["model"], record["corpus"], record["normalisation"]) == names
        if record["rotary"] == ROTARY[0]
    ]
    is_one = part == PARTS[0] or all(record["part"] == "self" for record in same)
    wanted = (part, "self") if is_one else (part,)
    return next((record for record in same if record["part"] in wanted), None)


def parts_to_choose(
    records: Sequence[Record], model: str, corpus: str
) -> tuple[str, ...] | None:  # fmt: skip
    """Return the parts of a model that it has for a corpus; none where it has one.

    Until the corpus is built they are those it has for any other; None until anything is.
    """
    found = [record for record in records if record["model"] == model]
    for record in [r for r in found if r["corpus"] == corpus] or found:
        if record["part"] != "self":
            return tuple(record.get("parts", PARTS))
    return () if found else None
