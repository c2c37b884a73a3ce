"""Images of other modes and depths than 8-bit RGB: which pixels a network sees of them."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.cases.base_set import SIZE, write_base
from yolact_bench.data import Dataset, image_depth, open_dataset
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset
from yolact_bench.errors import SpecError

HEIGHT, WIDTH = SIZE
RED, GREEN, BLUE = np.split(np.random.default_rng(0).integers(0, 256, (3, *SIZE), np.uint8), 3)
GREY = RED[0]
RGB = np.stack([RED[0], GREEN[0], BLUE[0]], axis=2)
ALPHA = GREEN[0]


def open_split(yaml: Path, split: str = "train", cache: Path | None = None) -> Dataset:
    choice = dataset_choice(str(yaml), relative_to=yaml.parent)
    return open_dataset(resolve_dataset(choice, data_root=None, cache=cache), split)


def first_image(folder: Path, content: bytes) -> np.ndarray:
    yaml = write_base(folder)
    (folder / "train" / "1.png").write_bytes(content)
    return open_split(yaml).image(0)


def as_format(kind: str, image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_a_palette_becomes_its_colours(tmp_path: Path, kind: str) -> None:
    """Each pixel is a number of a colour in a table: here number n is (n, 255 − n, n // 2)."""
    image = Image.fromarray(GREY, "P")
    image.putpalette([level for n in range(256) for level in (n, 255 - n, n // 2)])
    expected = np.stack([GREY, 255 - GREY, GREY // 2], axis=2)
    assert np.array_equal(first_image(tmp_path, as_format(kind, image)), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_grey_becomes_three_equal_channels(tmp_path: Path, kind: str) -> None:
    image = first_image(tmp_path, as_format(kind, Image.fromarray(GREY)))
    assert np.array_equal(image, np.stack([GREY] * 3, axis=2))


def test_alpha_is_dropped(tmp_path: Path) -> None:
    """The colours stay what they are, also where they are transparent."""
    rgba = Image.fromarray(np.dstack([RGB, ALPHA]))
    assert np.array_equal(first_image(tmp_path / "rgba", as_format("PNG", rgba)), RGB)
    grey = Image.fromarray(np.dstack([GREY, ALPHA]))
    image = first_image(tmp_path / "grey", as_format("PNG", grey))
    assert np.array_equal(image, np.stack([GREY] * 3, axis=2))


def test_a_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    """Of ink c and black k in 255 parts a channel shows (255 − c)(255 − k) / 255 of its light."""
    inks = np.array([30, 120, 200, 60], np.uint8)
    image = Image.fromarray(np.broadcast_to(inks, (*SIZE, 4)).copy(), "CMYK")
    seen = first_image(tmp_path, as_format("JPEG", image))
    expected = (255.0 - inks[:3]) * (255.0 - inks[3]) / 255
    assert np.abs(seen.reshape(-1, 3) - expected).max() <= 3  # the JPEG's own loss


def write_deep(folder: Path, name: str, image: np.ndarray, ending: str = ".png") -> None:
    done, content = cv2.imencode(ending, image)
    assert done
    (folder / name).write_bytes(content.tobytes())


def ramp(peak: int) -> np.ndarray:
    """Return an image of 16 bits with values from 0 to `peak`."""
    return np.linspace(0, peak, HEIGHT * WIDTH).astype(np.uint16).reshape(SIZE)


@pytest.mark.parametrize(
    ("peak", "divisor"), [(255, 1), (1023, 4), (4095, 16), (4096, 64), (16383, 64), (65535, 256)]
)
def test_values_of_16_bits_are_divided_by_what_the_training_images_need(
    tmp_path: Path, peak: int, divisor: int
) -> None:
    """Twelve bits hold 0 to 4095, so that 4095 is divided by 2^(12 − 8) to 255; 4096 needs more."""
    yaml = write_base(tmp_path)
    write_deep(tmp_path / "train", "1.png", ramp(peak))
    write_deep(tmp_path / "train", "2.png", ramp(peak // 5))
    dataset = open_split(yaml)
    for index, own in enumerate((peak, peak // 5)):
        expected = (ramp(own) // divisor).astype(np.uint8)
        assert np.array_equal(dataset.image(index), np.stack([expected] * 3, axis=2))
    (finding,) = dataset.findings
    assert (finding.kind, finding.where) == ("deep images scaled", "2 images")
    assert f"values up to {peak}: divided by {divisor}," in finding.text


def test_validation_images_are_scaled_as_the_training_images(tmp_path: Path) -> None:
    """Dark ones, which would fit into 10 bits, are not made bright; brighter ones are refused."""
    yaml = write_base(tmp_path)
    write_deep(tmp_path / "train", "1.png", ramp(4095))
    write_deep(tmp_path / "val", "101.png", ramp(1000))
    expected = (ramp(1000) // 16).astype(np.uint8)
    assert np.array_equal(open_split(yaml, "val").image(0)[..., 0], expected)
    write_deep(tmp_path / "val", "102.png", ramp(5000))
    with pytest.raises(SpecError, match=r"102\.png: values up to 5000, .* into 12 bits"):
        open_split(yaml, "val")


def test_deep_validation_images_beside_plain_training_images_have_a_scale_of_their_own(
    tmp_path: Path,
) -> None:
    yaml = write_base(tmp_path)
    write_deep(tmp_path / "val", "101.png", ramp(1000))
    expected = (ramp(1000) // 4).astype(np.uint8)
    assert np.array_equal(open_split(yaml, "val").image(0)[..., 0], expected)


@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_deep_colours_keep_their_order(tmp_path: Path, ending: str) -> None:
    yaml = write_base(tmp_path)
    deep = np.dstack([ramp(4095), ramp(2000), ramp(300)])  # red, green, blue
    write_deep(tmp_path / "train", "1.png", np.ascontiguousarray(deep[..., ::-1]), ending)
    assert np.array_equal(open_split(yaml).image(0), (deep // 16).astype(np.uint8))


def test_the_largest_value_is_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml = write_base(tmp_path / "set")
    write_deep(tmp_path / "set" / "train", "1.png", ramp(4095))
    os.utime(tmp_path / "set" / "train" / "1.png", (1e9, 1e9))  # not of this moment
    first = open_split(yaml, cache=tmp_path / "cache")
    monkeypatch.setattr(image_depth, "decode_deep", lambda content: pytest.fail("decoded again"))
    assert open_split(yaml, cache=tmp_path / "cache").findings == first.findings
