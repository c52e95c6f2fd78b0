"""Writes `docs/models.md`: every family that capture is tested on, with what was found in it.

`python -m tests.reference.family_table`: saves each family of `families.py` as a folder, runs
`verify` on it, compares what capture hands out with the weights the model itself returns, and
writes the larger of both errors.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pipeline.capture import AttentionCall, attention_weights
from pipeline.masks import with_infinity
from pipeline.store import Store
from pipeline.survey import capturing
from pipeline.verify import verify
from tests.reference.families import FAMILIES, batch_of, own_weights, save_family, tiny_model

TARGET = Path(__file__).parents[2] / "docs" / "models.md"
HEAD = """# Models

Every family below is captured exactly: the attention weights rebuilt from the stored queries and
keys are those that the model itself returns with plain ("eager") attention. The table is written
by `python -m tests.reference.family_table` from the models of the tests: two layers, four heads,
random weights made sharp, float32 on a CPU. *Error* is the largest difference of any weight, over
all layers, heads and parts. Verified with transformers {transformers}, torch {torch}.

- **interface**: the model calls transformers' attention interface; queries and keys are taken in
  the call. **fallback**: it does not; its products and softmaxes are watched, one sequence at a
  time, and what it adds in between is kept as one additive term. Slower, just as exact.
- Biases: *ALiBi* is linear in the place of the key, *relative* depends on the distance alone, *by
  position* is one table for all sequences, *by content* differs between sequences and is stored for
  each: the map then shows the content term, and the position terms are in the weights only.
- Any other model is tried the same way and refused with the reason when a layer cannot be caught
  or rebuilt: `python -m pipeline verify --model X` tells before anything is built. Refused are
  models that attend inside windows or to pooled keys (Swin, Swin v2, Segformer, PVT), or without a
  matrix of tokens by tokens (Longformer, LED, Nystromformer, BigBird's sparse attention).
- A decoder that is shown images (`image_token_id` in its configuration) has two parts for images:
  its image encoder (`--part encoder`, default) and the decoder, which reads image and text in one
  sequence. All that it receives is made by its own processor. Its image tokens are told by their
  number in the vocabulary; they must be as many as the image encoder has patches, or one for each
  square of patches, row by row, after its special tokens where the model keeps them
  (`vision_feature_select_strategy: full`). Tested, rebuilt to 1e-5: LLaVA with both strategies,
  PaliGemma, Idefics 3 (2 x 2 patches a token; `do_image_splitting` is turned off).
- Of encoder-decoder models `--part encoder` (default), `decoder` or `cross` is shown. Models with a
  rotary embedding can be shown `--rotary before` it; their weights stay those after it.

| Family | Error | Route | Kinds | Masks | Bias | Rotary | Notes |
|---|---|---|---|---|---|---|---|
"""


def direct_error(name: str) -> float:
    """Return the largest difference to the model's own weights, call by call."""
    model, batch = tiny_model(name), batch_of(name)
    expected, calls = own_weights(name, model, batch), list[AttentionCall]()
    route = FAMILIES[name].route
    with torch.inference_mode(), capturing(model, calls.append, route=route, unrotated=False):
        model(**batch)
    largest = 0.0
    for call in calls:
        additive = None if call.additive is None else with_infinity(call.additive)
        rebuilt = attention_weights(call, additive)
        errors = [
            float((rebuilt - own).nan_to_num().abs().max()) if own.shape == rebuilt.shape else 9.0
            for own in expected
        ]
        largest = max(largest, min(errors))
        expected.pop(errors.index(min(errors)))
    return largest


def row(name: str, found: dict[str, Any]) -> str:
    """Return one line of the table."""
    layers = found["layers"]

    def listed(key: str) -> str:
        return ", ".join(dict.fromkeys(str(layer[key]) for layer in layers))

    rotary = {True: "yes", False: "no"}[any(layer["has_rotary"] for layer in layers)]
    error = max(found["reconstruction_error_max"], direct_error(name))
    return (
        f"| `{name}` | {error:.1e} | {found['route']} | {listed('kind')} | {listed('mask')} | "
        f"{listed('bias')} | {rotary} | {FAMILIES[name].note} |\n"
    )


def main() -> None:
    """Write the table."""
    text = HEAD.format(transformers=version("transformers"), torch=version("torch"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = Store(root / "store")
        for name in FAMILIES:
            model = str(save_family(name, root / name))
            found = verify(model, store, hub_cache=root, device="cpu")
            text += row(name, found)
            sys.stderr.write(f"{name}\n")
    TARGET.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
