"""The two result files that the server of COCO's test images takes."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from runners.evaluation.files import BOX_FILE, MASK_FILE
from yolact_bench.results.files import atomic_path
from yolact_bench.spec.dataset.dataset import DatasetSpec, FileSplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Where the result files of one detector on unannotated images are."""

    box: Path
    mask: Path


def write_submission(predictions: Path, out: Path, *, images: str, arm: str) -> Submission:
    """Copy the predictions that `predict` left to the names that the server asks for.

    Both tasks ask for the same name, so each has a folder of its own.

    Source: the upload page of COCO, `detections_[testset]_[algorithm]_results.json`.
    """
    name = f"detections_{images}_{arm}_results.json"
    copied = []
    for task, file in (("bbox", BOX_FILE), ("segm", MASK_FILE)):
        (out / task).mkdir(parents=True, exist_ok=True)
        with atomic_path(out / task / name) as temporary:
            shutil.copyfile(predictions / file, temporary)
        copied.append(out / task / name)
    return Submission(box=copied[0], mask=copied[1])


def images_name(data: DatasetSpec, split: str) -> str:
    """Return what the server calls the images of a split: test-dev2017 of COCO's."""
    files = data.split(split)
    if isinstance(files, FileSplit) and files.annotations.stem.startswith("image_info_"):
        return files.annotations.stem.removeprefix("image_info_")
    return f"{data.name}-{split}"
