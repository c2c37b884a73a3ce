"""The types of error that cost a detector AP50: each false positive and negative has one.

The cost of a type is the rise of AP50 when its errors alone are corrected, so the costs need not
add up to the missing AP.

One file: how a type is recognised and what its correction changes must agree.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runners.evaluation.coco.detections import Entry, ShapeKind
from runners.evaluation.coco.instances import Flags, equals_before
from runners.evaluation.coco.score import Overlaps, overlaps
from yolact_bench.errors import SpecError
from yolact_bench.evaluation import COCO_OPTIONS, Evaluation
from yolact_bench.results.record import OPPOSITES
from yolact_bench.statistics.matches import RECALLS

FOREGROUND, BACKGROUND = 0.5, 0.1  # IoU: an object is found; an object is touched at all

# The order in which types are tried for a false positive; the last always fits.
_FALSE_POSITIVES = ("localisation", "classification", "duplicate", "both", "background")
_LOCALISATION, _CLASSIFICATION, _DUPLICATE, _BOTH, _BACKGROUND, _CORRECT, _IGNORED = range(7)
_MOVED = (_LOCALISATION, _CLASSIFICATION)  # corrected by making them find the object they mean
_NOTHING = -1

ERROR_TYPES = (*_FALSE_POSITIVES, "missed")

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSplit:
    """All detections that count, best first, each correct or of one type of error; all objects."""

    type: Integers  # [N] position in `ERROR_TYPES`, or one past the false positives: correct
    category: Integers  # [N]
    object: Integers  # [N] which it finds, or was meant to find; -1: none
    true_category: Integers  # [M] of each object that is not a crowd
    is_hit: Flags  # [M] whether a detection finds it
    missed: Flags  # [M] not found, and no error of localisation or classification means it

    def ap50(self, fixes: Collection[str] = ()) -> float:
        """Return AP50, as a fraction, when all errors of the types `fixes` are corrected.

        Localisation and classification: the detection finds the object it means, unless a better
        one does; of two that would find one object the lower score goes. Duplicate, both and
        background: it goes. Missed: its object is not counted. All false positives go, all that
        is not found is not counted.

        Source: TIDE (arXiv:2008.08115), section 2, the oracles. In dbolya/tide@09eeffb a corrected
        detection never replaces a correct one of lower score. A class of which no object is
        counted has AP 1 without detections and 0 with them; the paper leaves that open.
        """
        category, correct = self.category, self.type == _CORRECT
        wrong = [number for number, name in enumerate(_FALSE_POSITIVES) if name in fixes]
        moved = np.isin(self.type, [number for number in wrong if number in _MOVED])
        if moved.any():
            category = np.where(moved, self.true_category[self.object], category)
            # The first claim to each object; the other ones would be duplicates of it.
            rows = np.flatnonzero(correct | moved)
            _, first = np.unique(self.object[rows], return_index=True)
            correct = np.zeros(len(correct), bool)
            correct[rows[first]] = True
        keep = correct | ~np.isin(self.type, [*wrong, _CORRECT])
        if "false_positive" in fixes:
            keep = correct
        counted = np.ones(len(self.true_category), bool)
        if "missed" in fixes:
            counted &= ~self.missed
        if "false_negative" in fixes:
            counted &= self.is_hit
        category, correct = category[keep], correct[keep]
        values = [
            average_precision(
                correct[category == one], int(counted[self.true_category == one].sum())
            )
            for one in np.unique(self.true_category)
        ]
        return float(np.mean(values))


def error_gains(
    ground_truth: Mapping[str, object],
    results: Sequence[Entry] | Path,
    *,
    kind: ShapeKind,
    evaluation: Evaluation = COCO_OPTIONS,
) -> dict[str, float]:
    """Return the rise of AP50, as a fraction, when each type of error alone is corrected.

    "ap50" is COCO's AP50 as it stands. `OPPOSITES` are all false positives and
    all false negatives. Classes that `evaluation` leaves out are no errors. A gain can be a
    little below 0: correcting one error may move another.

    Raises:
        SpecError: the file is not COCO results, names an unknown image or category, or there is
            nothing to find.
    """
    images = overlaps(ground_truth, results, kind=kind, evaluation=evaluation)
    split = split_errors(images, max_dets=evaluation.max_dets)
    if not len(split.true_category):
        raise SpecError(
            "ground truth: no object that is not a crowd, so that nothing can be found; use a "
            "split that has some, or leave errors out of measure"
        )
    base = split.ap50()
    gains = {name: split.ap50({name}) - base for name in (*ERROR_TYPES, *OPPOSITES)}
    return {"ap50": base, **gains}


def split_errors(
    images: Iterable[Overlaps], *, max_dets: int = COCO_OPTIONS.max_dets
) -> ErrorSplit:
    """Return every detection with its type of error, and every object.

    A detection that is matched as COCO does at IoU `FOREGROUND` is correct, or left out where it
    lies in a crowd of its class. For any other one, by its best IoU with objects of its own
    class and of other classes:

    - localisation: own class, from `BACKGROUND` up to `FOREGROUND`;
    - classification: another class, at least `FOREGROUND`;
    - duplicate: own class, at least `FOREGROUND`, but a better detection has the object;
    - both: another class, from `BACKGROUND` up to `FOREGROUND`;
    - background: below that with everything.

    The first that fits holds. An object is missed if nothing found it and no error of
    localisation or classification means it.

    Source: TIDE (arXiv:2008.08115), section 2.2. It leaves open which of two types holds that
    both fit; the order is that of dbolya/tide@09eeffb tidecv/quantify.py. There, at most 100
    detections an image count; here, as in COCO's AP, `max_dets` of each class.
    """
    nothing = np.empty(0, np.int64)
    scores, columns, true_categories = [np.empty(0)], [(nothing,) * 3], [nothing]
    count = 0
    for image in images:
        best_first = np.argsort(-image.scores, kind="stable")
        rows = best_first[equals_before(image.categories[best_first]) < max_dets]
        type_, object_ = _types(image, rows)
        object_ = np.where(object_ == _NOTHING, _NOTHING, object_ + count)
        counts = type_ != _IGNORED
        scores.append(image.scores[rows][counts])
        columns.append((type_[counts], image.categories[rows][counts], object_[counts]))
        true_categories.append(image.true_categories[~image.is_crowd])
        count += len(true_categories[-1])
    # Equal scores stay in the order of their images, as COCO ranks them.
    order = np.argsort(-np.concatenate(scores), kind="stable")
    type_, category, object_ = (np.concatenate(one)[order] for one in zip(*columns, strict=True))
    every = np.arange(count)
    is_correct, is_moved = type_ == _CORRECT, np.isin(type_, _MOVED)
    return ErrorSplit(
        type=type_,
        category=category,
        object=object_,
        true_category=np.concatenate(true_categories),
        is_hit=np.isin(every, object_[is_correct]),
        missed=~np.isin(every, object_[is_correct | is_moved]),
    )


def average_precision(correct: Flags, num_objects: int) -> float:
    """Return COCO's average precision of the detections of one class, best first.

    Source: Lin et al., Microsoft COCO (arXiv:1405.0312); pycocotools, COCOeval.accumulate.
    """
    if not num_objects:
        return 0.0 if len(correct) else 1.0
    true = np.cumsum(correct)
    precision = true / np.arange(1, len(correct) + 1)
    # The best precision at this recall or a higher one; none where recall is not reached.
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(true / num_objects, RECALLS, side="left")].mean())


def _types(image: Overlaps, rows: Integers) -> tuple[Integers, Integers]:
    """Return the type of each of `rows`, and its object among those that are not crowds."""
    same = image.categories[rows][:, None] == image.true_categories
    own = np.where(same, image.iou[rows], 0.0)
    in_crowd = (own[:, image.is_crowd] >= FOREGROUND).any(axis=1)
    own = own[:, ~image.is_crowd]
    other = np.where(same, 0.0, image.iou[rows])[:, ~image.is_crowd]
    matched = _matches(own)
    own_iou, own_object = _best(own)
    other_iou, other_object = _best(other)
    states = {
        _CORRECT: matched != _NOTHING,
        _IGNORED: in_crowd,
        _LOCALISATION: (own_iou >= BACKGROUND) & (own_iou < FOREGROUND),
        _CLASSIFICATION: other_iou >= FOREGROUND,
        _DUPLICATE: own_iou >= FOREGROUND,
        _BOTH: other_iou >= BACKGROUND,
    }
    type_ = np.select(list(states.values()), list(states), default=_BACKGROUND).astype(np.int64)
    meant = {_CORRECT: matched, _LOCALISATION: own_object, _CLASSIFICATION: other_object}
    has = [type_ == one for one in meant]
    return type_, np.select(has, list(meant.values()), default=_NOTHING)


def _matches(iou: NDArray[np.float64]) -> Integers:
    """Return the object of each detection, best first; no object has two detections."""
    matched = np.full(len(iou), _NOTHING, np.int64)
    used = np.zeros(iou.shape[1], bool)
    for row in np.flatnonzero((iou >= FOREGROUND).any(axis=1)):
        free = np.where(used, 0.0, iou[row])
        column = len(free) - 1 - int(free[::-1].argmax())  # the last of equals, as COCOeval
        if free[column] >= FOREGROUND:
            matched[row], used[column] = column, True
    return matched


def _best(iou: NDArray[np.float64]) -> tuple[NDArray[np.float64], Integers]:
    """Return the best IoU of each row and its column; 0 and -1 without columns."""
    if not iou.shape[1]:
        return np.zeros(len(iou)), np.full(len(iou), _NOTHING, np.int64)
    return iou.max(axis=1), iou.argmax(axis=1)
