"""Average precision on resampled images, without matching or sorting anything again.

Letters: R resamples, N images, D detections of a class in order of score, T IoU thresholds.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolact_bench.statistics.matches import AREAS, IOU_THRESHOLDS, RECALLS, Matches, unpack_flags

_LATE = np.arange(101) / 100 < RECALLS  # levels that a recall of exactly i / 100 does not reach

_BLOCK = 1 << 18  # elements of a block's largest array: about what a core's own cache holds

Weights = NDArray[np.int32]  # [R, N]: how often each image was drawn in each resample


def sampling_name(data: str, *, num_images: int, replicates: int) -> str:
    """Return a digest of what decides the resamples; equal names mean the same images drawn."""
    return hashlib.sha256(f"{data}\n{num_images}\n{replicates}".encode()).hexdigest()


def multiplicities(data: str, *, num_images: int, replicates: int) -> Weights:
    """Return how often each image is drawn when as many as there are are drawn with replacement.

    They depend on the evaluation data and the counts alone, so any two arms on the same data
    see the same resamples, whenever and wherever theirs were computed. Drawn from the raw bits
    of the generator, which numpy keeps from version to version, unlike its distributions.
    """
    name = sampling_name(data, num_images=num_images, replicates=replicates)
    bits = np.random.PCG64(int(name, 16))
    drawn = np.empty((replicates, num_images), np.int32)
    for row in drawn:
        high = bits.random_raw(num_images) >> np.uint64(32)
        picks = (high * np.uint64(num_images)) >> np.uint64(32)
        row[:] = np.bincount(picks.astype(np.int64), minlength=num_images)
    return drawn


def resampled_ap(matches: Matches, weights: Weights, *, area: str = "all") -> NDArray[np.float64]:
    """Return AP at each IoU threshold [R, T], averaged over the classes present in a resample.

    A row of ones gives what `COCOeval.accumulate` gives. A class whose objects were not drawn is
    left out of that resample's mean, as COCO leaves out a class without ground truth; a row is
    NaN where no object was drawn at all.

    An image drawn w times counts as its detections w times with equal scores, one behind the
    other. Such a run need not be walked through copy by copy: within a run of true positives
    precision only rises, so for every recall level that falls into it the best precision from
    there on is that at its end; within a run of false positives no recall level is reached. So
    one step of weight w is COCO's own value for images that are really there w times. (But for
    equal scores of one class within one image: COCO would put those in turns. Its order of equal
    scores has no meaning anyway.)

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 6.2;
    `COCOeval.accumulate` of pycocotools for the value of one resample.
    """
    assert weights.shape[1] == matches.num_images
    total = np.zeros((len(weights), len(IOU_THRESHOLDS)))
    present = np.zeros((len(weights), 1))
    for ranked in _by_class(matches, AREAS.index(area)):
        ap, has_truth = _class_ap(ranked, weights)
        total += ap
        present += has_truth[:, None]
    return np.divide(total, present, out=np.full_like(total, np.nan), where=present > 0)


@dataclass(frozen=True, slots=True)
class _Ranking:
    """The detections of one class that can matter, best first, and where its objects are."""

    image: NDArray[np.int32]  # [D]
    positive: NDArray[np.bool_]  # [T, D]
    ignored: NDArray[np.bool_]  # [T, D]
    truth_image: NDArray[np.int32]
    truth_count: NDArray[np.int32]


def _by_class(matches: Matches, area: int) -> Iterator[_Ranking]:
    columns = np.arange(matches.num_classes + 1)
    bounds = np.searchsorted(matches.label, columns)
    truths = np.searchsorted(matches.truth_label, columns)
    for column in range(matches.num_classes):
        mine = slice(bounds[column], bounds[column + 1])
        where = slice(truths[column], truths[column + 1])
        ignored = unpack_flags(matches.ignored[area, mine])
        positive = unpack_flags(matches.matched[area, mine]) & ~ignored
        # What is ignored at every threshold, or stands behind the last true positive, changes
        # no precision that counts.
        matters: NDArray[np.bool_] = ~np.all(ignored, axis=0)
        hits = np.flatnonzero(positive.any(axis=0))
        matters[hits[-1] + 1 if len(hits) else 0 :] = False
        yield _Ranking(
            matches.image[mine][matters],
            positive[:, matters],
            ignored[:, matters],
            matches.truth_image[where],
            matches.truth_count[area, where],
        )


def _class_ap(ranked: _Ranking, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return AP [R, T], 0 where the class is absent, and in which resamples [R] it is not."""
    num_truths = weights[:, ranked.truth_image] @ ranked.truth_count  # [R]
    ap = np.zeros((len(weights), len(IOU_THRESHOLDS)))
    if len(ranked.image):
        widest = max(len(ranked.image), int(num_truths.max()) + 1)
        rows = max(1, _BLOCK // widest)
        for start in range(0, len(weights), rows):
            block = slice(start, start + rows)
            ap[block] = _block_ap(ranked, weights[block], num_truths[block])
    has_truth = num_truths > 0
    ap[~has_truth] = 0.0
    return ap, has_truth


def _block_ap(
    ranked: _Ranking, weights: Weights, num_truths: NDArray[np.int32]
) -> NDArray[np.float64]:
    drawn = np.take(weights, ranked.image, axis=1)  # [r, D]
    seen = np.cumsum(drawn, axis=1, dtype=np.int32)
    levels = _levels_reached(num_truths)  # [r, M]
    first_level = np.arange(len(weights), dtype=np.int32)[:, None] * levels.shape[1]
    ap = np.zeros((len(weights), len(IOU_THRESHOLDS)))
    for threshold in range(len(IOU_THRESHOLDS)):
        hits = np.flatnonzero(ranked.positive[threshold])
        if not len(hits):
            continue
        positives = np.cumsum(np.take(drawn, hits, axis=1), axis=1, dtype=np.int32)
        counted = np.take(seen, hits, axis=1)
        skipped = np.flatnonzero(ranked.ignored[threshold])
        if len(skipped):
            counted -= _weight_before(drawn, skipped, hits)
        precision = positives / np.maximum(counted, 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        reached = np.take(levels, positives + first_level)
        # Each recall level takes the best precision from where it is first reached.
        ap[:, threshold] = np.einsum("rj,rj->r", best[:, 1:], np.diff(reached, axis=1))
        ap[:, threshold] += best[:, 0] * reached[:, 0]
    return ap / len(RECALLS)


def _weight_before(drawn: Weights, positions: NDArray[np.intp], hits: NDArray[np.intp]) -> Weights:
    """Return the summed weight of those `positions` that stand before each of `hits`."""
    sums = np.zeros((len(drawn), len(positions) + 1), np.int32)
    np.cumsum(np.take(drawn, positions, axis=1), axis=1, out=sums[:, 1:])
    return np.take(sums, np.searchsorted(positions, hits), axis=1)


def _levels_reached(num_truths: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return how many recall levels m true positives reach, for m = 0, 1, … [r, M].

    Whole numbers decide: level i needs the smallest m with m / n ≥ RECALLS[i], which is i n / 100
    rounded up, and one more where that is whole and the level lies a rounding above i / 100.
    No true positive reaches no level, not even that of recall 0.
    """
    exact = np.arange(101) * num_truths[:, None].astype(np.int64)  # [r, 101]
    needed = -(-exact // 100) + ((exact % 100 == 0) & _LATE)
    needed[:, 0] = 1
    width = int(num_truths.max()) + 2  # one more than can be reached: where "never" is counted
    flat = np.minimum(needed, width - 1) + np.arange(len(num_truths))[:, None] * width
    counts = np.bincount(flat.ravel(), minlength=len(num_truths) * width)
    return np.cumsum(counts.reshape(-1, width), axis=1, dtype=np.float64)
