"""The small set that the cases change: six images with two rectangles each, of classes a and b."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIZE = (72, 96)  # height, width
# x, y, width, height of the object of each class, px
BOXES: Mapping[str, tuple[int, int, int, int]] = {"a": (8, 10, 30, 24), "b": (50, 30, 36, 32)}


def base_content(classes: Sequence[str] = ("a", "b"), *, first_image: int = 1) -> dict[str, Any]:
    """The annotations of six images; ids of categories count from 1 in the order of `classes`."""
    numbers = range(first_image, first_image + 6)
    annotations = []
    for image in numbers:
        for label, name in enumerate(classes, start=1):
            x, y, width, height = BOXES[name]
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": label,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": 0,
                    "segmentation": [corners],
                }
            )
    height, width = SIZE
    return {
        "images": [
            {"id": n, "file_name": f"{n}.png", "height": height, "width": width} for n in numbers
        ],
        "annotations": annotations,
        "categories": [{"id": n, "name": name} for n, name in enumerate(classes, start=1)],
    }


def draw_images(folder: Path, names: Sequence[str], *, seed: int = 0) -> None:
    """Write images with both objects on noise that `seed` draws."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for name in names:
        image = rng.integers(0, 60, (*SIZE, 3), dtype=np.uint8)
        for shade, (x, y, width, height) in zip((120, 240), BOXES.values(), strict=True):
            image[y : y + height, x : x + width] = shade
        cv2.imwrite(str(folder / name), image)


def write_base(
    folder: Path, *, train: Mapping[str, Any] | None = None, val: Mapping[str, Any] | None = None
) -> Path:
    """Write splits with images of their own and dataset.yaml; return the latter."""
    lines = ["name: base"]
    for seed, (split, given) in enumerate((("train", train), ("val", val))):
        content = given or base_content(first_image=1 + 100 * seed)
        draw_images(folder / split, [one["file_name"] for one in content["images"]], seed=seed)
        (folder / f"{split}.json").write_text(json.dumps(content))
        lines.append(f"{split}: {{images: {split}, annotations: {split}.json}}")
    path = folder / "dataset.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path
