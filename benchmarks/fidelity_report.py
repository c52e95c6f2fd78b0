"""Writes docs/fidelity.md and its figures from the rows that `benchmarks.fidelity` has measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("svg")
import matplotlib.pyplot as plt

Row = dict[str, Any]
CONCLUSIONS = Path(__file__).with_name("fidelity_conclusions.md")  # written by hand
PLACEMENT = Path(__file__).with_name("fidelity_placement.md")  # by benchmarks.placement
MODELS = ("minilm", "smollm2", "dinov2s")
COLOURS = dict(zip(MODELS, ("#0072B2", "#D55E00", "#009E73"), strict=True))
FIGURES = {
    "per_query_rho": "per-query rho",
    "top_key_share": "strongest key",
    "recall_at_10": "recall@10",
    "trustworthiness_at_10": "trust@10",
    "mixing_queries": "mixing q",
    "mixing_keys": "mixing k",
}
LIBRARIES = ("numpy", "numba", "umap-learn", "torch", "transformers")

TEXT = """# How far the maps can be trusted

Distance on a map is meant to stand for attention. This page measures how well it does, on real
text and photographs, for every head of three trained models, and gives the reasons for our
defaults. It is written by `python -m benchmarks.fidelity`
({versions}).

Text models read 100 English Wikipedia sentences, the vision model 10 photographs; t-SNE in 2-D;
one seed. Figures are means over heads:

- **per-query rho**: rank correlation of distance and dot product over the keys that one query can
  reach, mean over queries. -1 is ideal. It is what softmax sees: a number that is the same for
  all keys of a query changes nothing. **Pooled rho**: the same over all pairs together.
- **strongest key**: share of queries whose strongest key is among the 3 nearest keys of its
  sequence.
- **recall@10, trust@10**: how many of the 10 nearest points on the map are among the 10 nearest
  in the space, and how far away the false ones are there (Venna and Kaski 2001).
- **mixing q, k**: share of the 10 nearest points that are of the other type, around queries and
  around keys; 0.5 is fully mixed.

## Every head: AttentionViz' method and our default

"Plain" is t-SNE of the neighbours alone (guidance 0), "guided" lets attention edges take
{guidance:.0%} of the affinity.

{all_heads}

![Per-query rho of every head, plain and guided](fidelity-heads.svg)

## How much guidance

{spread} heads spread over the layers of each model.

{guidance_table}

![Per-query rho against recall](fidelity-guidance.svg)

## Neighbours, methods and normalisation

{methods_table}

## The scale c in the space

Queries are multiplied and keys divided by c, then the keys are moved so that both clouds share
one centre. Small c serves the correlation and leaves queries and keys apart; large c mixes them and
loses the order of the keys. Mode `faithful` takes, head by head, the largest c in [0.1, 5] whose
weighted correlation is within 0.005 of the best.

{scale_table}

![Per-query rho and mixing against c](fidelity-scale.svg)

{placement}
{conclusions}
"""


def write_report(rows: list[Row], folder: Path) -> None:
    """Write the page and its three figures into a folder."""
    everywhere, spread, space = _split(rows)
    default = max(row["map"]["guidance"] for row in everywhere)
    _draw_heads(everywhere, folder / "fidelity-heads.svg")
    _draw_guidance(spread, folder / "fidelity-guidance.svg")
    _draw_scale(space, folder / "fidelity-scale.svg")
    faithful = [row for row in spread if row["normalisation"] == "faithful"]
    plain_tsne = [r for r in faithful if _shape(r) == ("tsne", "plain")]
    page = TEXT.format(
        versions=", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        guidance=default,
        all_heads=_table(everywhere, "map", lambda r: _guidance(r, default)),
        spread=len({(r["layer"], r["head"]) for r in spread if r["model"] == MODELS[0]}),
        guidance_table=_table(plain_tsne, "guidance", lambda r: f"{r['map']['guidance']:.2f}"),
        methods_table=_table([r for r in spread if not _is_step(r)], "map", _setting),
        scale_table=_table(space, "c", lambda r: f"{r['scale']:g}"),
        placement=PLACEMENT.read_text(encoding="utf-8"),
        conclusions=CONCLUSIONS.read_text(encoding="utf-8").format(guidance=default),
    )
    (folder / "fidelity.md").write_text(page.rstrip() + "\n", encoding="utf-8")


def _split(rows: list[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """Return rows of the settings measured on all heads, on spread heads, and of the space."""
    maps = [row for row in rows if row["map"]]
    fewest, most = (pick(row["task"] for row in maps) for pick in (min, max))
    everywhere, spread = ([row for row in maps if row["task"] == n] for n in (fewest, most))
    return everywhere, spread, [row for row in rows if not row["map"]]


def _shape(row: Row) -> tuple[str, str]:
    return row["map"]["method"], row["map"]["neighbours"]


def _is_step(row: Row) -> bool:
    """Whether a row belongs to the table of guidances alone."""
    is_usual = row["normalisation"] == "faithful" and _shape(row) == ("tsne", "plain")
    return is_usual and row["map"]["guidance"] not in (0, 0.15)


def _guidance(row: Row, default: float) -> str:
    return "guided" if row["map"]["guidance"] == default else "plain"


def _setting(row: Row) -> str:
    made = row["map"]
    if made["method"] == "pca":
        return f"PCA, {row['normalisation']}"
    name = {"tsne": "t-SNE", "umap": "UMAP"}[made["method"]]
    return f"{name}, {row['normalisation']}, {made['neighbours']}, g = {made['guidance']:g}"


def _table(rows: list[Row], title: str, label: Callable[[Row], str]) -> str:
    """Return a table: model and setting, then the mean of each figure over heads."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["model"], label(row)].append(row)
    shown = {"spearman": "pooled rho"} | FIGURES
    shown = {k: v for k, v in shown.items() if k in rows[0]["figures"]}
    lines = [f"| model | {title} | heads | " + " | ".join(shown.values()) + " |"]
    lines.append("|---|---|--:|" + "--:|" * len(shown))
    for (model, name), found in sorted(groups.items(), key=lambda g: MODELS.index(g[0][0])):
        values = [f"{_mean(found, figure):.3f}" for figure in shown]
        lines.append(f"| {model} | {name} | {len(found)} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def _mean(rows: Iterable[Row], figure: str) -> float:
    return float(np.mean([row["figures"][figure] for row in rows]))


def _draw_heads(rows: list[Row], path: Path) -> None:
    figure, axes = plt.subplots(1, len(MODELS), figsize=(10, 3.6), sharex=True, sharey=True)
    default = max(row["map"]["guidance"] for row in rows)
    for axis, model in zip(axes, MODELS, strict=True):
        found: dict[tuple[int, int], dict[str, float]] = defaultdict(dict)
        for row in rows:
            if row["model"] == model:
                value = row["figures"]["per_query_rho"]
                found[row["layer"], row["head"]][_guidance(row, default)] = value
        points = np.array([(one["plain"], one["guided"]) for one in found.values()])
        axis.plot([-1, 0.4], [-1, 0.4], color="#999999", linewidth=0.8)
        axis.scatter(*points.T, s=9, color=COLOURS[model], alpha=0.7, linewidth=0)
        axis.set(title=f"{model}, {len(points)} heads", xlabel="per-query rho, plain")
    axes[0].set_ylabel("per-query rho, guided")
    _save(figure, path)


def _draw_guidance(rows: list[Row], path: Path) -> None:
    figure, axis = plt.subplots(figsize=(6, 4))
    for model in MODELS:
        curve: dict[float, list[Row]] = defaultdict(list)
        for row in rows:
            is_curve = row["normalisation"] == "faithful" and _shape(row) == ("tsne", "plain")
            if row["model"] == model and is_curve:
                curve[row["map"]["guidance"]].append(row)
        levels = sorted(curve)
        x = [_mean(curve[g], "recall_at_10") for g in levels]
        y = [_mean(curve[g], "per_query_rho") for g in levels]
        axis.plot(x, y, marker="o", markersize=4, color=COLOURS[model], label=model)
        for place, level in zip(zip(x, y, strict=True), levels, strict=True):
            axis.annotate(f"{level:g}", place, xytext=(4, 3), textcoords="offset points", size=7)
    axis.set(xlabel="recall@10 (right is better)", ylabel="per-query rho (down is better)")
    axis.legend(frameon=False)
    _save(figure, path)


def _draw_scale(rows: list[Row], path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    for model in MODELS:
        curve: dict[float, list[Row]] = defaultdict(list)
        for row in rows:
            if row["model"] == model:
                curve[row["scale"]].append(row)
        scales = sorted(curve)
        for axis, name in zip(axes, ("per_query_rho", "mixing"), strict=True):
            values = [_mean(curve[c], name) for c in scales]
            axis.plot(scales, values, marker="o", markersize=3, color=COLOURS[model], label=model)
    for axis, name in zip(axes, ("per-query rho in the space", "mixing in the space"), strict=True):
        axis.set(xscale="log", xlabel="scale c", ylabel=name)
    axes[0].legend(frameon=False)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    mpl.rcParams["svg.hashsalt"] = path.name  # the same file from the same rows
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
