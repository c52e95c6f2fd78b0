"""Labels images with a semantic segmentation model of transformers. Imported in the worker only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation

from pipeline.catalogue import ModelSource
from pipeline.errors import ModelError
from pipeline.images import labels_to_png, png_to_array
from pipeline.model_checks import check_keys
from pipeline.models import check_files, go_quiet
from pipeline.records import LabelMaps, Progress

Report = Callable[[Progress], None]

BACKGROUNDS = {"background", "bg", "other", "others", "unlabeled", "void", "label_0"}
# Of the map before it is spread over the image: 150 classes of an image of 1,024 pixels would need
# 600 MB.
MAX_SIDE = 512


@dataclass(frozen=True)
class Segmenter:
    """A segmentation model ready to run.

    Parameters
    ----------
    model, processor : in evaluation mode, on its device.
    source : the files it came from.
    """

    model: Any
    processor: Any
    source: ModelSource

    @property
    def names(self) -> dict[int, str]:
        """Class number -> name; class 0 is `bg` where the model calls it background."""
        names = {int(number): str(name) for number, name in self.model.config.id2label.items()}
        return {
            n: "bg" if n == 0 and name.lower() in BACKGROUNDS else name for n, name in names.items()
        }


def load_segmenter(source: ModelSource, *, device: str) -> Segmenter:
    """Load a segmentation model from checked files, as `models.load` does other models.

    Raises
    ------
    ModelError
        if it is none, or its weights are incomplete.
    """
    go_quiet()
    check_files(source)
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        model, information = AutoModelForSemanticSegmentation.from_pretrained(
            source.folder, use_safetensors=True, output_loading_info=True, **local
        )
        processor = AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            source.folder, backend="pil", **local
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{source.name} is no semantic segmentation model that can be loaded ({reason}); "
            "expected one such as SegFormer, MobileViT with DeepLabv3 or BEiT, as transformers "
            "saves it"
        ) from error
    check_keys(source, information)
    return Segmenter(model.eval().to(device), processor, source)


def segment(segmenter: Segmenter, images: Iterable[bytes], *, report: Report) -> LabelMaps:
    """Label every pixel of images.

    Parameters
    ----------
    images : PNG files of a corpus.

    Returns
    -------
    Maps in the size of the images.
    """
    pngs = list(images)
    maps = []
    for done, png in enumerate(pngs):
        report(Progress("labels", done, len(pngs), f"labelling with {segmenter.source.name}"))
        maps.append(labels_to_png(segment_image(segmenter, png_to_array(png))))
    source = segmenter.source
    name = source.name + (f"@{source.revision[:8]}" if source.hub_id else "")
    return LabelMaps(tuple(maps), segmenter.names, f"the segmentation model {name}")


def segment_image(segmenter: Segmenter, image: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return the (height, width) most likely class of each pixel of a (height, width, 3) image."""
    model, processor = segmenter.model, segmenter.processor
    # The map must be of the whole image: nothing cut off, nothing added.
    whole = {name: False for name in ("do_center_crop", "do_pad") if hasattr(processor, name)}
    inputs = processor(
        images=[image], return_tensors="pt", input_data_format="channels_last", **whole
    )
    height, width = image.shape[:2]
    scale = min(1.0, MAX_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    with torch.inference_mode():
        logits = model(pixel_values=inputs["pixel_values"].to(model.device)).logits.float()
        fine = torch.nn.functional.interpolate(logits, size=size, mode="bilinear")
        classes = fine.argmax(dim=1, keepdim=True).float()
        full = torch.nn.functional.interpolate(classes, size=(height, width), mode="nearest")
    return full[0, 0].cpu().numpy().astype(np.uint16)
