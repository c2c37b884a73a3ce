"""Ground truth and results in COCO's format, checked, as an index of pycocotools."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pycocotools.coco import COCO

from runners.evaluation.coco.masks import areas
from yolact_bench.coco_fields import with_keys
from yolact_bench.errors import SpecError
from yolact_bench.json_file import read_json

Index = COCO
ShapeKind = Literal["bbox", "segm"]
Entry = Mapping[str, object]  # one detection, as COCO's result format has it
_REMEDY = "if yolact-bench wrote it, delete it; the same command makes it again"


def indices(
    ground_truth: Mapping[str, object], results: Sequence[Entry] | Path, kind: ShapeKind
) -> tuple[COCO, COCO]:
    """Return the indices of a data set's annotations and of results, which evaluation may change.

    Raises:
        SpecError: the file is not COCO results, or names an unknown image or category.
    """
    entries = read_json(results, remedy=_REMEDY) if isinstance(results, Path) else results
    if isinstance(entries, str) or not isinstance(entries, Sequence):
        name = type(entries).__name__
        raise SpecError(f"{results}: expected a list of detections, got {name}; {_REMEDY}")
    truth = truth_index(ground_truth)
    return truth, _result_index(truth, entries, kind)


def truth_index(ground_truth: Mapping[str, object]) -> COCO:
    """Return an index of a data set's annotations, which evaluation may write into."""
    annotations = ground_truth["annotations"]
    assert isinstance(annotations, list)
    # Numbered anew from 1: COCOeval marks "unmatched" by annotation id 0, so a file that
    # counts from 0 would lose its first object. Copies, because COCOeval writes into them.
    numbered = [
        {"iscrowd": 0, **annotation, "id": number}
        for number, annotation in enumerate(annotations, start=1)
    ]
    return _index({**ground_truth, "annotations": numbered})


def _result_index(truth: COCO, entries: Sequence[Entry], kind: ShapeKind) -> COCO:
    """Return what `COCO.loadRes` returns but areas of masks; also of no detections."""
    shape = "bbox" if kind == "bbox" else "segmentation"
    images, categories = truth.imgs, truth.cats
    annotations: list[dict[str, object]] = []
    for number, entry in enumerate(entries, start=1):
        if not (
            entry.get("image_id") in images
            and entry.get("category_id") in categories
            and "score" in entry
            and shape in entry
        ):
            raise _fault(entry, truth, number, shape)
        annotations.append({**entry, "id": number, "iscrowd": 0})
        if kind == "bbox":
            box = entry["bbox"]
            assert isinstance(box, list)
            annotations[-1]["area"] = float(box[2] * box[3])
    return _index({**truth.dataset, "annotations": annotations})


def set_areas(index: COCO) -> None:
    """Fill in the areas of masks."""
    annotations = index.dataset["annotations"]
    sizes = areas([one["segmentation"] for one in annotations])
    for annotation, area in zip(annotations, sizes, strict=True):
        annotation["area"] = area


def geometry_of(index: COCO, entries: Sequence[Entry], kind: ShapeKind) -> list[object]:
    """Return boxes, or masks as run lengths, of entries of an index."""
    if kind == "bbox":
        return [one["bbox"] for one in entries]
    return [index.annToRLE(one) for one in entries]


def _index(dataset: Mapping[str, object]) -> COCO:
    index = COCO()
    index.dataset = dict(dataset)
    index.createIndex()
    return index


def _fault(entry: Entry, truth: COCO, number: int, shape: str) -> SpecError:
    """Raise or return what is wrong with a detection."""
    with_keys(f"results: detection {number}", entry, ("image_id", "category_id", "score", shape))
    known = {"image_id": truth.imgs, "category_id": truth.cats}
    key = next(key for key, numbers in known.items() if entry[key] not in numbers)
    return SpecError(
        f"results: detection {number} has {key} {entry[key]}, which is not in the ground truth; "
        "evaluate on the data set that they were made on"
    )
