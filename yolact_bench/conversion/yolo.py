"""YOLO's folders for segmentation: `data.yaml`, images, and a text file of outlines for each."""

from collections.abc import Mapping
from pathlib import Path

from yolact_bench.conversion.pictures import (
    Conversion,
    Picture,
    Settings,
    Shape,
    pictures_in,
    polygon_shape,
    size_of,
)
from yolact_bench.errors import Mistakes, SpecError, brief
from yolact_bench.text_file import read_bytes, read_lines
from yolact_bench.yaml_source import Source, read

_BOX = 5  # numbers of a line that is a box: class, centre, size
_FEWEST = 7  # of an outline: class and three points
_SLACK = 1e-3  # by which exporters leave the image in rounding
_LARGEST = 1 << 28
_SPLITS = ("train", "val", "test")


def read_yolo(source: Path, settings: Settings, mistakes: Mistakes) -> Conversion:
    """Return what `data.yaml`, or the folder with it, describes.

    Lines are `class x1 y1 x2 y2 …`, fractions of the image. An image without a text file has no
    objects.

    Source: ultralytics' documentation, "Instance Segmentation Datasets Overview".
    """
    file = source / "data.yaml" if source.is_dir() else source
    described = read(file)
    classes = settings.classes or _names(described)
    splits = {
        split: [_picture(path, classes, mistakes) for path in _images(described, split)]
        for split in _SPLITS
        if described.data.get(split)
    }
    if not splits:
        raise described.error((), "no 'train', 'val' or 'test'; write the folders of the images")
    return Conversion(splits=splits, classes=classes, left_out={})


def _names(source: Source) -> tuple[str, ...]:
    names = source.data.get("names")
    if isinstance(names, Mapping):
        by_number = {str(key): name for key, name in names.items()}
        names = [by_number.get(str(number)) for number in range(len(by_number))]
    if not isinstance(names, list) or not names or not all(isinstance(n, str | int) for n in names):
        raise source.error(
            ("names",),
            f"expected class names as a list or by numbers from 0 on, got {brief(names)}",
        )
    return tuple(str(name) for name in names)


def _images(source: Source, split: str) -> list[Path]:
    """Return the images of a split: of folders, or listed in text files."""
    value = source.data[split]
    images: list[Path] = []
    for entry in value if isinstance(value, list) else [value]:
        place = _find(source, str(entry))
        if place is None:
            raise source.error((split,), f"{entry!r} does not exist; write where its images are")
        images += _lines(place) if place.suffix == ".txt" else pictures_in(place)
    return images


def _find(source: Source, entry: str) -> Path | None:
    """Return the place that an entry means: many exports count `../` from another folder."""
    root = source.folder / str(source.data.get("path") or ".")
    inside = entry.replace("\\", "/")
    while inside.startswith("../"):
        inside = inside[3:]
    places = (root / entry, source.folder / entry, source.folder / inside)
    return next((place for place in places if place.exists()), None)


def _lines(file: Path) -> list[Path]:
    lines = read_lines(file, most=_LARGEST, remedy="write one image a line")
    return [file.parent / line for line in lines]


def _picture(path: Path, classes: tuple[str, ...], mistakes: Mistakes) -> Picture:
    height, width = size_of(path)
    parts = list(path.parts)
    if "images" in parts:
        place = len(parts) - 1 - parts[::-1].index("images")
        parts[place] = "labels"
    file = Path(*parts).with_suffix(".txt")
    shapes: list[Shape] = []
    text = read_bytes(file, most=_LARGEST, remedy="restore it") if file.exists() else b""
    for number, line in enumerate(text.decode("utf-8", errors="replace").splitlines(), start=1):
        if line.strip():
            try:
                shapes.append(_shape(line.split(), classes, height, width))
            except SpecError as error:
                mistakes.add(f"{file}:{number}: {error}")
    return Picture(path=path, height=height, width=width, shapes=tuple(shapes))


def _shape(words: list[str], classes: tuple[str, ...], height: int, width: int) -> Shape:
    try:
        label = int(words[0])
        numbers = [float(word) for word in words[1:]]
    except ValueError as error:
        raise SpecError("expected a class number and coordinates; correct the line") from error
    if not 0 <= label < len(classes):
        raise SpecError(f"class {label} of {len(classes)} names; add its name to 'names'")
    if len(words) == _BOX:
        raise SpecError("a box, where an outline is meant: this is a detection set; export masks")
    if len(words) < _FEWEST or len(numbers) % 2:
        raise SpecError(f"{len(numbers)} coordinates; write x and y of three points or more")
    if not all(-_SLACK <= number <= 1 + _SLACK for number in numbers):
        raise SpecError("coordinates outside 0 to 1; write fractions of width and height")
    scale = (width, height)
    flat = [min(max(one, 0.0), 1.0) * scale[place % 2] for place, one in enumerate(numbers)]
    return polygon_shape(classes[label], [flat])
