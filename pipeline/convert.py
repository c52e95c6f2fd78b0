"""Rewrites packaged models (GGUF, ONNX) as safetensors folders, once, into the cache. No pickle."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.catalogue import ModelEntry, packaged_path, read_catalogue
from pipeline.errors import ModelError, SpaceError
from pipeline.locks import lock

DINOV2S_CONFIG = {
    "architectures": ["Dinov2Model"],
    "dtype": "float32",
    "hidden_size": 384,
    "image_size": 518,
    "model_type": "dinov2",
    "num_attention_heads": 6,
    "num_hidden_layers": 12,
    "patch_size": 14,
}
# As the package prepares an image: fitted into 224 x 224 by averaging areas, black margins on both
# sides, then ImageNet's mean and standard deviation. A centre crop larger than the image pads it.
DINOV2S_PREPROCESSOR = {
    "image_processor_type": "BitImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"max_height": 224, "max_width": 224},
    "resample": 4,  # PIL's BOX
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
POSITION_SHAPES = ((1, 1, 384), (1, 1369, 384))  # [CLS], then 37 x 37 patches


def convert_smollm2(target: Path) -> None:
    """Write SmolLM2 in float32 from its 4-bit GGUF file, with its tokenizer.

    The output layer is tied to the embedding, so the folder loads with and without it.

    Parameters
    ----------
    target : folder to make; it appears whole or not at all, and is left alone when it is there.

    Raises
    ------
    ModelError
        if the package is not installed.
    SpaceError
        if the disk is too small.
    """
    _build(target, _entry("smollm2"), _write_smollm2)


def convert_dinov2s(target: Path) -> None:
    """Write the DINOv2-small backbone of an ONNX graph, with its image processor settings.

    Parameters and errors are those of `convert_smollm2`; also ModelError if the graph is not the
    one that is known.
    """
    _build(target, _entry("dinov2s"), _write_dinov2s)


def _entry(name: str) -> ModelEntry:
    return next(entry for entry in read_catalogue() if entry.name == name)


def _build(target: Path, entry: ModelEntry, write: Callable[[Path, Path], None]) -> None:
    """Let `write(packaged file, folder)` fill a folder and give it its name when it is complete."""
    packaged = packaged_path(entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    with lock(target.with_name(f"{target.name}.lock")):
        if target.is_dir():
            return
        for leftover in target.parent.glob(f"{target.name}.*.part"):
            shutil.rmtree(leftover)
        needed, free = 4 * entry.parameters, shutil.disk_usage(target.parent).free
        if free < needed:
            raise SpaceError(
                f"converting {entry.name} needs {needed / 1e6:,.1f} MB, free {free / 1e6:,.1f} MB "
                f"in {target.parent}; free some space or set QKATLAS_CACHE to a larger disk"
            )
        part = tempfile.mkdtemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
        folder = Path(part)
        try:
            write(packaged, folder)
            for path in (*folder.iterdir(), folder):
                _sync(path)
            folder.rename(target)
            _sync(target.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_smollm2(packaged: Path, folder: Path) -> None:
    """Read GGUF with transformers, which dequantises and renames, and save what it made."""
    # Imported here: seconds of imports that only this one conversion needs.
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"gguf_file": packaged.name, "local_files_only": True}
    with redirect_stderr(io.StringIO()):  # a progress bar that no setting of transformers reaches
        model = AutoModelForCausalLM.from_pretrained(packaged.parent, dtype="float32", **where)
    tensors = {
        name: tensor.contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"  # tied to the embedding; a file may hold shared memory once
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    del model.config.quantization_config  # the weights are no longer quantised
    model.config.save_pretrained(folder)
    AutoTokenizer.from_pretrained(packaged.parent, **where).save_pretrained(folder)


def _write_dinov2s(packaged: Path, folder: Path) -> None:
    from safetensors.numpy import save_file

    tensors = _dinov2s_tensors(packaged)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for name, value in (
        ("config.json", DINOV2S_CONFIG),
        ("preprocessor_config.json", DINOV2S_PREPROCESSOR),
    ):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def _dinov2s_tensors(packaged: Path) -> dict[str, NDArray[np.float32]]:
    """Return the backbone's tensors under their names in DINOv2 checkpoints on the hub.

    Biases, norms, scales and the patch convolution are named in the graph. The weight of a linear
    layer is not: it is the transposed operand of the MatMul whose output a named bias is added to.
    The position embedding has become two constants, known by their shapes.
    """
    import onnx

    graph = onnx.load(packaged).graph
    arrays = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    tensors = {
        name.removeprefix("backbone."): array
        for name, array in arrays.items()
        if name.startswith("backbone.")
    }
    for node in graph.node:
        bias = next((name for name in node.input if name.endswith(".bias")), "")
        product = next((made_by[name] for name in node.input if name in made_by), node)
        if node.op_type == "Add" and bias.startswith("backbone.") and product.op_type == "MatMul":
            name = bias.removeprefix("backbone.").removesuffix("bias") + "weight"
            tensors[name] = np.ascontiguousarray(arrays[product.input[1]].T)
    unnamed = {array.shape: array for name, array in arrays.items() if name.startswith("onnx::")}
    if not all(shape in unnamed for shape in POSITION_SHAPES):
        raise ModelError(
            f"{packaged} has no position embedding of shapes {POSITION_SHAPES}; expected the graph "
            "of the pinned package version; install that version again"
        )
    positions = [unnamed[shape] for shape in POSITION_SHAPES]
    tensors["embeddings.position_embeddings"] = np.concatenate(positions, axis=1)
    return tensors
