"""What the pictures mean, in a few words."""

from __future__ import annotations

from dash import dcc, html
from dash.development.base_component import Component

TEXT = """
# QK Atlas

A transformer decides what to look at by comparing **query** and **key** vectors: the larger their
dot product, the more attention. For every attention head this atlas puts the queries and keys of
many inputs into one picture, in which **near means attended**.

- **Matrix**: all heads, one row a layer. Click a head to open it; type a word to find its tokens.
- **Head**: one head. Hover a point to read it, click it to see the attention of its whole sentence
  or image, turn 3-D maps with the mouse or the arrow keys.
- **Inspect**: one sequence seen by all heads: thumbnails of every head, the lines of one layer's
  heads, and how a single weight comes about, dimension by dimension.
- **Live**: type a text or drop a picture, beside the head or on the inspect pages; mask or replace
  a token and see what changes.
- **Build**: make an atlas of another model or corpus.

## Can I trust what I see?

- Attention is recomputed from the vectors that are stored and compared with the model's own
  weights in every build; an atlas that differs by more than 0.00001 is refused.
- **rho** in a head's title is the rank correlation of distance and dot product over the keys of
  each query: -1 would be perfect. It is shown for the space and for the map, because a flat map
  always loses some of it.
- **Guidance** is the share of real attention in a t-SNE or UMAP map: edges from queries to the keys
  they attend to, in these very sequences, beside the neighbours. It makes near mean attended; a map
  with guidance has therefore seen the attention that it shows. 0 is AttentionViz' method.
- **trust** is trustworthiness: whether neighbours on the map are neighbours in the space. 1 would
  be perfect.
- **mixing** is the share of near points of the other type. Where it is 0, queries and keys lie
  apart, and only the order of distances says something.

## Sources

Yeh et al. 2023, *AttentionViz: A Global View of Transformer Attention* (arXiv 2305.03210). Vig
2019, *A Multiscale Visualization of Attention in the Transformer Model*. Venna and Kaski 2001
(trustworthiness). McInnes et al. 2018 (UMAP). Van der Maaten and Hinton 2008 (t-SNE).
"""


def layout(**_query: str) -> Component:
    """Return the text."""
    return html.Div(dcc.Markdown(TEXT, className="qk-prose"), className="qk-page")
