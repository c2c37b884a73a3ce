"""A stored forward pass whose candidates lie on the objects of its images, more or less."""

import json
from pathlib import Path

import numpy as np

from runners.coco_index import truth_index
from yolact_bench.data import Dataset

OF_EACH_OBJECT = 40


def plant(folder: Path, dataset: Dataset, *, seed: int = 0) -> None:
    """Replace the candidates of a complete pass, whose shapes and thresholds stay."""
    assert json.loads((folder / "pass.json").read_text())["min_score"] <= 0.01
    rng = np.random.default_rng(seed)
    for index in range(len(dataset)):
        path = folder / f"{index:07d}.npz"
        with np.load(path) as file:
            shapes = {name: file[name].shape for name in file.files}
            size = file["size"]
        np.savez(path, size=size, **_candidates(dataset, index, shapes, size, rng))


def _candidates(
    dataset: Dataset,
    index: int,
    shapes: dict[str, tuple[int, ...]],
    size: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Each object has a prototype of its own, and each of its candidates a little of the others."""
    rows, columns, k = shapes["prototypes"]
    classes = shapes["probabilities"][1]
    height, width = size.tolist()
    prototypes = rng.normal(0.0, 0.3, (rows, columns, k))
    boxes, probabilities, coefficients = [], [], []
    for number, (box, label, mask) in enumerate(_objects(dataset, index)[:k]):
        down = ((np.arange(rows) + 0.5) * height / rows).astype(int)
        across = ((np.arange(columns) + 0.5) * width / columns).astype(int)
        prototypes[..., number] = 2.0 * mask[down][:, across] - 1.0
        corners = box / np.array([width, height, width, height])
        boxes.append(corners + rng.normal(0.0, 0.03, (OF_EACH_OBJECT, 4)))
        own = rng.normal(0.0, 0.5, (OF_EACH_OBJECT, k))
        own[:, number] += rng.uniform(1.0, 6.0, OF_EACH_OBJECT)
        coefficients.append(own)
        logits = rng.normal(0.0, 1.0, (OF_EACH_OBJECT, classes + 1))
        logits[:, label + 1] += rng.uniform(-1.0, 4.0, OF_EACH_OBJECT)
        odds = np.exp(logits)
        probabilities.append((odds / odds.sum(1, keepdims=True))[:, 1:])
    planted = {
        "boxes": np.concatenate(boxes),
        "probabilities": np.concatenate(probabilities),
        "coefficients": np.concatenate(coefficients),
        "prototypes": prototypes,
    }
    planted["boxes"][0] = 1.5  # beside the image: left out of results
    planted["probabilities"][0, 0] = 0.99
    planted["probabilities"][1:3] = planted["probabilities"][3]  # equal scores
    return {name: values.astype(np.float32) for name, values in planted.items()}


def _objects(dataset: Dataset, index: int) -> list[tuple[np.ndarray, int, np.ndarray]]:
    """Return corners, label and pixels of each object of an image."""
    truth = truth_index(dataset.ground_truth())
    found = []
    for one in truth.imgToAnns[dataset.image_id(index)]:
        x, y, width, height = one["bbox"]
        label = dataset.category_ids.index(one["category_id"])
        found.append((np.array([x, y, x + width, y + height]), label, truth.annToMask(one)))
    return found
