"""Builds the sample corpus of photographs, which lie inside the installed scikit-image package."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import InputError
from pipeline.images import array_to_png, decode_image, png_to_array
from pipeline.records import Corpus
from pipeline.samples import CorpusInfo

SIDE = 224

# File, origin and licence, as the documentation of skimage.data names them. Photographs whose
# licence it does not name are left out.
_PHOTOS = (
    ("astronaut.png", "NASA Great Images database", "public domain"),
    ("chelsea.png", "Stefan van der Walt", "CC0"),
    ("coffee.png", "Rachel Michetti, courtesy of Pikolo Espresso Bar", "CC0"),
    ("rocket.jpg", "SpaceX", "public domain"),
    ("camera.png", "Lav Varshney", "CC0"),
    ("coins.png", "Brooklyn Museum Collection", "no known copyright restrictions"),
    ("retina.jpg", "Mikael Häggström, Wikimedia Commons", "CC0"),
    ("hubble_deep_field.jpg", "NASA, HubbleSite", "public domain"),
    ("ihc.png", "Center for Microscopy And Molecular Imaging", "no known copyright restrictions"),
)


def build_photos(info: CorpusInfo) -> Corpus:
    """Return the photographs, each cut to its middle square and reduced to 224 x 224 pixels.

    Returns
    -------
    A corpus with the columns `origin` and `licence`, one value a photograph.

    Raises
    ------
    InputError
        If scikit-image is not installed, or without its pictures.
    """
    names, origins, licences = zip(*_PHOTOS, strict=True)
    return Corpus(
        info.name,
        info.modality,
        info.source,
        info.licence,
        images=tuple(_read_square(name) for name in names),
        labels=tuple(name.partition(".")[0].replace("_", " ") for name in names),
        columns={"origin": origins, "licence": licences},
    )


def _read_square(file_name: str) -> bytes:
    try:
        data = files("skimage").joinpath("data", file_name).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise InputError(
            f"the photographs are not there ({error}); they come with scikit-image: "
            "install it with `pip install scikit-image`"
        ) from error
    photo = Image.fromarray(png_to_array(decode_image(data, name=file_name)))
    square = ImageOps.fit(photo, (SIDE, SIDE), Image.Resampling.LANCZOS)
    return array_to_png(np.asarray(square))
