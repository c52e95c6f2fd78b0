"""Pictures are decoded in a child that may be lost without losing the corpus."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import decoder as room
from pipeline.corpora import load_corpus
from pipeline.decoder import Decoder
from pipeline.errors import InputError
from pipeline.images import decode_image


def png(size: tuple[int, int], colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def test_the_child_decodes_as_this_process_does() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    with Decoder() as decoder:
        for data in (png((1, 1)), file.getvalue(), png((2000, 10))):
            assert decoder.decode(data, name="a") == decode_image(data, name="a")


def test_what_is_wrong_with_a_picture_is_said_and_the_next_one_is_decoded() -> None:
    with Decoder() as decoder:
        with pytest.raises(InputError, match=r"'a\.png' is not a picture that can be read"):
            decoder.decode(b"text", name="a.png")
        child = decoder._child
        assert decoder.decode(png((2, 2)), name="b.png")
        assert decoder._child is child


def test_a_picture_that_needs_too_much_memory_is_refused_and_the_next_one_decoded() -> None:
    with Decoder(memory_bytes=40 * 2**20) as decoder:
        with pytest.raises(InputError, match=r"'big.png' (needs more|cannot be decoded within 40)"):
            decoder.decode(png((4400, 4400)), name="big.png")
        assert decoder.decode(png((2, 2)), name="b.png")


def test_a_child_that_is_lost_costs_one_picture() -> None:
    with Decoder() as decoder:
        decoder.decode(png((2, 2)), name="a.png")
        assert decoder._child is not None
        decoder._child.kill()
        decoder._child.wait()
        with pytest.raises(InputError, match=r"'b\.png' cannot be decoded"):
            decoder.decode(png((2, 2)), name="b.png")
        assert decoder.decode(png((2, 2)), name="c.png")


def test_a_picture_that_takes_too_long_is_stopped_by_the_kernel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A picture that needs that long cannot be made small enough for a test, so a program that never
    # ends stands in for the decoding; limits and protocol are the real ones.
    program = tmp_path / "slow.py"
    program.write_text(
        "import sys\nfrom pipeline import decoder\n"
        "def loop(data, name):\n    while True: pass\n"
        "decoder._decoded = loop\ndecoder.main(int(sys.argv[1]), int(sys.argv[2]))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(room.__file__).parents[1]))
    with Decoder(cpu_s=1) as decoder:
        decoder._command[1:3] = [str(program)]
        with pytest.raises(InputError, match="more than 1 s of processor time"):
            decoder.decode(png((2, 2)), name="slow.png")


def test_a_folder_of_bad_pictures_loads_the_good_ones_and_says_what_was_left_out(
    tmp_path: Path,
) -> None:
    bomb = bytearray(png((1, 1)))
    bomb[16:24] = (50_000).to_bytes(4, "big") * 2  # says that it is 50,000 pixels wide and high
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    files = {
        "bomb.png": bytes(bomb), "cut.png": png((90, 90))[:60], "text.jpg": b"a text",
        "named.jpg": png((5, 5)), "one.png": png((1, 1)),
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    Image.new("CMYK", (6, 6)).save(tmp_path / "print.jpg")
    Image.fromarray(np.full((6, 6), 40_000, np.uint16)).save(tmp_path / "sixteen.png")
    frames = [Image.new("RGB", (6, 6), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moves.webp", save_all=True, append_images=frames[1:])
    corpus = load_corpus(str(tmp_path))
    assert corpus.labels == ("moves.webp", "named.jpg", "one.png", "print.jpg", "sixteen.png")
    assert len(corpus.left_out) == 3
    for name, word in (("bomb.png", "too large"), ("cut.png", "damaged"), ("text.jpg", "not a")):
        assert any(name in note and word in note for note in corpus.left_out)
