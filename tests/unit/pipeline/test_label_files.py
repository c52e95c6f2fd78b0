"""Masks beside images and COCO files, and what is said of those that do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.corpora import load_corpus
from pipeline.errors import InputError
from pipeline.images import png_to_labels
from pipeline.records import LabelMaps

HEIGHT, WIDTH = 6, 10


def save_image(folder: Path, name: str, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    folder.mkdir(exist_ok=True)
    Image.new("RGB", size, "red").save(folder / name)


def halves(left: Any, right: Any, dtype: Any = np.uint8) -> NDArray[Any]:
    """Return an array whose left four columns are one value and whose others are another."""
    values = np.zeros((HEIGHT, WIDTH, *np.shape(left)), dtype=dtype)
    values[:, :4], values[:, 4:] = left, right
    return values


def maps_of(folder: Path) -> LabelMaps:
    maps = load_corpus(str(folder)).label_maps
    assert maps is not None
    return maps


def named(maps: LabelMaps, image: int = 0) -> tuple[str, str]:
    """Return the names of the left and the right half of an image."""
    labels = png_to_labels(maps.maps[image])
    assert np.array_equal(labels, halves(labels[0, 0], labels[0, 9], np.uint16))
    return maps.names[int(labels[0, 0])], maps.names[int(labels[0, 9])]


def test_an_index_mask_beside_an_image_has_the_names_of_classes_json(tmp_path: Path) -> None:
    save_image(tmp_path, "cat.jpg")
    Image.fromarray(halves(0, 7)).save(tmp_path / "cat.mask.png")
    (tmp_path / "classes.json").write_text('{"7": "person"}')
    corpus = load_corpus(str(tmp_path))
    assert corpus.labels == ("cat.jpg",)  # the mask is no image of its own
    assert corpus.label_maps is not None
    assert named(corpus.label_maps) == ("bg", "person")
    assert corpus.label_maps.source == "masks beside the images"


def test_a_palette_means_nothing_and_16_bits_are_kept(tmp_path: Path) -> None:
    for name, mask in (
        ("a", Image.fromarray(halves(1, 2)).convert("P")),
        ("b", Image.fromarray(halves(1, 300, np.uint16))),
    ):
        save_image(tmp_path, f"{name}.png")
        if mask.mode == "P":
            mask.putpalette([255, 0, 0] * 256)
        mask.save(tmp_path / f"{name}.mask.png")
    maps = maps_of(tmp_path)
    assert named(maps, 0) == ("class 1", "class 2")
    assert named(maps, 1) == ("class 1", "class 300")


def test_a_mask_of_colours_has_a_class_for_each_and_black_is_none(tmp_path: Path) -> None:
    save_image(tmp_path, "cat.png")
    save_image(tmp_path, "dog.png")
    masks = tmp_path / "masks"
    masks.mkdir()
    Image.fromarray(halves((0, 0, 0), (255, 0, 0))).save(masks / "cat.png")
    Image.fromarray(halves((255, 0, 0), (0, 0, 255))).save(masks / "dog.png")
    (tmp_path / "classes.json").write_text('{"#FF0000": "car"}')
    maps = maps_of(tmp_path)
    assert named(maps, 0) == ("bg", "car")
    assert named(maps, 1) == ("car", "#0000ff")


def test_a_mask_follows_its_image_when_that_is_reduced_and_turned(tmp_path: Path) -> None:
    tmp_path.mkdir(exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter: it is looked at upright, 1,000 x 2,000
    Image.new("RGB", (2000, 1000), "red").save(tmp_path / "cat.jpg", exif=exif)
    mask = np.ones((2000, 1000), np.uint8)
    mask[1000:] = 2
    Image.fromarray(mask).save(tmp_path / "cat.mask.png")
    corpus = load_corpus(str(tmp_path))
    assert corpus.label_maps is not None
    labels = png_to_labels(corpus.label_maps.maps[0])
    assert labels.shape == (1024, 512)
    assert (labels[:512] == 1).all()
    assert (labels[512:] == 2).all()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (halves(1, 2)[:, :-1], "is 9 x 6 pixels, its image 'cat.png' 10 x 6"),
        (halves(1, 2000, np.uint16), "class number 2000; expected less than 1000"),
    ],
)
def test_a_mask_that_does_not_fit_is_left_out_and_said(
    mask: NDArray[Any], message: str, tmp_path: Path
) -> None:
    save_image(tmp_path, "cat.png")
    save_image(tmp_path, "dog.png")
    Image.fromarray(mask).save(tmp_path / "cat.mask.png")
    Image.fromarray(halves(1, 2)).save(tmp_path / "dog.mask.png")
    corpus = load_corpus(str(tmp_path))
    assert corpus.label_maps is not None
    assert corpus.label_maps.maps[0] == b""
    assert named(corpus.label_maps, 1) == ("class 1", "class 2")
    [note] = [note for note in corpus.left_out if message in note]
    assert note in corpus.label_maps.notes


def test_a_damaged_mask_and_one_with_smooth_edges_are_left_out(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_image(tmp_path, f"{name}.png", (64, 64))
    (tmp_path / "a.mask.png").write_bytes(b"\x89PNG no")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "b.mask.png")
    corpus = load_corpus(str(tmp_path))
    assert corpus.n_sequences == 2
    assert corpus.label_maps is None
    for word in ("a.mask.png", "colours"):
        assert any(word in note for note in corpus.left_out)


def test_classes_that_are_not_named_as_expected_are_refused(tmp_path: Path) -> None:
    save_image(tmp_path, "cat.png")
    (tmp_path / "classes.json").write_text('["person"]')
    with pytest.raises(InputError, match=r"classes\.json does not name classes; expected"):
        load_corpus(str(tmp_path))


def coco(annotations: list[dict[str, Any]]) -> str:
    return json.dumps({
        "images": [{"id": 5, "file_name": "train/cat.png"}],
        "categories": [{"id": 90, "name": "cat"}, {"id": 3, "name": "grass"}],
        "annotations": annotations,
    })  # fmt: skip


def compressed(runs: list[int]) -> str:
    """Write run lengths as COCO's tools do (`rleToString`)."""
    text = ""
    for i, run in enumerate(runs):
        value = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            part = value & 31
            value >>= 5
            more = value != -1 if part & 16 else value != 0
            text += chr((part | 32 if more else part) + 48)
    return text


def test_run_lengths_are_read_as_cocos_own_tools_write_them() -> None:
    from pipeline.coco import _runs

    runs = [6, 1, 40, 4, 5, 4, 5, 2000, 21, 0, 7]
    assert _runs(compressed(runs)) == runs
    # By hand: 37 is five bits of 5 with more to come, then 1.
    assert _runs("U16") == [37, 6]


SEGMENTATIONS = {
    "polygon": [[4, 0, 9, 0, 9, 5, 4, 5]],
    "runs": {"size": [HEIGHT, WIDTH], "counts": [24, 36]},
    "compressed": {"size": [HEIGHT, WIDTH], "counts": compressed([24, 36])},
}


@pytest.mark.parametrize("kind", SEGMENTATIONS)
def test_instances_and_stuff_of_coco_are_drawn(kind: str, tmp_path: Path) -> None:
    save_image(tmp_path, "cat.png")
    row = {"image_id": 5, "category_id": 90, "segmentation": SEGMENTATIONS[kind]}
    (tmp_path / "instances.json").write_text(coco([row]))
    maps = maps_of(tmp_path)
    assert named(maps) == ("bg", "cat")
    assert maps.source == "instances.json (COCO) in the folder"


def test_panoptic_segments_of_coco_are_those_of_their_mask(tmp_path: Path) -> None:
    save_image(tmp_path, "cat.png")
    segment = 7 + 256 * 2 + 65536 * 1
    masks = tmp_path / "panoptic"
    masks.mkdir()
    Image.fromarray(halves((0, 1, 0), (7, 2, 1))).save(masks / "cat.png")
    row = {"image_id": 5, "file_name": "cat.png", "segments_info": [
        {"id": 256, "category_id": 3}, {"id": segment, "category_id": 90}]}  # fmt: skip
    (tmp_path / "panoptic.json").write_text(coco([row]))
    assert named(maps_of(tmp_path)) == ("grass", "cat")


def test_annotations_that_do_not_fit_are_left_out_and_said(tmp_path: Path) -> None:
    save_image(tmp_path, "cat.png")
    row = {"image_id": 5, "category_id": 90, "segmentation": {"size": [2, 2], "counts": [1, 3]}}
    (tmp_path / "instances.json").write_text(coco([row]))
    corpus = load_corpus(str(tmp_path))
    assert corpus.label_maps is None
    assert "annotations of 'cat.png' cannot be read" in corpus.left_out[-1]


def test_two_coco_files_are_refused(tmp_path: Path) -> None:
    save_image(tmp_path, "cat.png")
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(coco([]))
    with pytest.raises(InputError, match=r"several COCO files \(a.json, b.json\)"):
        load_corpus(str(tmp_path))


def test_texts_beside_images_are_named_and_the_images_loaded(tmp_path: Path) -> None:
    save_image(tmp_path, "cat.png")
    for name in ("notes.txt", "table.csv", "old.gif"):
        (tmp_path / name).write_text("text")
    corpus = load_corpus(str(tmp_path))
    assert corpus.n_sequences == 1
    assert corpus.left_out == (
        "files that are no images were left out: 'notes.txt', 'old.gif', 'table.csv'; "
        "a corpus is of images or of texts",
    )
