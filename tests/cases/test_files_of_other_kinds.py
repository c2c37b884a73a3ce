"""Files that are not what their names say: one message says what they are."""

import gzip
import json
from pathlib import Path

import pytest

from tests.cases.base_set import base_content, write_base
from yolact_bench.data import open_dataset
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset
from yolact_bench.errors import SpecError
from yolact_bench.weights.state_file import read_state

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
WEB_PAGE = b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html><body>404 Not Found</body></html>"
TEXT = json.dumps(base_content())
FILES = {
    "pointer": (POINTER, "pointer of Git LFS.*git lfs pull"),
    "web page": (WEB_PAGE, "a web page, as of a download that failed"),
    "gzip": (gzip.compress(TEXT.encode()), "compressed by gzip: unpack it"),
    "zip": (b"PK\x03\x04" + bytes(300), "a ZIP archive"),
    "xml": (b"<?xml version='1.0'?><annotation/>", "XML, as of Pascal VOC"),
    "empty": (b"", r"not JSON \(empty\)"),
    "blank": (b" \n", r"not JSON \(empty\)"),
    "lines": (b'{"id": 1}\n{"id": 2}\n', "val.json:2:1: .*JSON Lines"),
    "cut": (TEXT[:-300].encode(), "the file ends too early"),
    "cut in a word": (TEXT[: TEXT.index("file_name") + 3].encode(), "the file ends too early"),
    "printed": (str(base_content()).encode(), "single quotes, as Python prints"),
}
OBJECT = base_content()["annotations"][0]
SHAPES = {"version": "5", "shapes": [], "imagePath": "1.png", "imageHeight": 72}
REGIONS = {"filename": "1.png", "size": 9, "regions": []}
LIKENESSES: list[tuple[object, str]] = [
    ([OBJECT | {"score": 0.9}], "got detections, the results of a network"),
    ([OBJECT], "got a list of annotations alone"),
    (SHAPES, "got one image of labelme; convert the folder: yolact-bench data convert"),
    ({"1.png9": REGIONS}, "got a project of VGG Image Annotator; export"),
    ([{"id": 1, "annotations": [], "data": {"image": "1.png"}}], "got tasks of Label Studio"),
    ({"tags": [], "size": {"height": 72}, "objects": []}, "got one image of Supervisely"),
    ({"info": {}, "categories": {"label": {}}, "items": []}, "'categories': expected a list"),
    ({"info": {}, "items": []}, "got a dict without them"),
    ([], "got a list without them"),
    (None, "got a NoneType without them"),
    (base_content() | {"annotations": {"1": OBJECT}}, "'annotations': expected a list of objects"),
    (
        {"images": [], "annotations": [{"image_id": 1, "caption": "A cat."}]},
        "'caption', as in image captions; name the file of the objects",
    ),
    (
        base_content() | {"annotations": [{"image_id": 1, "segments_info": []}]},
        "'segments_info', as in panoptic segmentation",
    ),
]


def read_raw(folder: Path, data: bytes) -> None:
    path = write_base(folder)
    (folder / "val.json").write_bytes(data)
    spec = resolve_dataset(dataset_choice(str(path), relative_to=folder), data_root=None)
    open_dataset(spec, "val")


@pytest.mark.parametrize("name", FILES)
def test_an_annotation_file_of_another_kind_is_named(tmp_path: Path, name: str) -> None:
    data, message = FILES[name]
    with pytest.raises(SpecError, match=message):
        read_raw(tmp_path, data)


@pytest.mark.parametrize(("content", "message"), LIKENESSES)
def test_json_of_another_tool_is_named_in_one_message(
    tmp_path: Path, content: object, message: str
) -> None:
    with pytest.raises(SpecError, match=message) as error:
        read_raw(tmp_path, json.dumps(content).encode())
    assert "is empty" not in str(error.value)


@pytest.mark.parametrize(("data", "message"), [
    (POINTER, r"2.png: not an image that can be read \(a pointer of Git LFS"),
    (WEB_PAGE, r"2.png: not an image that can be read \(a web page"),
    (b"\0\0\0\x18ftypheic" + bytes(500), r"not an image that can be read \(an image in HEIF"),
    (b"no image at all", "not an image that can be read; convert it"),
])  # fmt: skip
def test_an_image_file_of_another_kind_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = write_base(tmp_path)
    (tmp_path / "train" / "2.png").write_bytes(data)
    spec = resolve_dataset(dataset_choice(str(path), relative_to=tmp_path), data_root=None)
    with pytest.raises(SpecError, match=message):
        open_dataset(spec, "train")


@pytest.mark.parametrize(("data", "message"), [
    (POINTER, "is not a PyTorch checkpoint, but a pointer of Git LFS"),
    (WEB_PAGE, "is not a PyTorch checkpoint, but a web page"),
    (b"PK\x03\x04" + bytes(300), "is not a PyTorch checkpoint, or is damaged"),
])  # fmt: skip
def test_weights_of_another_kind_are_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    with pytest.raises(SpecError, match=message):
        read_state(path, where="weights")
