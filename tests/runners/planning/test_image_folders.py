"""Digests know images by their annotations: two folders with one annotation file are refused."""

from pathlib import Path

import pytest

from runners.workdir.dataset_files import write_shapes
from tests.support.small_ablation import SPEC, context, plan_spec, write_spec
from yolact_bench.errors import SpecError

DRAWN = {"train_images": 4, "val_images": 2, "size": 96}


def spec(folder: Path, **seeds: int) -> Path:
    """An ablation of two written data sets, one for each name; its arm `k_2` reads the second."""
    for name, seed in seeds.items():
        write_shapes(folder / name, {**DRAWN, "seed": seed})
    first, second = (folder / name / "dataset.yaml" for name in seeds)
    text = SPEC.replace("k_2: {protonet.k: 2}", f"k_2: {{protonet.k: 2, dataset: {second}}}")
    text = text.replace("changes: [", "changes: [dataset, ")
    text = text.replace("{name: shapes, train_images: 6, val_images: 3, size: 96}", str(first))
    return write_spec(folder, f"{text}measure: [accuracy]\n")


def test_other_images_with_the_same_annotations_are_refused(tmp_path: Path) -> None:
    """Their fingerprints are equal, so the arm would get the results of the first set."""
    with pytest.raises(SpecError, match=r"k_2: .*b/images.* the annotations of .*a/images"):
        plan_spec(spec(tmp_path, a=0, b=0), context(tmp_path / "work"))


def test_other_images_with_annotations_of_their_own_are_another_data_set(tmp_path: Path) -> None:
    plan = plan_spec(spec(tmp_path, a=0, b=1), context(tmp_path / "work"))
    assert len({step.unit.eval_data for step in plan.steps}) == 2
