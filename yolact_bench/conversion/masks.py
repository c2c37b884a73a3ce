"""Folders of images and of masks: one mask an image, one a class, or one an object."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolact_bench.conversion.index_image import areas_in, objects_of, read_index
from yolact_bench.conversion.pictures import (
    Conversion,
    Picture,
    Settings,
    bitmap_shape,
    pictures_in,
    size_of,
    sorted_classes,
    splits_of,
)
from yolact_bench.errors import Mistakes, SpecError

_OBJECT = "object"  # the class where none is named


def read_masks(source: Path, settings: Settings, mistakes: Mistakes) -> Conversion:
    """Return what the folders `images` and `masks` hold, each with folders train, val or none.

    The masks of images/a.jpg are masks/a.png or masks/<class>/a.png, whose pixels are object
    numbers, or all files of masks/a/, each one object. 0 is the background.
    """
    if not (source / "images").is_dir() or not (source / "masks").is_dir():
        raise SpecError(f"{source}: no folders images and masks; name the folder that has both")
    splits: dict[str, list[Picture]] = {}
    doubtful: list[Path] = []
    for split, folder in splits_of(source / "images").items():
        below = folder.relative_to(source / "images")
        splits[split] = []
        for path in pictures_in(folder):
            try:
                masks = source / "masks" / below
                splits[split].append(_picture(path, masks, settings, doubtful))
            except SpecError as error:
                mistakes.add(str(error))
    if settings.split_areas is None and doubtful:
        mistakes.add(
            f"{doubtful[0]}: one value for areas that do not touch: one object, or several? "
            "write --split-areas, or --no-split-areas to keep each value as one object"
        )
    classes = sorted_classes(settings, splits, mistakes)
    return Conversion(splits=splits, classes=classes, left_out={})


def _picture(path: Path, masks: Path, settings: Settings, doubtful: list[Path]) -> Picture:
    height, width = size_of(path)
    files = _files(path.stem, masks, settings)
    if not files:
        raise SpecError(f"{path}: no mask; write one at {masks / f'{path.stem}.png'}")
    shapes = []
    for file, label, is_one in files:
        numbers = read_index(file)
        if numbers.shape != (height, width):
            raise SpecError(
                f"{file}: {numbers.shape[1]} x {numbers.shape[0]} px, but {path.name} has {width} "
                f"x {height}; save the mask at the size of its image"
            )
        if is_one:
            numbers = (numbers != 0).astype(np.int64)
        elif _is_binary(numbers) and areas_in(numbers != 0) > 1:
            doubtful.append(file)
        split = bool(settings.split_areas) and not is_one
        objects: Iterator[tuple[int, NDArray[np.bool_]]] = objects_of(numbers, split_areas=split)
        shapes += [bitmap_shape(label, bitmap) for _, bitmap in objects]
    return Picture(path=path, height=height, width=width, shapes=tuple(shapes))


def _files(stem: str, masks: Path, settings: Settings) -> list[tuple[Path, str, bool]]:
    """Return the mask files of an image, the class of each, and whether it is one object."""
    default = settings.classes[0] if len(settings.classes) == 1 else _OBJECT
    if (masks / f"{stem}.png").is_file():
        return [(masks / f"{stem}.png", default, False)]
    if (masks / stem).is_dir():
        return [(file, default, True) for file in sorted((masks / stem).glob("*.png"))]
    folders = sorted(one for one in masks.iterdir() if one.is_dir()) if masks.is_dir() else []
    files = [(folder / f"{stem}.png", folder.name, False) for folder in folders]
    return [one for one in files if one[0].is_file()]


def _is_binary(numbers: NDArray[np.int64]) -> bool:
    return len(np.unique(numbers)) == 2
