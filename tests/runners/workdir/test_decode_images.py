"""`data check --images`: every image decoded, all broken ones reported together."""

from pathlib import Path

import pytest
import typer

from runners.cli.inputs import check_data
from runners.system.progress import scan_progress
from runners.workdir.decode_images import decode_images
from tests.cases.base_set import write_base
from yolact_bench.dataset_spec.dataset import DatasetSpec, resolve_dataset


def spec(yaml: Path) -> DatasetSpec:
    return resolve_dataset({"name": "coco_format", "file": str(yaml)}, data_root=None)


def spoil(file: Path) -> None:
    """Spoil the picture in a PNG, not its header and its end."""
    data = bytearray(file.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    file.write_bytes(data)


def test_damage_that_no_header_shows_is_listed_for_all_splits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each split the time is announced before, and all broken images come together."""
    yaml = write_base(tmp_path / "set")
    for name in ("train/2.png", "train/5.png", "val/101.png"):
        spoil(tmp_path / "set" / name)
    lines: list[str] = []
    assert decode_images(spec(yaml), lines.append, scan_progress)
    assert [line.partition(" takes")[0] for line in lines] == [
        "base train: decoding 6 images",
        "base val: decoding 6 images",
        "train: 2.png: cannot be decoded",
        "train: 5.png: cannot be decoded",
        "val: 101.png: cannot be decoded",
        "3 images cannot be decoded",
    ]
    with pytest.raises(typer.Exit) as caught:
        check_data(str(yaml), strict=None, images=True, data_root=None, work_dir=tmp_path / "work")
    assert caught.value.exit_code == 2
    assert "train: 6 images" in capsys.readouterr().out  # annotations are checked all the same
    check_data(str(yaml), strict=None, images=False, data_root=None, work_dir=tmp_path / "work")


def test_whole_images_are_said_to_be_whole_and_missing_ones_missing(tmp_path: Path) -> None:
    yaml = write_base(tmp_path / "set")
    lines: list[str] = []
    assert not decode_images(spec(yaml), lines.append, scan_progress)
    assert lines[-1] == "all images are whole"
    (tmp_path / "set" / "val" / "104.png").unlink()
    assert decode_images(spec(yaml), lines.append, scan_progress)
    assert lines[-2].startswith("val: 104.png: does not exist")


def test_drawn_images_need_no_decoding() -> None:
    lines: list[str] = []
    assert not decode_images(
        resolve_dataset({"name": "shapes"}, data_root=None), lines.append, scan_progress
    )
    assert lines == ["all images are whole"]
