"""Data sets on disk: the drawn shapes as a folder of files, and a count of any set."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2

from yolact_bench.data import Dataset, open_dataset
from yolact_bench.dataset_spec.dataset import DatasetSpec, resolve_dataset
from yolact_bench.errors import SpecError, join_mistakes
from yolact_bench.findings import Finding
from yolact_bench.results.files import atomic_folder

_DATASET_YAML = """\
name: {name}
root: .
train: {{images: images/train, annotations: annotations/instances_train.json}}
val: {{images: images/val, annotations: annotations/instances_val.json}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCount:
    """What a split holds that can be used, and what cannot."""

    split: str
    images: int
    images_without_objects: int
    objects: int  # crowds not counted
    crowds: int
    objects_by_class: Mapping[str, int]
    findings: tuple[Finding, ...]


def write_shapes(folder: Path, options: Mapping[str, object]) -> Path:
    """Write the `shapes` set of these options as a COCO-format folder; return its dataset.yaml.

    The folder appears whole or not at all.

    Raises:
        SpecError: a wrong option, or the folder exists and is not empty.
    """
    spec = resolve_dataset({**options, "name": "shapes"}, data_root=None)
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SpecError(f"{folder}: exists and is not an empty folder; choose another")
    with atomic_folder(folder) as partial:
        for split in spec.splits:
            write_split(open_dataset(spec, split), split, partial)
        text = _DATASET_YAML.format(name=json.dumps(folder.name.lstrip(".")))
        (partial / "dataset.yaml").write_text(text, encoding="utf-8")
    return folder / "dataset.yaml"


def count_splits(spec: DatasetSpec) -> list[SplitCount]:
    """Return what each split holds, and all findings.

    Raises:
        SpecError: a file is missing or malformed, so that nothing could be trained.
    """
    counts: list[SplitCount] = []
    errors: list[SpecError] = []
    for split in splits_to_check(spec):
        try:
            counts.append(_count(open_dataset(spec, split), split))
        except SpecError as error:
            errors.append(error)
    if errors:
        raise join_mistakes(errors)
    return counts


def splits_to_check(spec: DatasetSpec) -> list[str]:
    """Return the splits that should be here: all but test images, if those are not.

    They are a separate download of COCO, and not needed for training or scoring.
    """
    return [
        split
        for split, source in spec.splits.items()
        if split != "test" or source.files is None or source.files[1].is_file()
    ]


def write_split(dataset: Dataset, split: str, folder: Path) -> None:
    """Write a split as images/<split>/ and annotations/instances_<split>.json below `folder`."""
    images = folder / "images" / split
    images.mkdir(parents=True)
    for index in range(len(dataset)):
        path = images / f"{dataset.image_id(index):06d}.png"
        if not cv2.imwrite(str(path), cv2.cvtColor(dataset.image(index), cv2.COLOR_RGB2BGR)):
            raise SpecError(f"{path}: cannot be written; free space, or name another folder")
    notes = folder / "annotations"
    notes.mkdir(exist_ok=True)
    content = json.dumps(dataset.ground_truth())
    (notes / f"instances_{split}.json").write_text(content, encoding="utf-8")


def _count(dataset: Dataset, split: str) -> SplitCount:
    labels = Counter[int]()
    crowds = empty = 0
    for index in range(len(dataset)):
        objects = dataset.objects(index)
        empty += not len(objects)
        crowds += int(objects.is_crowd.sum())
        labels.update(objects.labels[~objects.is_crowd].tolist())
    return SplitCount(
        split=split,
        images=len(dataset),
        images_without_objects=empty,
        objects=labels.total(),
        crowds=crowds,
        objects_by_class={name: labels[number] for number, name in enumerate(dataset.classes)},
        findings=dataset.findings,
    )
