"""A data set of another format → COCO annotation files and a `dataset.yaml`; images stay."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from yolact_bench.conversion.cityscapes import read_cityscapes
from yolact_bench.conversion.labelme import read_labelme
from yolact_bench.conversion.masks import read_masks
from yolact_bench.conversion.pictures import Conversion, Picture, Settings
from yolact_bench.conversion.voc import read_voc
from yolact_bench.conversion.yolo import read_yolo
from yolact_bench.errors import Mistakes, SpecError, brief, hint
from yolact_bench.escape import is_printed
from yolact_bench.results.files import atomic_folder

FORMATS: Mapping[str, Callable[[Path, Settings, Mistakes], Conversion]] = {
    "yolo": read_yolo,
    "labelme": read_labelme,
    "voc": read_voc,
    "cityscapes": read_cityscapes,
    "masks": read_masks,
}

_LONGEST = 200  # characters of a class name


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoFiles:
    """What was written: images and objects by split, the files, and what was left out."""

    annotations: Mapping[str, Path]
    counts: Mapping[str, tuple[int, int]]  # split → images, objects
    dataset_yaml: Path | None  # None without both a training and a validation split
    images: Mapping[str, Path]
    left_out: Mapping[str, int]

    def facts(self) -> dict[str, object]:
        """Return the same as plain data."""
        return {
            "dataset": None if self.dataset_yaml is None else str(self.dataset_yaml),
            "annotations": {split: str(file) for split, file in self.annotations.items()},
            "counts": {k: {"images": n, "objects": m} for k, (n, m) in self.counts.items()},
            "left_out": dict(self.left_out),
        }

    def lines(self) -> list[str]:
        """Return the same as text, and the next command where splits are missing."""
        lines = [
            f"{split}: {images} images, {objects} objects: {self.annotations[split]}"
            for split, (images, objects) in self.counts.items()
        ]
        lines += [f"left out: {number} × {kind}" for kind, number in self.left_out.items()]
        if self.dataset_yaml is not None:
            return [*lines, str(self.dataset_yaml)]
        (split, file), *_ = self.annotations.items()
        command = f"yolact-bench data split {file} --images {self.images[split]} --out FOLDER"
        return [*lines, "no training and validation split; cut it into both:", f"  {command}"]


def convert(source: Path, name: str, out: Path, settings: Settings) -> CocoFiles:
    """Write a data set of the format `name` as COCO files into the new folder `out`.

    Images are neither copied nor moved. The folder appears whole or not at all.

    Raises:
        SpecError: an unknown format, or what is wrong with the files, at most 20 together; or
            `out` is there and not empty.
    """
    if name not in FORMATS:
        raise SpecError(f"--format: no format is named {name!r}{hint(name, FORMATS)}")
    require_new(out)
    mistakes = Mistakes(source)
    conversion = FORMATS[name](source, settings, mistakes)
    mistakes.raise_any()
    _require_whole(conversion, mistakes)
    mistakes.raise_any()
    if not any(one.shapes for split in conversion.splits.values() for one in split):
        raise SpecError(f"{source}: no object in any image; is --format {name} the right one?")
    files = {split: f"annotations/instances_{split}.json" for split in conversion.splits}
    folders = {split: _folder_of(pictures) for split, pictures in conversion.splits.items()}
    with atomic_folder(out.absolute()) as partial:
        (partial / "annotations").mkdir()
        for split, pictures in conversion.splits.items():
            content = _content(pictures, folders[split], conversion.classes)
            (partial / files[split]).write_text(json.dumps(content), encoding="utf-8")
        is_whole = {"train", "val"} <= files.keys()
        if is_whole:
            text = dataset_yaml(out, {split: (folders[split], files[split]) for split in files})
            (partial / "dataset.yaml").write_text(text, encoding="utf-8")
    return CocoFiles(
        annotations={split: out / file for split, file in files.items()},
        counts={
            split: (len(pictures), sum(len(one.shapes) for one in pictures))
            for split, pictures in conversion.splits.items()
        },
        dataset_yaml=out / "dataset.yaml" if is_whole else None,
        images=folders,
        left_out=conversion.left_out,
    )


def require_new(folder: Path) -> None:
    """Check that a folder can be written to.

    Raises:
        SpecError: it exists and is not an empty folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SpecError(f"{folder}: exists and is not an empty folder; choose another")


def dataset_yaml(out: Path, splits: Mapping[str, tuple[Path, str]]) -> str:
    """Return the `dataset.yaml` of image folders and annotation files, relative to `out`."""
    lines = []
    for split, (images, annotations) in splits.items():
        place = os.path.relpath(images.resolve(), out.resolve())
        parts = f"images: {json.dumps(place)}, annotations: {json.dumps(annotations)}"
        lines.append(f"{split}: {{{parts}}}\n")
    return "".join(lines)


def _require_whole(conversion: Conversion, mistakes: Mistakes) -> None:
    """Add splits without images, and class names that are no line or not unique, to `mistakes`."""
    for split, pictures in conversion.splits.items():
        if not pictures:
            mistakes.add(f"the split {split!r} has no image; list some, or remove the split")
    seen = set[str]()
    for name in conversion.classes:
        if not name.strip() or not is_printed(name) or len(name) > _LONGEST:
            mistakes.add(
                f"the class name {brief(name)}: write one line of 1 to {_LONGEST} characters"
            )
        elif name in seen:
            mistakes.add(f"two classes are named {name!r}; rename one")
        seen.add(name)


def _folder_of(pictures: Sequence[Picture]) -> Path:
    """Return the deepest folder that has all of the pictures."""
    return Path(os.path.commonpath([one.path.absolute().parent for one in pictures]))


def _content(
    pictures: Sequence[Picture], folder: Path, classes: tuple[str, ...]
) -> dict[str, object]:
    numbers = {name: number for number, name in enumerate(classes, start=1)}
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image_id, one in enumerate(pictures, start=1):
        name = one.path.absolute().relative_to(folder).as_posix()
        images.append({"id": image_id, "file_name": name, "height": one.height, "width": one.width})
        annotations += [
            {
                "id": len(annotations) + place,
                "image_id": image_id,
                "category_id": numbers[shape.label],
                "bbox": [round(side, 3) for side in shape.box],
                "area": shape.area,
                "iscrowd": int(shape.is_crowd),
                "segmentation": shape.segmentation,
            }
            for place, shape in enumerate(one.shapes, start=1)
        ]
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    return {"images": images, "annotations": annotations, "categories": categories}
