"""COCO's evaluation without loops over detections: pycocotools' overlaps, the rest at once."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runners.evaluation.coco.detections import ShapeKind
from runners.evaluation.coco.index import Index, geometry_of
from runners.evaluation.coco.instances import Float64, equals_before, instances_of
from runners.evaluation.coco.masks import iou
from runners.evaluation.coco.matching import match
from runners.evaluation.coco.scoring_result import ScoringResult
from yolact_bench.evaluation import Evaluation
from yolact_bench.statistics.matches import AREAS, IOU_THRESHOLDS, RECALLS, Matches, unpack_flags

Annotation = dict[str, Any]

_SPACING = np.spacing(1)


def evaluate(
    truth: Index,
    detections: Index,
    kind: ShapeKind,
    image_ids: Collection[int] | None,
    evaluation: Evaluation,
) -> ScoringResult:
    """Return COCO's precision and recall.

    Overlaps are computed where an image has both detections and objects of a class, and are
    pycocotools' own; every later step does its arithmetic in its order. So all numbers are the
    same to the bit.

    Source: pycocotools, COCOeval: computeIoU, evaluateImg, accumulate.
    Differs: the loops are arrays; the numbers are the same.
    """
    numbers = truth.imgs if image_ids is None else image_ids
    images = {number: row for row, number in enumerate(sorted(numbers))}
    classes = {number: column for column, number in enumerate(sorted(truth.cats))}
    matches = match(
        instances_of(detections.dataset["annotations"], images, classes),
        instances_of(truth.dataset["annotations"], images, classes),
        {
            (images[image], classes[category]): matrix
            for (image, category), matrix in _overlaps(
                truth, detections, kind, evaluation.max_dets
            ).items()
            if image in images
        },
        num_images=len(images),
        num_classes=len(classes),
        evaluation=evaluation,
    )
    return score_matches(matches, tuple(classes))


def score_matches(matches: Matches, category_ids: tuple[int, ...]) -> ScoringResult:
    """Return what follows from matches; `category_ids` are ascending."""
    precision, recall = accumulate(matches)
    return ScoringResult(
        precision=precision,
        recall=recall,
        category_ids=category_ids,
        matches=lambda: matches,
    )


def accumulate(matches: Matches) -> tuple[Float64, Float64]:
    """Return precision [A, T, R, K] and recall [A + 2, T, K] as `ScoringResult` has them.

    Source: pycocotools, COCOeval.accumulate.
    """
    shape = len(AREAS), len(IOU_THRESHOLDS), len(RECALLS), matches.num_classes
    precision = np.full(shape, -1.0)
    recall = np.full((len(AREAS) + 2, len(IOU_THRESHOLDS), matches.num_classes), -1.0)
    labels = np.arange(matches.num_classes + 1)
    bounds = np.searchsorted(matches.label, labels)
    truths = np.searchsorted(matches.truth_label, labels)
    for label in range(matches.num_classes):
        of_class = slice(bounds[label], bounds[label + 1])
        objects = matches.truth_count[:, truths[label] : truths[label + 1]].sum(1)
        matched, counts = matches.matched[:, of_class], ~matches.ignored[:, of_class]
        hit = unpack_flags((matched & counts)[:, None])  # [A, T, D]
        missed = unpack_flags((~matched & counts)[:, None])
        rank = equals_before(matches.image[of_class])
        for area in np.flatnonzero(objects):
            precision[area, :, :, label] = _curve(hit[area], missed[area], objects[area])
            recall[area, :, label] = hit[area].sum(1) / objects[area]
        if objects[0]:
            for row, most in ((-2, 1), (-1, 10)):
                recall[row, :, label] = hit[0][:, rank < most].sum(1) / objects[0]
    return precision, recall


def _curve(hit: NDArray[np.bool_], missed: NDArray[np.bool_], objects: int) -> Float64:
    """Return precision [T, R] of ranked detections [T, D]."""
    hits = np.cumsum(hit, axis=1, dtype=np.float64)
    misses = np.cumsum(missed, axis=1, dtype=np.float64)
    at_hit = hits / (misses + hits + _SPACING)
    # The best precision at this recall or a higher one; none behind the last detection.
    best = np.maximum.accumulate(at_hit[:, ::-1], axis=1)[:, ::-1]
    best = np.hstack([best, np.zeros((len(best), 1))])
    recall = hits / objects
    reached = [np.searchsorted(levels, RECALLS) for levels in recall]
    return np.stack([row[place] for row, place in zip(best, reached, strict=True)])


def _overlaps(
    truth: Index, results: Index, kind: ShapeKind, max_dets: int
) -> dict[tuple[int, int], Float64]:
    """Return IoU [D, G] by image id and category id, where there are both."""
    objects, detections = _by_pair(truth), _by_pair(results)
    overlaps = {}
    for pair in objects.keys() & detections.keys():
        best = sorted(detections[pair], key=lambda one: -one["score"])[:max_dets]
        crowd = np.array([one["iscrowd"] for one in objects[pair]], bool)
        sides = geometry_of(results, best, kind), geometry_of(truth, objects[pair], kind)
        overlaps[pair] = iou(*sides, crowd)
    return overlaps


def _by_pair(index: Index) -> dict[tuple[int, int], list[Annotation]]:
    pairs: dict[tuple[int, int], list[Annotation]] = defaultdict(list)
    for annotation in index.dataset["annotations"]:
        pairs[annotation["image_id"], annotation["category_id"]].append(annotation)
    return pairs
