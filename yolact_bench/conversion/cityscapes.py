"""Cityscapes: images in leftImg8bit, objects in the `instanceIds` images of gtFine."""

from collections import Counter
from pathlib import Path

from yolact_bench.conversion.index_image import objects_of, read_index
from yolact_bench.conversion.pictures import (
    Conversion,
    Picture,
    Settings,
    Shape,
    bitmap_shape,
    size_of,
)
from yolact_bench.errors import Mistakes, SpecError

# Number of each class whose objects are told apart and scored, in label order.
_CLASSES = {
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
_PER_CLASS = 1000  # pixels of object n of class c are c · 1000 + n; a group's are c
_UNSCORED = {29: "caravan", 30: "trailer"}
_IMAGE, _OBJECTS = "_leftImg8bit.png", "_gtFine_instanceIds.png"


def read_cityscapes(source: Path, settings: Settings, mistakes: Mistakes) -> Conversion:
    """Return the objects of the eight classes that are scored; groups become crowds.

    Source: cityscapesScripts, `helpers/labels.py` and `preparation/json2instanceImg.py`.
    """
    if settings.classes:
        raise SpecError("--classes: Cityscapes has its own; leave the option out")
    left_out = Counter[str]()
    splits: dict[str, list[Picture]] = {}
    for split in ("train", "val"):
        files = sorted((source / "gtFine" / split).rglob(f"*{_OBJECTS}"))
        if files:
            splits[split] = []
        for file in files:
            try:
                splits[split].append(_picture(source, split, file, left_out))
            except SpecError as error:
                mistakes.add(str(error))
    if not splits:
        raise SpecError(
            f"{source}: no gtFine/train/*/*{_OBJECTS}; unpack gtFine_trainvaltest there"
        )
    return Conversion(splits=splits, classes=tuple(_CLASSES.values()), left_out=left_out)


def _picture(source: Path, split: str, file: Path, left_out: Counter[str]) -> Picture:
    name = file.name.removesuffix(_OBJECTS) + _IMAGE
    path = source / "leftImg8bit" / split / file.parent.name / name
    height, width = size_of(path)
    numbers = read_index(file)
    if numbers.shape != (height, width):
        raise SpecError(f"{file}: not of the size of {path}; unpack both again")
    shapes: list[Shape] = []
    for number, bitmap in objects_of(numbers, split_areas=False):
        is_group = number < _PER_CLASS
        kind = number if is_group else number // _PER_CLASS
        if kind in _CLASSES:
            shapes.append(bitmap_shape(_CLASSES[kind], bitmap, is_crowd=is_group))
        elif kind in _UNSCORED:
            left_out[f"{_UNSCORED[kind]}: a class that Cityscapes does not score"] += 1
    return Picture(path=path, height=height, width=width, shapes=tuple(shapes))
