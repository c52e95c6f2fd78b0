"""`python -m tests.soak`: run the parts with full counts, print what was promised and measured."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.soak import app_parts, model_parts, power, process_parts, request_parts, store_parts
from tests.soak.common import ROOT, Figure, Place, make_place

Part = Callable[[Place, int], list[Figure]]
# Each part with its full count and the count of the fast tests; 0: too long for them.
PARTS: dict[str, tuple[Part, int, int]] = {
    "kills": (store_parts.kills_while_publishing, 200, 3),
    "power": (power.power_cuts, 300, 20),
    "damage": (store_parts.damage, 200, 20),
    "locks": (store_parts.dead_lock_holders, 100, 3),
    "full": (store_parts.full_disk, 20, 2),
    "keys": (store_parts.keys, 1000, 100),
    "equal": (process_parts.equal_requests, 16, 2),
    "holders": (process_parts.killed_holders, 60, 1),
    "workers": (process_parts.dead_workers, 100, 1),
    "cancels": (process_parts.cancels, 30, 1),
    "resume": (process_parts.resumed, 3, 1),
    "sigterm": (app_parts.ends, 50, 1),
    "web": (app_parts.web_deaths, 10, 1),
    "clicks": (app_parts.clicks, 100, 0),
    "requests": (request_parts.bad_requests, 5000, 200),
    "models": (model_parts.bad_models, 17, 4),
}
RESULTS = ROOT / "benchmarks" / "soak.json"


def main(arguments: list[str]) -> int:
    """Run the chosen parts; the status is 1 where a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--count", type=int, help="how often, instead of the full count")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"found {', '.join(sorted(unknown))}, expected some of {', '.join(PARTS)}")
    logging.getLogger("pipeline").setLevel(logging.ERROR)  # damage is what we do here
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    missed = 0
    with tempfile.TemporaryDirectory(prefix="qkatlas-soak-") as folder:
        root = Path(folder).resolve()
        hub_cache = make_place(root / "models").hub_cache
        for name in options.parts or PARTS:
            part, count, _ = PARTS[name]
            place = make_place(root / name, hub_cache=hub_cache)
            began_s = time.monotonic()
            figures = run(part, place, options.count or count)
            missed += sum(not figure.reached for figure in figures)
            results[name] = {
                "seconds": round(time.monotonic() - began_s), "load": os.getloadavg()[0],
                "figures": [asdict(figure) for figure in figures],
            }  # fmt: skip
            RESULTS.write_text(json.dumps(results, indent=1))
            for figure in figures:
                sys.stdout.write(table_row(figure))
            sys.stdout.flush()
    return 1 if missed else 0


def run(part: Part, place: Place, count: int) -> list[Figure]:
    """Run a part; none of its processes is left, whatever happens."""
    try:
        return part(place, count)
    finally:
        place.end_all()


def table_row(figure: Figure) -> str:
    """Return a row of a Markdown table."""
    verdict = "yes" if figure.reached else "**NO**"
    cells = (figure.number, figure.what, figure.target, figure.measured, verdict)
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
