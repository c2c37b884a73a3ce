"""Ground truth and results in COCO's format, checked, as an index of pycocotools."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pycocotools.coco import COCO

from runners.evaluation.coco.detections import (
    Detections,
    Entry,
    ShapeKind,
    Subjects,
    read_detections,
)
from runners.evaluation.files import holds_masks_as_written
from yolact_bench.evaluation import COCO_OPTIONS, Evaluation
from yolact_bench.json_file import read_json

Index = COCO
_REMEDY = "if yolact-bench wrote it, delete it; the same command makes it again"


def indices(
    ground_truth: Mapping[str, object],
    results: Sequence[Entry] | Path,
    kind: ShapeKind,
    evaluation: Evaluation = COCO_OPTIONS,
) -> tuple[COCO, COCO]:
    """Return the indices of a data set's annotations and of results, which evaluation may change.

    Both are without the classes that `evaluation` leaves out.

    Raises:
        SpecError: the results are malformed, or name an unknown image or category.
    """
    known = Subjects(ground_truth)
    if isinstance(results, Path):
        own = kind == "segm" and holds_masks_as_written(results)  # which need no look at each
        entries = read_json(results, remedy=_REMEDY)
        detections = read_detections(
            entries, known, kind, where=str(results), remedy=_REMEDY, own_masks=own
        )
    else:
        detections = read_detections(results, known, kind, where="results")
    truth = truth_index(ground_truth, evaluation)
    return truth, _result_index(truth, detections, kind)


def truth_index(ground_truth: Mapping[str, object], evaluation: Evaluation = COCO_OPTIONS) -> COCO:
    """Return an index of a data set's annotations, which evaluation may write into.

    It is without the classes that `evaluation` leaves out. What a file has as `ignore` has no
    effect: COCOeval sets it anew, to `iscrowd`.
    """
    annotations, categories = ground_truth["annotations"], ground_truth["categories"]
    assert isinstance(annotations, list)
    assert isinstance(categories, list)
    if evaluation.classes:
        categories = [one for one in categories if evaluation.scores(one["name"])]
        wanted = {one["id"] for one in categories}
        annotations = [one for one in annotations if one["category_id"] in wanted]
    # Numbered anew from 1: COCOeval marks "unmatched" by annotation id 0, so a file that
    # counts from 0 would lose its first object. Copies, because COCOeval writes into them.
    numbered = [
        {"iscrowd": 0, **annotation, "id": number}
        for number, annotation in enumerate(annotations, start=1)
    ]
    return _index({**ground_truth, "categories": categories, "annotations": numbered})


def _result_index(truth: COCO, detections: Detections, kind: ShapeKind) -> COCO:
    """Return what `COCO.loadRes` returns, of the classes of `truth`; also of no detections."""
    shape = "bbox" if kind == "bbox" else "segmentation"
    each = zip(detections.entries, detections.shapes, detections.areas, strict=True)
    annotations = [
        {**entry, shape: geometry, "area": area, "id": number, "iscrowd": 0}
        for number, (entry, geometry, area) in enumerate(each, start=1)
        if entry["category_id"] in truth.cats
    ]
    return _index({**truth.dataset, "annotations": annotations})


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
