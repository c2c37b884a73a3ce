"""A stored forward pass whose candidates lie on the objects of its images, more or less."""

import json
from pathlib import Path

import numpy as np

from yolact_bench.data import Dataset
from yolact_bench.data.objects import rasterise

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
    objects = dataset.objects(index)
    to_cells = np.array([[columns / width, 0.0, 0.0], [0.0, rows / height, 0.0]])
    masks = rasterise(objects.segments, to_cells, rows)
    for number, mask in enumerate(masks[:k]):
        label = objects.labels[number]
        prototypes[..., number] = 2.0 * mask - 1.0
        corners = objects.boxes_px[number] / np.array([width, height, width, height])
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
