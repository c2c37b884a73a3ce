"""Ground truth and results in COCO's format, checked, as pycocotools looks them up."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypedDict

from pycocotools.coco import COCO

from yolact_bench.errors import SpecError

Index = COCO
Kind = Literal["bbox", "segm"]
Entry = Mapping[str, object]  # one detection, as COCO's result format has it


class Rle(TypedDict):
    """A run-length encoded mask, as COCO's result format has it."""

    size: list[int]  # height, width
    counts: str


def read_results(path: Path) -> list[Entry]:
    """Return the detections of a COCO result file.

    Raises:
        SpecError: no such file, malformed JSON, or not a list.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror}); evaluate again") from error
    except ValueError as error:
        raise SpecError(f"{path}: not JSON ({error}); delete it and evaluate again") from error
    if not isinstance(entries, list):
        raise SpecError(f"{path}: expected a list of detections, got {type(entries).__name__}")
    return entries


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


def result_index(truth: COCO, entries: Sequence[Entry], kind: Kind) -> COCO:
    """Return what `COCO.loadRes` returns, also for no detections, which it refuses.

    The areas of masks are left out.

    Raises:
        SpecError: an entry that is incomplete, or of an unknown image or category.
    """
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
            raise _mistake(entry, truth, number, shape)
        annotations.append({**entry, "id": number, "iscrowd": 0})
    if kind == "bbox":
        for annotation in annotations:
            annotation["area"] = _box_area(annotation["bbox"])
    return _index({**truth.dataset, "annotations": annotations})


def _index(dataset: Mapping[str, object]) -> COCO:
    index = COCO()
    index.dataset = dict(dataset)
    index.createIndex()
    return index


def _box_area(box: object) -> float:
    assert isinstance(box, list)
    return float(box[2] * box[3])


def _mistake(entry: Entry, truth: COCO, number: int, shape: str) -> SpecError:
    missing = [key for key in ("image_id", "category_id", "score", shape) if key not in entry]
    if missing:
        return SpecError(f"results: detection {number} has no {', '.join(missing)}")
    known = {"image_id": truth.imgs, "category_id": truth.cats}
    key = next(key for key, numbers in known.items() if entry[key] not in numbers)
    return SpecError(
        f"results: detection {number} has {key} {entry[key]}, which is not in the ground truth; "
        "were these predictions made on another data set?"
    )
