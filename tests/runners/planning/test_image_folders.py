"""Two folders of one ablation: what differs in them is another data set."""

from pathlib import Path

import cv2
import pytest

from runners.workdir.dataset_files import write_shapes
from tests.support.small_ablation import SPEC, context, plan_spec, write_spec

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


@pytest.mark.parametrize("seed", [0, 1])
def test_other_images_are_another_data_set_whatever_annotates_them(
    tmp_path: Path, seed: int
) -> None:
    """With seed 0 both folders have one annotation file, and a pixel differs."""
    path = spec(tmp_path, a=0, b=seed)
    image = next((tmp_path / "b" / "images" / "val").iterdir())
    pixels = cv2.imread(str(image))
    pixels[0, 0] += 1
    cv2.imwrite(str(image), pixels)
    plan = plan_spec(path, context(tmp_path / "work"))
    assert len({step.unit.eval_data for step in plan.steps}) == 2


def test_equal_images_with_one_annotation_file_are_one_data_set_wherever_they_lie(
    tmp_path: Path,
) -> None:
    plan = plan_spec(spec(tmp_path, a=0, b=0), context(tmp_path / "work"))
    assert len({step.unit.eval_data for step in plan.steps}) == 1
