"""Models that cannot be shown truthfully are refused, with what was seen and what is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers

from pipeline.errors import CaptureError, InputError
from pipeline.store import Store
from pipeline.verify import verify
from tests.reference.families import BOTH_SIDES, TEXT
from tests.unit.pipeline.tiny_models import (
    VIT_PREPROCESSOR,
    save_preprocessor,
    save_word_pieces,
)

STAGES = {"depths": [1, 1], "num_heads": [2, 2], "embed_dim": 16, "image_size": 32,
          "patch_size": 4, "window_size": 4}  # fmt: skip
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "Swin": ("image", STAGES),
    "Swinv2": ("image", STAGES),
    "Longformer": ("text", TEXT | {"attention_window": 4, "pad_token_id": 0}),
    "LED": ("text", BOTH_SIDES | {"attention_window": 4, "max_encoder_position_embeddings": 64,
                                  "max_decoder_position_embeddings": 64}),
    "Nystromformer": ("text", TEXT | {"num_landmarks": 4, "segment_means_seq_len": 8}),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_attention_that_is_not_tokens_by_tokens_is_refused(name: str, tmp_path: Path) -> None:
    reads, settings = REFUSED[name]
    config = getattr(transformers, f"{name}Config")(**settings)
    folder = tmp_path / name
    getattr(transformers, f"{name}Model")(config).save_pretrained(folder)
    if reads == "image":
        save_preprocessor(folder, VIT_PREPROCESSOR)
    else:
        save_word_pieces(folder)
    with pytest.raises((CaptureError, InputError), match="expected"):
        verify(str(folder), Store(tmp_path / "store"), hub_cache=tmp_path, device="cpu")
