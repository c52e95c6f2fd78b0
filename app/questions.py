"""What pages ask the server beside data, checked; `assets/70_questions.js` makes it."""

from __future__ import annotations

from typing import Any

from app.theme import PALETTES, THEMES

NO_HEAD = "There is no head to look at yet."


def is_report(value: Any) -> bool:
    """Tell whether a value is a question for the panel beside a head that is open.

    It holds `tab`, `palette`, `theme`, and where there is an atlas `atlas`, `capture`, `layer`,
    `head`, `selection`, `made`, `map` (the key of a map set or None) and its `guidance`.
    """
    return (
        isinstance(value, dict)
        and value.get("tab") in ("trust", "vectors")
        and value.get("palette") in PALETTES
        and value.get("theme") in THEMES
    )


def head_of(report: dict[str, Any]) -> tuple[str, int, int] | None:
    """Return atlas, layer and head that a report is about, None where there are none yet."""
    atlas, layer, head = (report.get(name) for name in ("atlas", "layer", "head"))
    if isinstance(atlas, str) and isinstance(layer, int) and isinstance(head, int):
        return atlas, layer, head
    return None


def look_of(report: dict[str, Any]) -> dict[str, str]:
    """Return the palette and theme of its charts."""
    return {name: report[name] for name in ("palette", "theme")}
