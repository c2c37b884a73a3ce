"""Pascal VOC's folders: masks as PNG with a palette, classes from XML or from a second mask."""

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from yolact_bench.conversion.index_image import objects_of, read_index
from yolact_bench.conversion.pictures import (
    IMAGE_SUFFIXES,
    WHOLE,
    Conversion,
    Picture,
    Settings,
    Shape,
    bitmap_shape,
    size_of,
    sorted_classes,
)
from yolact_bench.errors import Mistakes, SpecError
from yolact_bench.published_datasets import PASCAL_CLASSES
from yolact_bench.text_file import read_bytes, read_lines

_VOID = 255  # the border of objects, and what is too small to name
_LARGEST = 1 << 28
_REMEDY = "restore it, or remove the name from ImageSets/Segmentation"


def read_voc(source: Path, settings: Settings, mistakes: Mistakes) -> Conversion:
    """Return what a folder with JPEGImages and SegmentationObject describes.

    Object n of a mask is the n-th of the XML file; without one its class is the number that
    SegmentationClass has there, counted in `classes`, by default those of Pascal. Pixels of
    value 255 belong to no object.

    Source: Everingham et al., The PASCAL VOC Development Kit, section 6 (segmentation).
    """
    if not (source / "SegmentationObject").is_dir():
        raise SpecError(f"{source}: no folder SegmentationObject; name the folder that has it")
    lists = sorted((source / "ImageSets" / "Segmentation").glob("*.txt"))
    names = {file.stem: _lines(file) for file in lists if file.stem in ("train", "val", "test")}
    if not names:
        names = {WHOLE: sorted(one.stem for one in (source / "SegmentationObject").glob("*.png"))}
    left_out = Counter[str]()
    splits: dict[str, list[Picture]] = {}
    for split, stems in names.items():
        splits[split] = []
        for stem in stems:
            try:
                splits[split].append(_picture(source, stem, settings, left_out))
            except SpecError as error:
                mistakes.add(str(error))
    classes = sorted_classes(settings, splits, mistakes)
    return Conversion(splits=splits, classes=classes, left_out=left_out)


def _lines(file: Path) -> list[str]:
    lines = read_lines(file, most=_LARGEST, remedy="write one name a line")
    return [line.split()[0] for line in lines]


def _picture(source: Path, stem: str, settings: Settings, left_out: Counter[str]) -> Picture:
    paths = [source / "JPEGImages" / f"{stem}{suffix}" for suffix in IMAGE_SUFFIXES]
    path = next((one for one in paths if one.is_file()), paths[0])
    height, width = size_of(path)
    file = source / "SegmentationObject" / f"{stem}.png"
    numbers = read_index(file)
    if numbers.shape != (height, width):
        raise SpecError(
            f"{file}: {numbers.shape[1]} x {numbers.shape[0]} px, but {path.name} has {width} x "
            f"{height}; {_REMEDY}"
        )
    labels = _labels_of(source, stem, numbers, settings)
    shapes: list[Shape] = []
    for number, bitmap in objects_of(numbers, split_areas=False, ignore=(_VOID,)):
        label = labels.get(number)
        if label is None:
            raise SpecError(f"{file}: object {number} has no class; {_REMEDY}")
        shapes.append(bitmap_shape(label, bitmap))
    if missing := len(labels.keys() - set(np.unique(numbers).tolist())):
        left_out["object of an XML file without a pixel in the mask"] += missing
    return Picture(path=path, height=height, width=width, shapes=tuple(shapes))


def _labels_of(
    source: Path, stem: str, numbers: NDArray[np.int64], settings: Settings
) -> dict[int, str]:
    """Return object number → class."""
    xml = source / "Annotations" / f"{stem}.xml"
    if xml.is_file():
        content = read_bytes(xml, most=_LARGEST, remedy=_REMEDY)
        if b"<!ENTITY" in content or b"<!DOCTYPE" in content:
            raise SpecError(f"{xml}: has a DOCTYPE, which no VOC file needs; remove it")
        if b"\0" in content:  # of UTF-16, where the search above finds nothing
            raise SpecError(f"{xml}: not UTF-8; save it so")
        try:
            root = ElementTree.fromstring(content)
        except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter: encodings
            raise SpecError(f"{xml}: not XML ({error}); {_REMEDY}") from error
        names = [one.findtext("name") or "" for one in root.iter("object")]
        return dict(enumerate(names, start=1))
    kinds = read_index(source / "SegmentationClass" / f"{stem}.png")
    if kinds.shape != numbers.shape:
        raise SpecError(f"{stem}.png: of other sizes as class and as object mask; {_REMEDY}")
    known = settings.classes or PASCAL_CLASSES
    labels: dict[int, str] = {}
    for number, bitmap in objects_of(numbers, split_areas=False, ignore=(_VOID,)):
        values = np.bincount(kinds[bitmap].clip(0, _VOID), minlength=_VOID + 1)
        values[[0, _VOID]] = 0
        kind = int(values.argmax())
        if values[kind] and kind <= len(known):
            labels[number] = known[kind - 1]
    return labels
