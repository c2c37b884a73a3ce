"""JSON files that cannot be used are refused by name, whatever is wrong with them."""

from pathlib import Path

import pytest

from runners.evaluation.coco.index import indices
from yolact_bench.coco_fields import is_number
from yolact_bench.errors import SpecError
from yolact_bench.json_file import read_json


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a" 1}', r"x\.json:1:6: not JSON"),
        (b"\xff", r"x\.json:1: not JSON \(not a text in UTF-8: byte 0xff, as in Latin-1"),
        (b"1" * 5000, r"x\.json: not JSON \(a number of 5,000 characters"),
        (b'{"a": -' + b"9" * 100 + b"}", r"x\.json: not JSON \(a number of 101 characters"),
        (b"[" * 100_000, r"x\.json: not JSON \(nested too deep"),
        (b'[{"a": 1, "b": 2, "a": 3}]', r"x\.json: not JSON \(the key 'a' is given twice"),
    ],
)
def test_what_is_not_json_is_refused_with_its_file(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=message):
        read_json(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_every_encoding_of_unicode_is_read(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"name": "größe"}', encoding=encoding)
    assert read_json(path) == {"name": "größe"}


def test_a_text_is_no_list_of_detections(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('"segm"')
    with pytest.raises(SpecError, match=r"expected a list of detections, .* got str"):
        indices({"images": [], "annotations": [], "categories": []}, path, "segm")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, -(10**400), True, "1"])
def test_what_no_float_can_hold_is_no_number(value: object) -> None:
    assert not is_number(value)
    assert is_number(1.5)
    assert is_number(-3)
