"""COCO's own evaluation: results and ground truth → average precision and recall."""

import contextlib
import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from runners.coco_matches import collect_matches
from yolact_bench.errors import SpecError
from yolact_bench.results.files import atomic_path
from yolact_bench.results.record import ApSummary

Kind = Literal["bbox", "segm"]
Entry = Mapping[str, object]  # one detection, as COCO's result format has it

# Positions in COCOeval's arrays: area "all" is the first of four, 100 detections the last of
# three limits.
_ALL_AREAS, _MOST_DETECTIONS = 0, 2


class Rle(TypedDict):
    """A run-length encoded mask, as COCO's result format has it."""

    size: list[int]  # height, width
    counts: str


def score(
    ground_truth: Mapping[str, object],
    results: Sequence[Entry] | Path,
    *,
    kind: Kind,
    class_names: Mapping[int, str],
    image_ids: Collection[int] | None = None,
    save_matches: Path | None = None,
) -> ApSummary:
    """Return COCO's metrics of `results`, a list in COCO's result format or a file of one.

    The numbers are pycocotools' own. No detections at all score 0. `class_names` goes from
    category id to name; `image_ids` restricts the evaluation to these images. What matched what
    is left in the file `save_matches`, from which AP on resampled images follows.

    Raises:
        SpecError: the file is not COCO results, or names an unknown image or category.

    Source: Lin et al., Microsoft COCO (arXiv:1405.0312); pycocotools, COCOeval.
    """
    entries = read_results(results) if isinstance(results, Path) else results
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports progress by print
        truth = _truth_index(ground_truth)
        evaluation = COCOeval(truth, _result_index(truth, entries, kind), kind)
        if image_ids is not None:
            evaluation.params.imgIds = sorted(image_ids)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    if save_matches is not None:
        with atomic_path(save_matches) as temporary:
            collect_matches(
                evaluation.evalImgs,
                num_images=len(evaluation.params.imgIds),
                num_classes=len(evaluation.params.catIds),
            ).save(temporary)
    return _summary(evaluation, class_names)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """The detections of one image, D, against its objects, G."""

    scores: NDArray[np.float64]  # [D]
    categories: NDArray[np.int64]  # [D], the data set's own numbers
    true_categories: NDArray[np.int64]  # [G]
    is_crowd: NDArray[np.bool_]  # [G]
    iou: NDArray[np.float64]  # [D, G]; with a crowd: the part of the detection inside it


def overlaps(
    ground_truth: Mapping[str, object], results: Sequence[Entry] | Path, *, kind: Kind
) -> Iterator[Overlaps]:
    """Yield what `score` compares, image by image in the order of their ids.

    Raises:
        SpecError: as `score`.
    """
    detections = read_results(results) if isinstance(results, Path) else results
    with contextlib.redirect_stdout(io.StringIO()):
        truth = _truth_index(ground_truth)
        found = _result_index(truth, detections, kind)
    for image_id in sorted(truth.imgs):
        objects = truth.imgToAnns.get(image_id, [])
        entries = found.imgToAnns.get(image_id, [])
        crowd = np.array([bool(one["iscrowd"]) for one in objects], bool)
        yield Overlaps(
            scores=np.array([one["score"] for one in entries], np.float64),
            categories=np.array([one["category_id"] for one in entries], np.int64),
            true_categories=np.array([one["category_id"] for one in objects], np.int64),
            is_crowd=crowd,
            iou=_iou(_shapes(found, entries, kind), _shapes(truth, objects, kind), crowd),
        )


def mask_iou(detections: Sequence[Rle], objects: Sequence[Rle]) -> NDArray[np.float64]:
    """Return the IoU [D, G] of each mask with each object, neither of them a crowd."""
    return _iou(detections, objects, np.zeros(len(objects), bool))


def encode_outlines(polygons: Sequence[NDArray[np.float64]], *, height: int, width: int) -> Rle:
    """Return the run lengths of the union of polygons [P, 2], as scoring draws them."""
    flat = [polygon.reshape(-1).tolist() for polygon in polygons]
    united = rle.merge(rle.frPyObjects(flat, height, width))
    return {"size": [height, width], "counts": united["counts"].decode("ascii")}


def encode_pixels(pixels: NDArray[np.uint8]) -> Rle:
    """Return the run lengths of a mask of 0 and 1."""
    height, width = pixels.shape
    packed = rle.encode(np.asfortranarray(pixels))
    return {"size": [height, width], "counts": packed["counts"].decode("ascii")}


def _shapes(index: COCO, entries: Sequence[Mapping[str, object]], kind: Kind) -> list[object]:
    if kind == "bbox":
        return [one["bbox"] for one in entries]
    return [index.annToRLE(one) for one in entries]


def _iou(
    detections: Sequence[object], objects: Sequence[object], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    if not detections or not objects:  # pycocotools gives a list here, without a shape
        return np.zeros((len(detections), len(objects)))
    return np.asarray(rle.iou(detections, objects, crowd.tolist()), np.float64)


def _truth_index(ground_truth: Mapping[str, object]) -> COCO:
    annotations = ground_truth["annotations"]
    assert isinstance(annotations, list)
    # Numbered anew from 1: COCOeval marks "unmatched" by annotation id 0, so a file that
    # counts from 0 would lose its first object. Copies, because COCOeval writes into them.
    numbered = [
        {"iscrowd": 0, **annotation, "id": number}
        for number, annotation in enumerate(annotations, start=1)
    ]
    return _index({**ground_truth, "annotations": numbered})


def _result_index(truth: COCO, entries: Iterable[Entry], kind: Kind) -> COCO:
    """Return what `COCO.loadRes` returns, also for no detections, which it refuses."""
    annotations: list[dict[str, object]] = []
    for number, entry in enumerate(entries, start=1):
        _check(entry, truth, number, "bbox" if kind == "bbox" else "segmentation")
        annotations.append({**entry, "id": number, "iscrowd": 0, "area": _area(entry, kind)})
    return _index({**truth.dataset, "annotations": annotations})


def _index(dataset: Mapping[str, object]) -> COCO:
    index = COCO()
    index.dataset = dict(dataset)
    index.createIndex()
    return index


def _area(entry: Entry, kind: Kind) -> float:
    # Masks one by one: pycocotools 2.0.11 overflows on the areas of more than 255 at a time.
    if kind == "segm":
        return float(rle.area(entry["segmentation"]))
    box = entry["bbox"]
    assert isinstance(box, list)
    return float(box[2] * box[3])


def _check(entry: Entry, truth: COCO, number: int, shape: str) -> None:
    missing = [key for key in ("image_id", "category_id", "score", shape) if key not in entry]
    if missing:
        raise SpecError(f"results: detection {number} has no {', '.join(missing)}")
    for key, known in (("image_id", truth.imgs), ("category_id", truth.cats)):
        if entry[key] not in known:
            raise SpecError(
                f"results: detection {number} has {key} {entry[key]}, which is not in the "
                "ground truth; were these predictions made on another data set?"
            )


def _summary(evaluation: COCOeval, class_names: Mapping[int, str]) -> ApSummary:
    numbers = [_or_none(value) for value in evaluation.stats]
    # [10 IoU thresholds, 101 recalls, classes]
    precision = evaluation.eval["precision"][..., _ALL_AREAS, _MOST_DETECTIONS]
    by_class = {
        class_names[category]: _mean(precision[:, :, column])
        for column, category in enumerate(evaluation.params.catIds)
    }
    return ApSummary(
        ap=numbers[0],
        ap50=numbers[1],
        ap75=numbers[2],
        ap_small=numbers[3],
        ap_medium=numbers[4],
        ap_large=numbers[5],
        ar_1=numbers[6],
        ar_10=numbers[7],
        ar_100=numbers[8],
        ar_small=numbers[9],
        ar_medium=numbers[10],
        ar_large=numbers[11],
        ap_by_iou=tuple(_mean(at_threshold) for at_threshold in precision),
        ap_by_class=by_class,
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean over classes with ground truth, which COCOeval marks by not being -1."""
    present = values[values > -1]
    return float(present.mean()) if len(present) else None


def _or_none(value: float) -> float | None:
    return None if value == -1 else float(value)
