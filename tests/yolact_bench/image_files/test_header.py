"""What a header says is what decoding gives."""

import cv2
import numpy as np
import pytest

from tests.support.image_bytes import HEIGHT, TURNED, WIDTH, encode, encode_mode, png_claiming
from yolact_bench.image_files import jpeg
from yolact_bench.image_files.header import Header, read_header
from yolact_bench.image_files.header_fields import UNKNOWN
from yolact_bench.image_files.source import Source


def header_of(content: bytes) -> Header:
    return read_header(Source(content))


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif"])
def test_size_and_wholeness_of_each_format(ending: str) -> None:
    content = encode(ending)
    header = header_of(content)
    assert (header.width, header.height) == header.oriented == (WIDTH, HEIGHT)
    assert (header.bits, header.numbers, header.is_truncated) == (8, "unsigned", False)
    assert "." + header.format in (ending, ".jpeg")
    if ending != ".gif":  # of which many lack the end
        assert header_of(content[: len(content) * 2 // 3]).is_truncated


MODES = [
    ("L", "JPEG", "grey"),
    ("RGB", "JPEG", "rgb"),
    ("CMYK", "JPEG", "cmyk"),
    ("L", "PNG", "grey"),
    ("LA", "PNG", "grey+alpha"),
    ("P", "PNG", "palette"),
    ("RGB", "PNG", "rgb"),
    ("RGBA", "PNG", "rgba"),
    ("RGB", "WEBP", "rgb"),
    ("L", "TIFF", "grey"),
    ("LA", "TIFF", "grey+alpha"),
    ("P", "TIFF", "palette"),
    ("RGB", "TIFF", "rgb"),
    ("RGBA", "TIFF", "rgba"),
    ("CMYK", "TIFF", "cmyk"),
    ("P", "BMP", "palette"),
    ("RGB", "BMP", "rgb"),
]


@pytest.mark.parametrize(("mode", "kind", "name"), MODES)
def test_modes(mode: str, kind: str, name: str) -> None:
    header = header_of(encode_mode(mode, kind))
    assert (header.mode, header.bits, header.is_truncated) == (name, 8, False)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, TURNED, 8])
def test_an_orientation_gives_the_size_that_is_decoded(kind: str, orientation: int) -> None:
    content = encode_mode("RGB", kind, orientation=orientation)
    header = header_of(content)
    assert header.orientation == orientation
    assert (header.width, header.height) == (WIDTH, HEIGHT)
    if kind == "WEBP" and cv2.__version__.startswith("4."):
        return  # it ignores the orientation of this format
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert header.oriented == (image.shape[1], image.shape[0])


@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_sixteen_bits_and_floating_point(ending: str) -> None:
    values = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    header = header_of(encode(ending, values))
    assert (header.bits, header.mode, header.numbers) == (16, "grey", "unsigned")
    if ending == ".tiff":
        kinds = {np.float32: "floating-point", np.int16: "signed"}
        for kind, name in kinds.items():
            assert header_of(encode(ending, values.astype(kind))).numbers == name


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_bytes_behind_the_end_are_nothing(ending: str) -> None:
    """Few, and more than are looked at first; a truncated file is still noticed."""
    content = encode(ending)
    for number in (1, 200, 10_000):
        assert not header_of(content + bytes(number)).is_truncated
        assert header_of(content[:-40] + bytes(number)).is_truncated


def test_a_thumbnail_with_its_own_end_does_not_end_the_picture() -> None:
    jpeg = encode(".jpg")
    with_thumbnail = jpeg[:2] + b"\xff\xe1\x00\x08ab\xff\xd9cd" + jpeg[2:]
    assert not header_of(with_thumbnail).is_truncated
    assert header_of(with_thumbnail[:-2]).is_truncated


def test_what_is_no_image_is_unknown_and_a_part_of_a_header_is_truncated() -> None:
    assert header_of(b"<html>") == UNKNOWN
    for ending in (".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif"):
        assert header_of(encode(ending)[:12]) == UNKNOWN._replace(is_truncated=True)


def test_a_claim_of_any_size_is_read_without_decoding() -> None:
    assert header_of(png_claiming(1_000_000, 900_000)).oriented == (1_000_000, 900_000)


def test_neither_padding_nor_parts_are_walked_through_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jpeg, "_LONGEST_GAP", 100)
    assert header_of(b"\xff\xd8" + b"\xff" * 102 + encode(".jpg")[3:]).is_truncated
    monkeypatch.setattr(jpeg, "MOST_PARTS", 20)
    part = b"\xff\xe0\0\2"
    assert not header_of(b"\xff\xd8" + part * 9 + encode(".jpg")[2:]).is_truncated
    assert header_of(b"\xff\xd8" + part * 20 + encode(".jpg")[2:]).is_truncated


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif"])
def test_no_damage_to_a_header_raises_anything(ending: str) -> None:
    rng, whole = np.random.default_rng(0), encode(ending)
    for _ in range(100):
        content = bytearray(whole)
        for place in rng.integers(2, min(200, len(whole)), 3):
            content[place] = rng.integers(256)
        header_of(bytes(content))
