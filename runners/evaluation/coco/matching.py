"""COCO's greedy matching of all images and classes at once, from known overlaps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runners.evaluation.coco.instances import (
    Flags,
    Float64,
    Instances,
    Int64,
    equals_before,
    instances_of,
    sizes_of,
)
from yolact_bench.evaluation import COCO_OPTIONS, Evaluation
from yolact_bench.statistics.matches import Matches

# COCOeval's thresholds, to the last bit.
_IOU = np.minimum(np.linspace(0.5, 0.95, 10), 1 - 1e-10)
_BITS = (1 << np.arange(len(_IOU))).astype(np.uint16)
_ALL_BITS = np.uint16(_BITS.sum())


def match(
    detections: Instances,
    truth: Instances,
    overlaps: Mapping[tuple[int, int], Float64],
    *,
    num_images: int,
    num_classes: int,
    evaluation: Evaluation = COCO_OPTIONS,
) -> Matches:
    """Return what COCO's matching gives for `detections` and the objects `truth`.

    `overlaps` goes from image and class, as rows and columns, to IoU [D, G]: detections as COCO
    ranks them, the best that count, with objects in the order of the file. Pairs without either
    may be left out. The outcome is pycocotools' to the bit, if the overlaps are.

    Source: pycocotools, COCOeval.evaluateImg: by falling score, each detection takes the object
    it overlaps most; one that counts before one that is ignored; the last of equals.
    """
    detections = detections[np.lexsort((-detections.score, detections.image, detections.label))]
    rank = equals_before(detections.class_image_keys(num_images))
    detections = detections[rank < evaluation.max_dets]
    truth = truth[np.lexsort((truth.image, truth.label))]
    sizes = sizes_of(evaluation)
    outside, skipped = detections.outside(sizes), truth.outside(sizes) | truth.is_crowd
    matched = np.zeros(outside.shape, np.uint16)
    ignored = np.where(outside, _ALL_BITS, np.uint16(0))
    for group in _groups(
        detections.class_image_keys(num_images),
        truth.class_image_keys(num_images),
        overlaps,
        num_images,
    ):
        hits, of_ignored = _assign(group, truth.is_crowd, skipped)
        matched[:, group.detections] = hits
        # Unmatched detections of another size stay ignored.
        ignored[:, group.detections] = (ignored[:, group.detections] & ~hits) | of_ignored
    ranked = np.lexsort((-detections.score, detections.label))  # equal scores by image
    truth_image, truth_label, truth_count = _counts(truth, ~skipped, num_images)
    return Matches(
        num_images=num_images,
        num_classes=num_classes,
        image=detections.image[ranked].astype(np.int32),
        label=detections.label[ranked].astype(np.int16),
        score=detections.score[ranked],
        matched=matched[:, ranked],
        ignored=ignored[:, ranked],
        truth_image=truth_image,
        truth_label=truth_label,
        truth_count=truth_count,
    )


def matches_of(coco_eval: Any, evaluation: Evaluation) -> Matches:  # noqa: ANN401
    """Return the matches of a finished COCOeval of either package, made again from its overlaps."""
    images = {number: row for row, number in enumerate(coco_eval.params.imgIds)}
    classes = {number: column for column, number in enumerate(coco_eval.params.catIds)}
    overlaps = {
        (images[image], classes[category]): np.asarray(iou, np.float64)
        for (image, category), iou in coco_eval.ious.items()
        if len(iou)
    }
    return match(
        instances_of(coco_eval.cocoDt.dataset["annotations"], images, classes),
        instances_of(coco_eval.cocoGt.dataset["annotations"], images, classes),
        overlaps,
        num_images=len(images),
        num_classes=len(classes),
        evaluation=evaluation,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Pairs of an image and a class with a similar number of objects, most detections first.

    Letters: P pairs, G objects of the pair that has most, D detections that can be matched.
    """

    iou: Float64  # [D, G]; -1 where the pair has fewer objects
    detections: Int64  # [D] rows of the detections, those of a pair by falling score
    starts: Int64  # [P] the first detection of each pair
    lengths: Int64  # [P] falling
    truth: Int64  # [P, G] rows of the objects, where there are as many


def _groups(
    detections: Int64, truth: Int64, overlaps: Mapping[tuple[int, int], Float64], num_images: int
) -> Iterator[_Group]:
    """Yield the pairs in which a detection overlaps an object enough to be matched at all."""
    pairs = np.intersect1d(detections, truth)
    if len(pairs) == 0:
        return
    keys = [(pair % num_images, pair // num_images) for pair in pairs.tolist()]
    matrices = [overlaps[key] for key in keys]
    widths = np.array([matrix.shape[1] for matrix in matrices])
    heights = np.array([matrix.shape[0] for matrix in matrices])
    flat = np.concatenate([matrix.reshape(-1) for matrix in matrices])

    of_pair = np.repeat(np.arange(len(pairs)), heights)  # of each row of each matrix
    width = widths[of_pair]
    begin = np.cumsum(width) - width  # of that row in `flat`
    row = np.searchsorted(detections, pairs)[of_pair] + _count_up(heights)
    possible = np.maximum.reduceat(flat, begin) >= _IOU[0]
    of_pair, begin, row = of_pair[possible], begin[possible], row[possible]

    lengths = np.bincount(of_pair, minlength=len(pairs))
    first_truth = np.searchsorted(truth, pairs)
    padded = 1 << np.ceil(np.log2(widths)).astype(np.int64)  # powers of two: few groups
    for size in np.unique(padded[lengths > 0]).tolist():
        members = np.flatnonzero((padded == size) & (lengths > 0))
        members = members[np.argsort(-lengths[members], kind="stable")]
        column = np.arange(size)
        of_pairs = np.searchsorted(of_pair, members)
        lines = np.repeat(of_pairs, lengths[members]) + _count_up(lengths[members])
        place = begin[lines][:, None] + column
        absent = column >= widths[of_pair[lines]][:, None]
        iou = np.where(absent, -1.0, flat[np.where(absent, 0, place)])
        yield _Group(
            iou=iou,
            detections=row[lines],
            starts=np.cumsum(lengths[members]) - lengths[members],
            lengths=lengths[members],
            truth=np.minimum(first_truth[members][:, None] + column, len(truth) - 1),
        )


def _assign(
    group: _Group, is_crowd: Flags, is_ignored: Flags
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return flags [A, D] of the detections that are matched, and to objects that are ignored."""
    crowd = is_crowd[group.truth][:, None, None]  # [P, 1, 1, G]
    skipped = is_ignored[:, group.truth].transpose(1, 0, 2)[:, :, None]
    pairs, areas, _, objects = skipped.shape  # [P, A, 1, G]
    taken = np.zeros((pairs, areas, len(_IOU), objects), bool)
    matched = np.zeros((areas, len(group.detections)), np.uint16)
    ignored = np.zeros_like(matched)
    column = np.arange(objects)
    for step in range(int(group.lengths[0])):
        n = int(np.searchsorted(-group.lengths, -step))  # pairs with more detections than that
        at = group.starts[:n] + step
        iou = group.iou[at][:, None, None]  # [n, 1, 1, G]
        allowed = (iou >= _IOU[:, None]) & (~taken[:n] | crowd[:n])  # [n, A, T, G]
        counting = allowed & ~skipped[:n]
        pool = np.where(counting.any(-1, keepdims=True), counting, allowed)
        best = objects - 1 - np.where(pool, iou, -1.0)[..., ::-1].argmax(-1)  # [n, A, T]
        hit = pool & (column == best[..., None])
        taken[:n] |= hit
        matched[:, at] = (hit.any(-1) * _BITS).sum(-1, dtype=np.uint16).T
        ignored[:, at] = ((hit & skipped[:n]).any(-1) * _BITS).sum(-1, dtype=np.uint16).T
    return matched, ignored


def _counts(
    truth: Instances, counted: Flags, num_images: int
) -> tuple[NDArray[np.int32], NDArray[np.int16], NDArray[np.int32]]:
    """Return images [P], classes [P] and the numbers of objects of each size [A, P]."""
    pairs, inverse = np.unique(truth.class_image_keys(num_images), return_inverse=True)
    counts = np.stack([np.bincount(inverse[some], minlength=len(pairs)) for some in counted])
    any_size = counts.any(axis=0)
    label, image = np.divmod(pairs[any_size], num_images)
    return image.astype(np.int32), label.astype(np.int16), counts[:, any_size].astype(np.int32)


def _count_up(lengths: Int64) -> Int64:
    """Return 0 … n - 1 for each of the lengths, one behind the other."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
