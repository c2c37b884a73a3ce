"""A drawn data set and its true masks as another framework would write them."""

from yolact_bench.data import Dataset, open_dataset
from yolact_bench.dataset_spec.dataset import resolve_dataset

DATA = {"name": "shapes", "train_images": 4, "val_images": 2, "size": 96}


def drawn() -> Dataset:
    """The images to be evaluated."""
    return open_dataset(resolve_dataset(DATA, data_root=None), "val")


def true_masks(dataset: Dataset) -> list[dict[str, object]]:
    annotations = dataset.ground_truth()["annotations"]
    assert isinstance(annotations, list)
    kept = ("image_id", "category_id", "segmentation")
    return [{**{key: one[key] for key in kept}, "score": 0.9} for one in annotations]
