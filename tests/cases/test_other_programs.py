"""What another program gets to evaluate on: the annotations as they were read."""

import json
from pathlib import Path
from typing import Any

import pytest

from runners.arms.external.predict import data_files
from runners.units.unit import ExternalUnit
from runners.units.workplace import Workplace
from tests.cases.annotation_changes import changed, first
from tests.cases.base_set import base_content, write_base
from yolact_bench.data import open_dataset
from yolact_bench.dataset_spec.dataset import dataset_choice, resolve_dataset
from yolact_bench.spec.external import External


def files_for(folder: Path, file: Path) -> tuple[Path, Path]:
    """The images and annotations that a command gets for the validation split of a set."""
    spec = resolve_dataset(dataset_choice(str(file), relative_to=folder), data_root=None)
    unit = ExternalUnit(
        ablation="",
        external=External(name="other", entry={}, folder=folder, where=""),
        seed=0,
        detect_digest="d",
        data=spec,
        split="val",
        eval_data="e",
        proxy=False,
    )
    place = Workplace(work_dir=folder / "work", device="cpu", workers=0)
    return data_files(unit, open_dataset(spec, "val"), place)


@pytest.mark.parametrize("is_odd", [True, False])
def test_a_mended_file_is_written_and_a_clean_one_is_passed_on(
    tmp_path: Path, is_odd: bool
) -> None:
    content: dict[str, Any] = changed(first(area=None, id="1")) if is_odd else base_content()
    images, annotations = files_for(tmp_path, write_base(tmp_path, val=content))
    assert images == tmp_path / "val"
    assert (annotations == tmp_path / "val.json") is not is_odd
    given = json.loads(annotations.read_text())["annotations"]
    assert given == base_content()["annotations"]


def test_images_have_the_names_of_their_files(tmp_path: Path) -> None:
    file = write_base(tmp_path, val=base_content())
    odd = base_content()
    odd["images"][0]["file_name"] = "images\\1.png"
    (tmp_path / "val.json").write_text(json.dumps(odd))
    images, annotations = files_for(tmp_path, file)
    given = json.loads(annotations.read_text())["images"]
    assert given == base_content()["images"]
    assert all((images / one["file_name"]).is_file() for one in given)
