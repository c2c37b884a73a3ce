"""Data sets, augmentation and batches.

Public: `open_dataset`, `protocol.Dataset`, `batch.TrainingLoader`, `augment.AUGMENTATIONS`.
"""

from collections.abc import Callable, Mapping

from yolact_bench.data.coco import CocoDataset
from yolact_bench.data.protocol import Dataset
from yolact_bench.data.synthetic import ShapesDataset
from yolact_bench.dataset_spec.dataset import DatasetSpec

__all__ = ["DATASETS", "Dataset", "open_dataset"]

# By `DatasetSpec.kind`: COCO and SBD are COCO-format sets in known places.
DATASETS: Mapping[str, Callable[[DatasetSpec, str], Dataset]] = {
    "shapes": ShapesDataset,
    "coco_format": CocoDataset,
}


def open_dataset(spec: DatasetSpec, split: str) -> Dataset:
    """Return a split of a data set, its files checked.

    Raises:
        SpecError: no such split; or files that are missing, malformed or without any use.
    """
    return DATASETS[spec.kind](spec, split)
