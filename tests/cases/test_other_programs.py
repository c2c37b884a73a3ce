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


@pytest.mark.parametrize("is_odd", [True, False])
def test_a_mended_file_is_written_and_a_clean_one_is_passed_on(
    tmp_path: Path, is_odd: bool
) -> None:
    content: dict[str, Any] = changed(first(area=None, id="1")) if is_odd else base_content()
    choice = dataset_choice(str(write_base(tmp_path, val=content)), relative_to=tmp_path)
    spec = resolve_dataset(choice, data_root=None)
    unit = ExternalUnit(
        ablation="",
        external=External(name="other", entry={}, folder=tmp_path, where=""),
        seed=0,
        detect_digest="d",
        data=spec,
        split="val",
        eval_data="e",
        proxy=False,
    )
    place = Workplace(work_dir=tmp_path / "work", device="cpu", workers=0)
    dataset = open_dataset(spec, "val")
    images, annotations = data_files(unit, dataset, place)
    assert images == tmp_path / "val"
    assert (annotations == tmp_path / "val.json") is not is_odd
    given = json.loads(annotations.read_text())["annotations"]
    assert given == base_content()["annotations"]
