"""COCO's evaluation: results and ground truth → average precision and recall."""

import contextlib
import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runners.evaluation.coco import engine_faster, engine_pycocotools, engine_vectorised
from runners.evaluation.coco.detections import Entry, ShapeKind
from runners.evaluation.coco.index import Index, geometry_of, indices
from runners.evaluation.coco.masks import iou
from runners.evaluation.coco.scoring_result import ScoringResult
from yolact_bench.errors import SpecError, hint
from yolact_bench.evaluation import COCO_OPTIONS, Evaluation
from yolact_bench.results.files import atomic_path
from yolact_bench.results.record import ApSummary
from yolact_bench.spec.accuracies import COCO_METRICS


def score(
    ground_truth: Mapping[str, object],
    results: Sequence[Entry] | Path,
    *,
    kind: ShapeKind,
    class_names: Mapping[int, str],
    image_ids: Collection[int] | None = None,
    save_matches: Path | None = None,
    scoring: str = "pycocotools",
    evaluation: Evaluation = COCO_OPTIONS,
) -> ApSummary:
    """Return COCO's metrics of `results`, a list in COCO's result format or a file of one.

    The numbers are those of the engine named by `scoring`. No detections at all score 0.
    `class_names` goes from category id to name; `image_ids` restricts the evaluation to these
    images, and `evaluation` says what counts. The matches are left in the file `save_matches`, for
    AP on resampled images.

    Raises:
        SpecError: the file is not COCO results, or names an unknown image or category.

    Source: Lin et al., Microsoft COCO (arXiv:1405.0312); pycocotools, COCOeval.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports progress by print
        truth, detections = indices(ground_truth, results, kind, evaluation)
        scored = SCORING[scoring].evaluate(truth, detections, kind, image_ids, evaluation)
    if save_matches is not None:
        with atomic_path(save_matches) as temporary:
            scored.matches().save(temporary)
    return summary(scored, class_names)


def summary(scored: ScoringResult, class_names: Mapping[int, str]) -> ApSummary:
    """Return an engine's numbers as records have them; `class_names` as in `score`."""
    numbers = [None if value == -1 else value for value in scored.stats]
    precision = scored.precision[0]  # of all sizes
    return ApSummary(
        **dict(zip(COCO_METRICS, numbers, strict=True)),
        ap_by_iou=tuple(_mean(at_threshold) for at_threshold in precision),
        ap_by_class={
            class_names[category]: _mean(precision[:, :, column])
            for column, category in enumerate(scored.category_ids)
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Computes COCO's metrics. All engines have the same interface and give the same numbers."""

    # Of ground truth and detections with areas; both are written into.
    evaluate: Callable[[Index, Index, ShapeKind, Collection[int] | None, Evaluation], ScoringResult]
    name: Callable[[], str]  # for records; raises SpecError if it is not installed


def engine_name(scoring: str) -> str:
    """Return the name of the engine in records, with the version where it is not the default.

    Raises:
        SpecError: the engine does not exist, or is not installed.
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
    ground_truth: Mapping[str, object],
    results: Sequence[Entry] | Path,
    *,
    kind: ShapeKind,
    evaluation: Evaluation = COCO_OPTIONS,
) -> Iterator[Overlaps]:
    """Yield what `score` compares, image by image in the order of their ids.

    Raises:
        SpecError: as `score`.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        truth, detections = indices(ground_truth, results, kind, evaluation)
    for image_id in sorted(truth.imgs):
        objects = truth.imgToAnns.get(image_id, [])
        entries = detections.imgToAnns.get(image_id, [])
        crowd = np.array([bool(one["iscrowd"]) for one in objects], bool)
        sides = geometry_of(detections, entries, kind), geometry_of(truth, objects, kind)
        yield Overlaps(
            scores=np.array([one["score"] for one in entries], np.float64),
            categories=np.array([one["category_id"] for one in entries], np.int64),
            true_categories=np.array([one["category_id"] for one in objects], np.int64),
            is_crowd=crowd,
            iou=iou(*sides, crowd),
        )


def _mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean over classes with ground truth, which COCOeval marks by not being -1."""
    present = values[values > -1]
    return float(present.mean()) if len(present) else None


SCORING: Mapping[str, Engine] = {
    "pycocotools": Engine(evaluate=engine_pycocotools.evaluate, name=lambda: "pycocotools"),
    "faster": Engine(evaluate=engine_faster.evaluate, name=engine_faster.name),
    "vectorised": Engine(evaluate=engine_vectorised.evaluate, name=lambda: "vectorised"),
}
