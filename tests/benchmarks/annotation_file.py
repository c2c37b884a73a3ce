"""An annotation file of the size of COCO's training split, with images in name only."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.support.coco_categories import COCO_CATEGORY_IDS
from yolact_bench.published_datasets import COCO_CLASSES

# Those of train2017: 118,287 images; 860,001 annotations, 1 in 85 a crowd; 448 MB.
IMAGES, OBJECTS = 118_000, 860_000
HEIGHT, WIDTH = 480, 640
_CROWD_EVERY = 85
_SHAPES = 997  # outlines that are drawn once each and then moved; a prime, so that no two meet


def write_annotations(path: Path, *, images: int = IMAGES, objects: int = OBJECTS) -> Path:
    """Write outlines of 4 to 42 corners with two decimals, and run lengths of the crowds."""
    rng = np.random.default_rng(0)
    shapes = [_outline(rng) for _ in range(_SHAPES)]
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {}, "licenses": [], "images": [')
        entries = (
            f'{{"license": 3, "file_name": "{n:012d}.jpg", "coco_url": "http://images.cocodataset'
            f'.org/train2017/{n:012d}.jpg", "height": {HEIGHT}, "width": {WIDTH}, "id": {n}}}'
            for n in range(images)
        )
        file.write(",".join(entries))
        file.write('], "annotations": [')
        for number, entry in enumerate(_annotations(rng, shapes, images, objects)):
            file.write("," * bool(number) + entry)
        classes = zip(COCO_CATEGORY_IDS, COCO_CLASSES, strict=True)
        names = ",".join(f'{{"id": {number}, "name": "{name}"}}' for number, name in classes)
        file.write(f'], "categories": [{names}]}}')
    return path


def _annotations(
    rng: np.random.Generator, shapes: list[np.ndarray], images: int, objects: int
) -> Iterator[str]:
    owners = rng.integers(0, images, objects).tolist()
    for number, image in enumerate(owners):
        points = shapes[number % _SHAPES] + rng.integers(0, 20_000, 2)
        left, top = points.min(axis=0).tolist()
        width, height = (points.max(axis=0) - (left, top)).tolist()
        crowd = number % _CROWD_EVERY == 0
        text = _crowd(rng) if crowd else f"[[{', '.join(map(_decimal, points.ravel().tolist()))}]]"
        box = ", ".join(map(_decimal, (left, top, width, height)))
        yield (
            f'{{"segmentation": {text}, "area": {_area(points)}, "iscrowd": {crowd:d}, '
            f'"image_id": {image}, "bbox": [{box}], '
            f'"category_id": {COCO_CATEGORY_IDS[number % 80]}, "id": {number + 1}}}'
        )


def _outline(rng: np.random.Generator) -> np.ndarray:
    """Return the corners of a star around (120, 120), in hundredths of a pixel."""
    corners = int(rng.integers(4, 43))
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = rng.uniform(0.5, 1, corners) * rng.uniform(20, 100)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius[:, None] + 120
    return np.rint(points * 100).astype(np.int64)


def _area(points: np.ndarray) -> float:
    """Return px² of an outline in hundredths of a pixel."""
    x, y = (points - points[0]).T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 20_000)


def _decimal(hundredths: int) -> str:
    return f"{hundredths / 100}"


def _crowd(rng: np.random.Generator) -> str:
    """Return 300 runs and the rest of the image."""
    runs = rng.integers(1, 1000, 300).tolist()
    return f'{{"counts": {[*runs, HEIGHT * WIDTH - sum(runs)]}, "size": [{HEIGHT}, {WIDTH}]}}'
