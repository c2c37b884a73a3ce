"""A small COCO-format set on disk, and the real subset where there is one."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.support.paths import ROOT
from yolact_bench.dataset_spec.dataset import DatasetSpec, dataset_choice, resolve_dataset

SIZE = (40, 60)  # height, width of every image
FILL = (124.0, 117.0, 104.0)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """The outline with these corners, clockwise in an image."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=float)


def square_annotation(number: int, image_id: int, **changes: object) -> dict[str, Any]:
    """A 10 x 10 square at (5, 10), of category 7 unless changed."""
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 7,
        "bbox": [5.0, 10.0, 10.0, 10.0],
        "area": 100.0,
        "iscrowd": 0,
        "segmentation": [[5.0, 10.0, 15.0, 10.0, 15.0, 20.0, 5.0, 20.0]],
        **changes,
    }


def tiny_content() -> dict[str, Any]:
    """Two images, of which the second has no annotation; category ids with gaps."""
    height, width = SIZE
    return {
        "images": [
            {"id": number, "file_name": f"{number}.png", "height": height, "width": width}
            for number in (30, 10)
        ],
        "annotations": [square_annotation(1, 30), square_annotation(2, 30, category_id=3)],
        "categories": [{"id": 7, "name": "cup"}, {"id": 3, "name": "cat"}],
    }


def write_set(
    folder: Path, content: Mapping[str, Any] | None = None, *, yaml_tail: str = ""
) -> Path:
    """Write images, annotations and dataset.yaml; return the latter."""
    content = content or tiny_content()
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in (10, 30):
        image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), image)
    (folder / "notes.json").write_text(json.dumps(content))
    path = folder / "dataset.yaml"
    path.write_text(
        "name: tiny\n"
        "train: {images: images, annotations: notes.json}\n"
        "val: {images: images, annotations: notes.json}\n" + yaml_tail
    )
    return path


def tiny_spec(
    folder: Path, content: Mapping[str, Any] | None = None, *, yaml_tail: str = ""
) -> DatasetSpec:
    """The same set, resolved."""
    path = write_set(folder, content, yaml_tail=yaml_tail)
    return resolve_dataset(dataset_choice(str(path), relative_to=folder), data_root=None)


def coco_subset() -> Path | None:
    """The folder of a real COCO subset, or None."""
    beside = ROOT.parent / "shared" / "data" / "coco-subset"
    folder = Path(os.environ.get("YOLACT_BENCH_COCO_SUBSET", beside))
    return folder if (folder / "annotations" / "instances_train.json").is_file() else None
