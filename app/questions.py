"""What pages ask the server beside data, checked; `assets/70_questions.js` makes it."""

from __future__ import annotations

from typing import Any

from app.theme import PALETTES, THEMES


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
