"""Photographs to load: a real COCO subset where there is one, else pictures drawn here."""

import json
from pathlib import Path

import cv2
import numpy as np

from tests.support.coco_categories import COCO_CATEGORY_IDS
from tests.support.data_fixtures import coco_subset
from yolact_bench.data import Dataset, open_dataset
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.dataset_spec.split import FileSplit
from yolact_bench.published_datasets import COCO_CLASSES

HEIGHT, WIDTH, OBJECTS = 480, 640, 7


def real_photographs() -> Dataset | None:
    """Return the real subset, or None where there is none."""
    root = coco_subset()
    if root is None:
        return None
    return _opened(root / "images", root / "annotations" / "instances_train.json")


def drawn_photographs(folder: Path, count: int = 24) -> Dataset:
    """Return JPEGs of 640 x 480 pixels and about 150 kB, each with seven outlines."""
    images = folder / "images"
    images.mkdir()
    annotations = []
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        grain = rng.normal(0, 14, (HEIGHT, WIDTH, 3))
        picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) + grain
        name = str(images / f"{number}.jpg")
        cv2.imwrite(name, picture.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 86])
        annotations += [_annotation(rng, number, n) for n in range(OBJECTS)]
    notes = {
        "images": [
            {"id": n, "file_name": f"{n}.jpg", "height": HEIGHT, "width": WIDTH}
            for n in range(count)
        ],
        "annotations": annotations,
        "categories": [
            {"id": number, "name": name}
            for number, name in zip(COCO_CATEGORY_IDS, COCO_CLASSES, strict=True)
        ],
    }
    (folder / "notes.json").write_text(json.dumps(notes))
    return _opened(images, folder / "notes.json")


def _annotation(rng: np.random.Generator, image: int, number: int) -> dict[str, object]:
    radius = float(rng.uniform(15, 110))
    x, y = rng.uniform(radius, WIDTH - radius), rng.uniform(radius, HEIGHT - radius)
    angle = np.linspace(0, 2 * np.pi, 25)[:-1]
    points = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
    return {
        "id": image * OBJECTS + number,
        "image_id": image,
        "category_id": int(rng.choice(COCO_CATEGORY_IDS)),
        "bbox": [x - radius, y - radius, 2 * radius, 2 * radius],
        "area": 3.1 * radius**2,
        "iscrowd": 0,
        "segmentation": [points.flatten().tolist()],
    }


def _opened(images: Path, notes: Path) -> Dataset:
    split = FileSplit(images=images, annotations=notes)
    spec = DatasetSpec(
        name="photographs", kind="coco_format", classes=COCO_CLASSES, splits={"train": split}
    )
    return open_dataset(spec, "train")
