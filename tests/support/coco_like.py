"""Drawn data sets as large as asked for, like COCO's validation images, with detections."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

HEIGHT, WIDTH, CLASSES = 480, 640, 80
CORNERS = 16
Entries = list[dict[str, Any]]


def coco_like(
    num_images: int,
    *,
    objects: float = 7.0,
    detections: int = 100,
    crowds: float = 0.012,
    decimals: int = 3,
    classes: int = CLASSES,
    seed: int = 0,
) -> tuple[dict[str, Any], Entries, Entries]:
    """Return ground truth, box results and mask results.

    Objects are polygons of COCO's sizes, some of them crowd regions; a third of the detections
    are near an object, the others anywhere. `decimals` of the scores: few make equal scores.
    """
    random = np.random.default_rng(seed)
    images, annotations, boxes, masks = [], [], [], []
    for number in range(num_images):
        image_id = 139 + 17 * number
        images.append({"id": image_id, "height": HEIGHT, "width": WIDTH})
        count = int(random.poisson(objects))
        shapes = _ellipses(random, count)
        labels = random.integers(1, classes + 1, count)
        for shape, label in zip(shapes, labels, strict=True):
            crowd = bool(random.random() < crowds)
            annotations.append(_annotation(len(annotations) + 1, image_id, label, shape, crowd))
        for shape, label in _found(random, shapes, labels, detections, classes):
            score = round(float(random.random()), decimals)
            what = {"image_id": image_id, "category_id": int(label), "score": score}
            outline = _outline(shape)
            boxes.append({**what, "bbox": [round(side, 1) for side in _box(outline)]})
            masks.append({**what, "segmentation": _rle(outline)})
    categories = [{"id": c, "name": f"class {c}"} for c in range(1, classes + 1)]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    return truth, boxes, masks


def names_of(truth: dict[str, Any]) -> dict[int, str]:
    """Return category id → name."""
    return {category["id"]: category["name"] for category in truth["categories"]}


def _ellipses(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Centre and half axes [count, 4], from 5 px to most of the image."""
    half = np.exp(random.normal(3.3, 0.9, (count, 2))).clip(3, 200)
    centre = random.uniform((0, 0), (WIDTH, HEIGHT), (count, 2))
    return np.hstack([centre, half])


def _found(
    random: np.random.Generator,
    shapes: NDArray[np.float64],
    labels: NDArray[np.int64],
    count: int,
    classes: int,
) -> Iterator[tuple[NDArray[np.float64], int]]:
    near = count // 3 if len(shapes) else 0
    for which in random.integers(0, max(1, len(shapes)), near):
        size = shapes[which, [2, 3, 2, 3]]
        moved = shapes[which] + random.normal(0.0, 0.12, 4) * size
        label = labels[which] if random.random() < 0.8 else random.integers(1, classes + 1)
        yield np.maximum(moved, (-np.inf, -np.inf, 2.0, 2.0)), int(label)
    for shape in _ellipses(random, count - near):
        yield shape, int(random.integers(1, classes + 1))


def _outline(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    angle = np.linspace(0.0, 2 * np.pi, CORNERS, endpoint=False)
    points = shape[:2] + shape[2:] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return points.clip((0, 0), (WIDTH, HEIGHT)).round(2)


def _box(outline: NDArray[np.float64]) -> list[float]:
    (x1, y1), (x2, y2) = outline.min(0).tolist(), outline.max(0).tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def _rle(outline: NDArray[np.float64]) -> dict[str, Any]:
    packed = rle.frPyObjects([outline.reshape(-1).tolist()], HEIGHT, WIDTH)[0]
    return {"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode("ascii")}


def _annotation(
    number: int, image_id: int, label: int, shape: NDArray[np.float64], crowd: bool
) -> dict[str, Any]:
    outline = _outline(shape)
    run = _rle(outline)
    polygons = [outline.reshape(-1).tolist()]
    return {
        "id": number,
        "image_id": image_id,
        "category_id": int(label),
        "bbox": _box(outline),
        "area": float(rle.area(run)),
        "iscrowd": int(crowd),
        "segmentation": run if crowd else polygons,
    }
