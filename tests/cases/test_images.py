"""Image files that people really had: what is used, and what stops a command before it begins."""

import copy
import io
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from runners.units.workplace import Datasets
from tests.cases.base_set import SIZE, base_content, draw_images, write_base
from tests.support.image_bytes import TURNED, png_claiming
from yolact_bench.data import Dataset, open_dataset
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset
from yolact_bench.errors import ArmError, SpecError

HEIGHT, WIDTH = SIZE


def open_split(yaml: Path, split: str = "train") -> Dataset:
    spec = resolve_dataset(dataset_choice(str(yaml), relative_to=yaml.parent), data_root=None)
    return open_dataset(spec, split)


def kinds(dataset: Dataset) -> list[str]:
    return [finding.kind for finding in dataset.findings]


def as_format(kind: str, image: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


BREAK: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "0 bytes": (lambda whole: b"", "0 bytes"),
    "half a PNG": (lambda whole: whole[: len(whole) // 2], "truncated"),
    "a web page": (lambda whole: b"<html>404</html>", "not an image that can be read"),
    "width and height swapped": (
        lambda whole: as_format("PNG", np.zeros((WIDTH, HEIGHT, 3), np.uint8)),
        r"72 x 96 px, but annotated as 96 x 72 \(width and height swapped\)",
    ),
    "half a JPEG": (
        lambda whole: as_format("JPEG", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[:-400],
        "truncated",
    ),
    "a bomb": (
        lambda whole: png_claiming(100_000, 100_000),
        "100000 x 100000 px by its header, and more than 268 million px",
    ),
    "floating point": (
        lambda whole: as_format("TIFF", np.zeros(SIZE, np.float32)),
        "tiff of floating-point numbers of 32 bits; convert it to 8 or 16 bits",
    ),
}


@pytest.mark.parametrize("what", BREAK)
def test_a_broken_validation_image_is_noticed_when_the_split_is_opened(
    tmp_path: Path, what: str
) -> None:
    change, message = BREAK[what]
    yaml = write_base(tmp_path)
    file = tmp_path / "val" / "103.png"
    file.write_bytes(change(file.read_bytes()))
    open_split(yaml, "train")
    with pytest.raises(SpecError, match=rf"1 of its 6 images cannot .*103\.png: {message}"):
        open_split(yaml, "val")


def test_all_broken_images_are_in_one_message_and_of_many_the_first_20(tmp_path: Path) -> None:
    yaml = write_base(tmp_path)
    for name in ("1.png", "2.png"):
        (tmp_path / "train" / name).unlink()
    (tmp_path / "train" / "5.png").write_bytes(b"")
    with pytest.raises(SpecError) as caught:
        open_split(yaml)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{tmp_path / 'train.json'}: 3 of its 6 images cannot be used; ")
    assert [line.strip().partition(" (")[0] for line in lines[1:]] == [
        "1.png: does not exist",
        "2.png: does not exist",
        "5.png: 0 bytes",
    ]
    many = base_content()
    many["images"] += [{**many["images"][0], "id": n, "file_name": f"{n}"} for n in range(100, 130)]
    (tmp_path / "train.json").write_text(json.dumps(many))
    with pytest.raises(SpecError) as caught:
        open_split(yaml)
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1].strip()) == (1 + 20 + 1, "and 13 more")  # 3 + 30 − 20


def test_what_a_training_needs_is_in_one_message_before_it_begins(tmp_path: Path) -> None:
    yaml = write_base(tmp_path)
    (tmp_path / "train" / "2.png").unlink()
    (tmp_path / "val" / "104.png").write_bytes(b"")
    spec = resolve_dataset(dataset_choice(str(yaml), relative_to=yaml.parent), data_root=None)
    with pytest.raises(SpecError) as caught:
        Datasets().open_all([(spec, "train"), (spec, "val")])
    assert "2.png: does not exist" in str(caught.value)
    assert "104.png: 0 bytes" in str(caught.value)


def test_opencv_adds_no_lines_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It would print an error of several lines, without the name of the file."""
    yaml = write_base(tmp_path)
    file = tmp_path / "train" / "1.png"
    dataset = open_split(yaml)
    file.write_bytes(as_format("TIFF", np.zeros(SIZE, np.float32)))
    with pytest.raises(ArmError, match=r"1\.png: cannot be decoded"):
        dataset.image(0)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("number", [1, 200, 9000])
def test_bytes_behind_the_end_are_no_harm(tmp_path: Path, kind: str, number: int) -> None:
    yaml = write_base(tmp_path)
    file = tmp_path / "train" / "1.png"
    image = np.full((*SIZE, 3), 7, np.uint8)
    file.write_bytes(as_format(kind, image) + b"x" * number)
    assert np.array_equal(open_split(yaml).image(0), image)


NAMES = {
    "images\\1.png": "1.png",
    "a%20b.png": "a b.png",
    "https://host/set/y.png?size=large": "y.png",
    "/data/upload/1/1.png": "1.png",
    "file:///srv/1.png": "1.png",
    "1.PNG": "1.png",
    "1": "1.png",
    "é.png": unicodedata.normalize("NFD", "é.png"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_as_a_tool_writes_it_is_read_with_a_finding(tmp_path: Path, name: str) -> None:
    yaml = write_base(tmp_path)
    before = open_split(yaml).image(0)
    (tmp_path / "train" / "1.png").rename(tmp_path / "train" / NAMES[name])
    content = base_content()
    content["images"][0]["file_name"] = name
    (tmp_path / "train.json").write_text(json.dumps(content))
    dataset = open_split(yaml)
    assert np.array_equal(dataset.image(0), before)
    assert kinds(dataset) == ["image name read"]
    assert (dataset.findings[0].where, dataset.findings[0].text) == (
        "image 1",
        f"{name} is {NAMES[name]}",
    )


def test_a_size_that_is_not_stated_is_that_of_the_file_a_name_means(tmp_path: Path) -> None:
    yaml = write_base(tmp_path)
    content = base_content()
    for image in content["images"]:
        image["file_name"] = f"/data/upload/{image['file_name']}"
        del image["width"], image["height"]
    (tmp_path / "train.json").write_text(json.dumps(content))
    dataset = open_split(yaml)
    assert dataset.image(3).shape == (*SIZE, 3)
    assert sorted(set(kinds(dataset))) == ["image name read", "image size taken"]


def test_a_name_outside_the_folder_is_read_where_it_is_exact(tmp_path: Path) -> None:
    yaml = write_base(tmp_path)
    content = base_content()
    (tmp_path / "train" / "1.png").rename(tmp_path / "beside.png")
    content["images"][0]["file_name"] = "../beside.png"
    (tmp_path / "train.json").write_text(json.dumps(content))
    dataset = open_split(yaml)
    assert dataset.image(0).shape == (*SIZE, 3)
    assert kinds(dataset) == []


def test_a_wrong_name_comes_with_the_nearest(tmp_path: Path) -> None:
    content = base_content()
    yaml = write_base(tmp_path)
    content["images"][0]["file_name"] = "11.png"
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(SpecError, match=r"11\.png: does not exist \(nearest: 1\.png"):
        open_split(yaml)


def test_one_file_under_two_ids_and_a_copy_under_another_name_are_findings(tmp_path: Path) -> None:
    yaml = write_base(tmp_path)
    content = copy.deepcopy(base_content())
    content["images"][4]["file_name"] = "1.png"
    (tmp_path / "train" / "6.png").write_bytes((tmp_path / "train" / "2.png").read_bytes())
    (tmp_path / "train.json").write_text(json.dumps(content))
    dataset = open_split(yaml)
    assert [(one.kind, one.where, one.text) for one in dataset.findings] == [
        ("image under two ids", "image 5", "the file 1.png, image 1"),
        ("image under two ids", "image 6", "6.png is a copy of 2.png, image 2"),
    ]


def test_a_training_image_among_the_validation_images_is_a_leak(tmp_path: Path) -> None:
    yaml = write_base(tmp_path)
    (tmp_path / "val" / "103.png").write_bytes((tmp_path / "train" / "2.png").read_bytes())
    assert kinds(open_split(yaml, "train")) == []
    (finding,) = open_split(yaml, "val").findings
    assert (finding.kind, finding.where, finding.text) == (
        "training image in another split",
        "image 103",
        "103.png is a copy of 2.png",
    )


def test_an_orientation_is_obeyed_or_ignored_as_the_annotated_size_asks(tmp_path: Path) -> None:
    """Orientation 6: the stored image turned by 90° clockwise is how it is seen."""
    yaml = write_base(tmp_path)
    stored = np.zeros((WIDTH, HEIGHT, 3), np.uint8)
    stored[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = TURNED
    content = as_format("PNG", stored, exif=exif)
    (tmp_path / "train" / "1.png").write_bytes(content)  # annotated as seen: 96 x 72
    dataset = open_split(yaml)
    assert np.array_equal(dataset.image(0), np.rot90(stored, k=-1))
    assert kinds(dataset) == []
    other = base_content()
    other["images"][0] |= {"width": HEIGHT, "height": WIDTH}  # as stored: 72 x 96
    del other["annotations"][1]  # the object to the right of that
    (tmp_path / "train.json").write_text(json.dumps(other))
    dataset = open_split(yaml)
    assert np.array_equal(dataset.image(0), stored)
    assert kinds(dataset) == ["orientation ignored"]


def test_a_picture_65000_px_wide_is_read(tmp_path: Path) -> None:
    yaml = write_base(tmp_path)
    content = base_content()
    content["images"][0] |= {"width": 65_000, "height": 80}
    (tmp_path / "train.json").write_text(json.dumps(content))
    cv2.imwrite(str(tmp_path / "train" / "1.png"), np.zeros((80, 65_000), np.uint8))
    assert open_split(yaml).image(0).shape == (80, 65_000, 3)


def test_annotations_with_images_of_another_folder_are_another_split(tmp_path: Path) -> None:
    """As in an ablation of two ways in which images are compressed."""
    yaml = write_base(tmp_path)
    other = tmp_path / "other.yaml"
    other.write_text(yaml.read_text().replace("images: val", "images: noise"))
    draw_images(tmp_path / "noise", [f"{n}.png" for n in range(101, 107)], seed=9)
    datasets = Datasets()
    one, two = (
        datasets.open(
            resolve_dataset(dataset_choice(str(file), relative_to=tmp_path), data_root=None), "val"
        )
        for file in (yaml, other)
    )
    assert one is not two
    assert (one.image(0) != two.image(0)).any()
