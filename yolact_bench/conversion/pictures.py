"""What every format is read as: pictures with labelled shapes, and settings of the reading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolact_bench.coco_file.segmentation import polygon_area
from yolact_bench.data.objects import run_lengths
from yolact_bench.errors import Mistakes, SpecError
from yolact_bench.image_files.header import read_header
from yolact_bench.image_files.source import Source
from yolact_bench.text_file import read_bytes

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
WHOLE = "all"  # the one split of a format that has none
_LARGEST = 1 << 32  # bytes of an image file


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One object: its class, and its pixels in COCO's forms."""

    label: str
    segmentation: Sequence[Sequence[float]] | Mapping[str, object]
    box: tuple[float, float, float, float]  # x, y, width, height, px
    area: float  # px²
    is_crowd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image file and what it shows."""

    path: Path
    height: int
    width: int
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """Pictures by split, the classes in label order, and how many shapes were left out, by kind."""

    splits: Mapping[str, Sequence[Picture]]
    classes: tuple[str, ...]
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a format does not say by itself."""

    classes: tuple[str, ...] = ()  # in label order
    split_areas: bool | None = None  # whether areas of one value that do not touch are objects


def polygon_shape(label: str, parts: Sequence[Sequence[float]]) -> Shape:
    """Return the shape with these outlines, flat [x, y, …] in pixels."""
    xs = [x for part in parts for x in part[0::2]]
    ys = [y for part in parts for y in part[1::2]]
    left, top = float(min(xs)), float(min(ys))
    return Shape(
        label=label,
        segmentation=[[round(number, 3) for number in part] for part in parts],
        box=(left, top, max(xs) - left, max(ys) - top),
        area=sum(polygon_area(np.array(part[0::2]), np.array(part[1::2])) for part in parts),
    )


def bitmap_shape(label: str, bitmap: NDArray[np.bool_], *, is_crowd: bool = False) -> Shape:
    """Return the shape of the pixels that are set; there must be some."""
    rows, columns = np.flatnonzero(bitmap.any(axis=1)), np.flatnonzero(bitmap.any(axis=0))
    top, left = float(rows[0]), float(columns[0])
    counts = run_lengths(bitmap.astype(np.uint8))
    return Shape(
        label=label,
        segmentation={"size": list(bitmap.shape), "counts": counts},
        box=(left, top, float(columns[-1]) + 1 - left, float(rows[-1]) + 1 - top),
        area=float(bitmap.sum()),
        is_crowd=is_crowd,
    )


def size_of(path: Path) -> tuple[int, int]:
    """Return height and width of an image, turned as its orientation asks.

    Raises:
        SpecError: it is missing, broken or of an unknown format.
    """
    content = read_bytes(path, most=_LARGEST, remedy="restore it, or remove its annotation")
    header = read_header(Source(content))
    width, height = header.oriented
    if header.is_truncated or not width or not height:
        raise SpecError(f"{path}: no whole image; replace it, or remove its annotation")
    return height, width


def pictures_in(folder: Path) -> list[Path]:
    """Return the image files of a folder and those below it, by name.

    Raises:
        SpecError: no such folder, or none in it.
    """
    if not folder.is_dir():
        raise SpecError(f"{folder}: no such folder; name one with images")
    paths = sorted(one for one in folder.rglob("*") if one.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise SpecError(f"{folder}: no image; put {', '.join(IMAGE_SUFFIXES)} files there")
    return paths


def splits_of(folder: Path) -> dict[str, Path]:
    """Return the subfolders that are splits; the folder itself as `WHOLE` if there is none."""
    names = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
    paths = {names[name]: folder / name for name in names if (folder / name).is_dir()}
    return paths or {WHOLE: folder}


def sorted_classes(
    settings: Settings, pictures: Mapping[str, Sequence[Picture]], mistakes: Mistakes
) -> tuple[str, ...]:
    """Return the classes of the settings, which must have all labels; else the labels, sorted."""
    shapes = [shape for split in pictures.values() for one in split for shape in one.shapes]
    labels = sorted({shape.label for shape in shapes})
    if not settings.classes:
        return tuple(labels)
    for label in labels:
        if label not in settings.classes:
            mistakes.add(f"the label {label!r} is not among --classes; add it there")
    return settings.classes
