"""The page around one view that is a file of its own: our scripts, styles and the data, as text."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).resolve().parent.parent / "assets"
# What the views are made of, by the number that their files begin with; see docs/architecture.md.
SCRIPT_NUMBERS = (11, 12, *range(28, 38), 39, *range(40, 43), 44, 60, 78)
STYLES = ("app.css", "app_controls.css", "app_bars.css")
STYLE_NUMBERS = (*range(32, 43), 78)
# Nothing may be fetched, whatever a token says.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
PAGE = """<!DOCTYPE html>
<html lang="en"{theme}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{styles}</style>
</head>
<body class="qk-standalone-page">
<main id="qk-standalone" class="qk-standalone" aria-label="{title}"></main>
<p class="qk-standalone-foot">{title} · QK Atlas · {size}, with all data</p>
<script type="application/json" id="qk-standalone-data">{data}</script>
{scripts}
</body>
</html>
"""


def make_page(title: str, data: dict[str, Any], theme: str | None = None) -> str:
    """Return the page of one view; its foot tells its size.

    Parameters
    ----------
    title : shown below the view and by the browser; any text.
    data : what `assets/78_standalone.js` reads, plain JSON.
    theme : "light" or "dark"; None follows the system.
    """
    parts = {"styles": _styles(), "scripts": _scripts(), "data": _inert(data)}
    return PAGE.format(
        policy=POLICY, title=html.escape(title), size=size_text(sum(map(len, parts.values()))),
        theme=f' data-theme="{theme}"' if theme else "", **parts,
    )  # fmt: skip


def size_text(n_bytes: int) -> str:
    """Return the size of a page in words, such as "0.5 MB"."""
    return f"{n_bytes / 2**20:.1f} MB"


def _numbered(numbers: tuple[int, ...], suffix: str) -> list[Path]:
    return [
        path
        for path in sorted(ASSETS.glob(f"[0-9]*{suffix}"))
        if int(path.name.split("_")[0]) in numbers
    ]


def _scripts() -> str:
    """Return our scripts, each in an element that none of them can close."""
    sources = [path.read_text(encoding="utf-8") for path in _numbered(SCRIPT_NUMBERS, ".js")]
    safe = [
        re.sub(r"<(/script|!--)", r"<\\\1", source, flags=re.IGNORECASE) for source in sources
    ]  # fmt: skip
    return "\n".join(f"<script>{source}</script>" for source in safe)


def _styles() -> str:
    """Return our styles, with the icons that they name."""
    paths = [*(ASSETS / name for name in STYLES), *_numbered(STYLE_NUMBERS, ".css")]

    def inlined(match: re.Match[str]) -> str:
        picture = base64.b64encode((ASSETS / match[1]).read_bytes()).decode()
        return f'url("data:image/svg+xml;base64,{picture}")'

    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    return re.sub(r'url\("(icons/[a-z-]+\.svg)"\)', inlined, text).replace("</", "<\\/")


def _inert(value: Any) -> str:
    """Return JSON that no parser of HTML takes for anything else, whatever its texts say."""
    text = json.dumps(value)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
