"""Which heads somebody looks at: noted by the web process, heard by a build between two heads."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.atlas import Atlas
from pipeline.specs import digest


def prefer_heads(atlas: Atlas, heads: Iterable[tuple[int, int]]) -> None:
    """Note which heads somebody looks at, the first first; a build makes their maps next.

    Raises
    ------
    InputError
        if there is no such head.
    """
    wanted = list(dict.fromkeys(heads))
    for layer, head in wanted:
        atlas.capture.cell(layer, head)
    record = {"kind": "wanted", "heads": wanted, "objects": {}}
    atlas.capture.store.put_record(_wanted_key(atlas), record)


def preferred_heads(atlas: Atlas) -> list[tuple[int, int]]:
    """Return the (layer, head) that `prefer_heads` noted last."""
    record = atlas.capture.store.get_record(_wanted_key(atlas))
    return [(layer, head) for layer, head in record["heads"]] if record else []


def _wanted_key(atlas: Atlas) -> str:
    return digest({"stage": "wanted", "atlas": atlas.key})
