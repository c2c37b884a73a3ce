"""COCO's own evaluation: results and ground truth → average precision and recall."""

import contextlib
import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from runners.evaluation.coco import engine_faster as coco_faster
from runners.evaluation.coco import engine_vectorised as coco_vectorised
from runners.evaluation.coco.index import (
    Entry,
    Kind,
    Rle,
    read_results,
    result_index,
    truth_index,
)
from runners.evaluation.coco.matches import collect_matches
from runners.evaluation.coco.matching import Scored
from yolact_bench.errors import SpecError
from yolact_bench.results.files import atomic_path
from yolact_bench.results.record import ApSummary
from yolact_bench.slots import hint


def score(
    ground_truth: Mapping[str, object],
    results: Sequence[Entry] | Path,
    *,
    kind: Kind,
    class_names: Mapping[int, str],
    image_ids: Collection[int] | None = None,
    save_matches: Path | None = None,
    scoring: str = "pycocotools",
) -> ApSummary:
    """Return COCO's metrics of `results`, a list in COCO's result format or a file of one.

    The numbers are those of the engine named by `scoring`. No detections at all score 0.
    `class_names` goes from category id to name; `image_ids` restricts the evaluation to these
    images. What matched what is left in the file `save_matches`, from which AP on resampled
    images follows.

    Raises:
        SpecError: the file is not COCO results, or names an unknown image or category.

    Source: Lin et al., Microsoft COCO (arXiv:1405.0312); pycocotools, COCOeval.
    """
    entries = read_results(results) if isinstance(results, Path) else results
    engine = SCORING[scoring]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports progress by print
        truth = truth_index(ground_truth)
        found = result_index(truth, entries, kind)
        scored = engine.evaluate(truth, found, kind, image_ids)
    if save_matches is not None:
        with atomic_path(save_matches) as temporary:
            scored.matches().save(temporary)
    return summary(scored, class_names)


def summary(scored: Scored, class_names: Mapping[int, str]) -> ApSummary:
    """Return what an engine made of results as records have it; `class_names` as in `score`."""
    numbers = [_or_none(value) for value in scored.stats]
    by_class = {
        class_names[category]: _mean(scored.precision[:, :, column])
        for column, category in enumerate(scored.category_ids)
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
        ap_by_iou=tuple(_mean(at_threshold) for at_threshold in scored.precision),
        ap_by_class=by_class,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What computes COCO's metrics. All engines have the same interface, and the same numbers."""

    evaluate: Callable[[COCO, COCO, Kind, Collection[int] | None], Scored]
    name: Callable[[], str]  # for records; raises SpecError where it is not installed


def engine_name(scoring: str) -> str:
    """Return how records call the engine, with the version of one that is not the default.

    Raises:
        SpecError: no such engine, or it is not installed.
    """
    if scoring not in SCORING:
        raise SpecError(f"--scoring: no engine is named {scoring!r}{hint(scoring, SCORING)}")
    return SCORING[scoring].name()


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
        truth = truth_index(ground_truth)
        found = result_index(truth, detections, kind)
    for image_id in sorted(truth.imgs):
        objects = truth.imgToAnns.get(image_id, [])
        entries = found.imgToAnns.get(image_id, [])
        crowd = np.array([bool(one["iscrowd"]) for one in objects], bool)
        yield Overlaps(
            scores=np.array([one["score"] for one in entries], np.float64),
            categories=np.array([one["category_id"] for one in entries], np.int64),
            true_categories=np.array([one["category_id"] for one in objects], np.int64),
            is_crowd=crowd,
            iou=iou(_shapes(found, entries, kind), _shapes(truth, objects, kind), crowd),
        )


def mask_iou(detections: Sequence[Rle], objects: Sequence[Rle]) -> NDArray[np.float64]:
    """Return the IoU [D, G] of each mask with each object, neither of them a crowd."""
    return iou(detections, objects, np.zeros(len(objects), bool))


def iou(
    detections: Sequence[object], objects: Sequence[object], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the IoU [D, G] of boxes (x, y, width, height) or of run lengths, with each object.

    With a crowd it is the part of the detection inside it.
    """
    if not detections or not objects:  # pycocotools gives a list here, without a shape
        return np.zeros((len(detections), len(objects)))
    return np.asarray(rle.iou(detections, objects, crowd.tolist()), np.float64)


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


def _evaluate(truth: COCO, found: COCO, kind: Kind, image_ids: Collection[int] | None) -> Scored:
    if kind == "segm":
        # One by one: pycocotools 2.0.11 overflows on the areas of more than 255 at a time.
        for annotation in found.dataset["annotations"]:
            annotation["area"] = float(rle.area(annotation["segmentation"]))
    evaluation = COCOeval(truth, found, kind)
    if image_ids is not None:
        evaluation.params.imgIds = sorted(image_ids)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    images, classes = evaluation.params.imgIds, evaluation.params.catIds
    return Scored(
        stats=evaluation.stats,
        precision=evaluation.eval["precision"][..., 0, 2],  # all sizes, 100 detections
        category_ids=tuple(classes),
        matches=lambda: collect_matches(
            evaluation.evalImgs, num_images=len(images), num_classes=len(classes)
        ),
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean over classes with ground truth, which COCOeval marks by not being -1."""
    present = values[values > -1]
    return float(present.mean()) if len(present) else None


def _or_none(value: float) -> float | None:
    return None if value == -1 else float(value)


SCORING: Mapping[str, Engine] = {
    "pycocotools": Engine(evaluate=_evaluate, name=lambda: "pycocotools"),
    "faster": Engine(evaluate=coco_faster.evaluate, name=coco_faster.name),
    "vectorised": Engine(evaluate=coco_vectorised.evaluate, name=lambda: "vectorised"),
}
