"""Loads a model with its tokenizer or image processor, always from checked local files, offline."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# huggingface_hub reads this once, when it is first imported: a process that loads models never
# goes online; hub.py downloads, in a process of its own.
os.environ["HF_HUB_OFFLINE"] = "1"
from huggingface_hub import constants
from transformers import (
    AutoImageProcessor,
    AutoModel,
    AutoProcessor,
    AutoTokenizer,
    ProcessorMixin,
)
from transformers.utils import logging as transformers_logging

from pipeline.catalogue import (
    ModelSource,
    NeedsPreparation,
    converted_folder,
    locate,
    read_catalogue,
)
from pipeline.convert import convert_dinov2s, convert_smollm2
from pipeline.errors import ModelError
from pipeline.hub import fetch
from pipeline.memory import require_memory
from pipeline.model_checks import check_keys, check_weights
from pipeline.records import Progress

logger = logging.getLogger(__name__)

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run.

    Parameters
    ----------
    model : transformers base model in evaluation mode, on its device.
    tokenizer : pads on the right; None for a model that reads no text.
    image_processor : None for a model that reads no images.
    source : the files it came from.
    """

    model: Any
    tokenizer: Any
    image_processor: Any
    source: ModelSource


def prepare(name: str, *, cache: Path, hub_cache: Path, report: Callable[[Progress], None]) -> None:
    """Convert or download a model, so that `find_source` finds it; do nothing when it is there.

    Parameters
    ----------
    name, cache, hub_cache : as for `find_source`.
    report : told how far it is; what it raises ends a download.

    Raises
    ------
    ModelError
        if the model is unknown, its package not installed, or the download fails.
    SpaceError
        if the disk is too small for the converted files.
    """
    try:
        locate(name, cache=cache, hub_cache=hub_cache)
    except NeedsPreparation as need:
        wanted = need
    else:
        return
    if wanted.hub_id:
        stage = f"Downloading {wanted.hub_id}"

        def tell(received_bytes: int) -> None:
            report(Progress("prepare", 0, 1, f"{stage}: {received_bytes / 1e6:.0f} MB received"))

        fetch(wanted.hub_id, wanted.revision, hub_cache=hub_cache, report=tell)
    else:
        entry = next(entry for entry in read_catalogue() if entry.name == name)
        report(Progress("prepare", 0, 1, f"Converting {entry.title}, once; up to a minute"))
        converters = {"smollm2": convert_smollm2, "dinov2s": convert_dinov2s}
        converters[name](converted_folder(entry, cache))
    report(Progress("prepare", 1, 1))


def load(source: ModelSource, *, device: str, dtype: str, attention: str | None) -> LoadedModel:
    """Load a model from the files of its source.

    Parameters
    ----------
    source : checked files, as `find_source` returns them.
    device : "cpu" or "cuda".
    dtype : "float32", "bfloat16" or "float16".
    attention : name of an attention function that transformers knows, such as "eager"; None for
        what it takes by default for this architecture.

    Raises
    ------
    ModelError
        if a file has changed since it was found, or is not what transformers can load, if weights
        are missing, have another shape, or are not those of the file.
    MemoryShortage
        if the weights need more memory than is free.
    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is not known; expected one of {', '.join(DTYPES)}")
    go_quiet()
    check_files(source)
    require_memory(source, device)
    try:
        loaded, information = _read(source, dtype, attention)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in the tokenizers library is not an Exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{source.name} could not be loaded: {type(error).__name__}: {reason}; expected files "
            "that transformers can load without remote code; copy or download them again"
        ) from error
    check_keys(source, information)
    check_weights(source, loaded.model)
    loaded.model.to(device)
    logger.info("loaded %s as %s on %s", source.name, dtype, device)
    return loaded


def read_processor(loaded: LoadedModel) -> Any:
    """Read what puts images into texts, around the tokeniser and image processor of a model.

    Raises
    ------
    ModelError
        if there is none, or it cannot be read.
    """
    name = loaded.source.name
    try:
        processor = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            loaded.source.folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"the processor of {name}, which puts images into texts, cannot be read: {reason}"
        ) from error
    if not isinstance(processor, ProcessorMixin) or not hasattr(processor, "image_token"):
        raise ModelError(
            f"{name} has no processor that puts images into texts; expected a "
            "processor_config.json beside its weights that names one"
        )
    processor.tokenizer = loaded.tokenizer
    processor.image_processor = loaded.image_processor
    return processor


def pixels(loaded: LoadedModel, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Prepare images as the model's own image processor does.

    Parameters
    ----------
    images : uint8 arrays of shape (height, width, 3), RGB.

    Returns
    -------
    (n_images, 3, height, width) float32, the model's input.

    Raises
    ------
    ModelError
        if the processor does not make one picture of three channels of each image.
    """
    made = loaded.image_processor(
        images=list(images), return_tensors="np", input_data_format="channels_last"
    )["pixel_values"]
    array = np.asarray(made, dtype=np.float32)
    if array.ndim == 5:  # pieces of images, of which each has one here
        array = array.reshape(-1, *array.shape[2:])
    if array.ndim != 4 or array.shape[:2] != (len(images), 3):
        raise ModelError(
            f"{loaded.source.name}: its image processor makes shape {array.shape} of {len(images)} "
            "images, expected (n, 3, height, width); this kind of processor is not supported"
        )
    return array


def seen(loaded: LoadedModel, pixel_values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Undo the scaling of pixel values: the pictures exactly as the model sees them.

    Parameters
    ----------
    pixel_values : (n_images, 3, height, width) float32, from `pixels`.

    Returns
    -------
    (n_images, height, width, 3) uint8, RGB.
    """
    processor = loaded.image_processor
    pictures = np.moveaxis(pixel_values.astype(np.float64), 1, -1)
    if processor.do_normalize:
        pictures = pictures * np.asarray(processor.image_std) + np.asarray(processor.image_mean)
    if processor.do_rescale:
        pictures = pictures / processor.rescale_factor
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8)


def go_quiet() -> None:
    """Keep transformers offline and silent, also when another room imported it before this one."""
    constants.HF_HUB_OFFLINE = True
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def check_files(source: ModelSource) -> None:
    """Refuse files that are no longer those that were found and named in the cache keys."""
    for name, sha256 in source.files.items():
        try:
            with (source.folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            found = f"unknown ({error})"
        if found != sha256:
            raise ModelError(
                f"{source.folder / name} has changed: its sha256 is {found}, expected {sha256}; "
                "start again, so that results are kept under the right name"
            )


def _read(
    source: ModelSource, dtype: str, attention: str | None
) -> tuple[LoadedModel, dict[str, Any]]:
    """Read model, tokenizer and image processor; return them and transformers' loading report."""
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    model, information = _read_model(source, dtype, attention, local)
    if attention is None and not _can_switch(model):  # capture needs plain attention
        model, information = _read_model(source, dtype, "eager", local)
    tokenizer = image_processor = None
    if source.modality != "image":
        tokenizer = AutoTokenizer.from_pretrained(source.folder, padding_side="right", **local)
        if tokenizer.pad_token is None:  # only a filler, which the attention mask hides
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
        tokenizer("a b")  # a damaged one may load and fail here
    if source.modality != "text":
        image_processor = AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            source.folder,
            backend="pil",  # the same pixels whether torchvision is installed or not
            **local,
        )
        if getattr(image_processor, "do_image_splitting", False):
            image_processor.do_image_splitting = False  # the picture once, in one piece
    return LoadedModel(model.eval(), tokenizer, image_processor, source), information


def _read_model(
    source: ModelSource, dtype: str, attention: str | None, local: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    model, information = AutoModel.from_pretrained(
        source.folder,
        dtype=dtype,
        attn_implementation=attention,
        use_safetensors=True,
        output_loading_info=True,
        **local,
    )
    return model, information


def _can_switch(model: Any) -> bool:
    """Tell whether the attention function of a loaded model can be changed."""
    own = model.config._attn_implementation
    model.set_attn_implementation("eager")
    can_switch: bool = model.config._attn_implementation == "eager"
    if can_switch:
        model.set_attn_implementation(own)
    return can_switch
