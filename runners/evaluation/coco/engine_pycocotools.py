"""COCO's evaluation by pycocotools, the default engine."""

from collections.abc import Collection
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from runners.evaluation.coco.index import Index, ShapeKind
from runners.evaluation.coco.matching import ScoringResult, matches_of


def evaluate(
    truth: Index, detections: Index, kind: ShapeKind, image_ids: Collection[int] | None
) -> ScoringResult:
    """Return COCO's metrics.

    Source: pycocotools, COCOeval.
    Differs: nothing.
    """
    return run(COCOeval(truth, detections, kind), image_ids)


def run(evaluation: Any, image_ids: Collection[int] | None) -> ScoringResult:  # noqa: ANN401
    """Return the metrics of a COCOeval of either package, which is run first."""
    if image_ids is not None:
        evaluation.params.imgIds = sorted(image_ids)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return ScoringResult(
        stats=np.asarray(evaluation.stats),
        precision=evaluation.eval["precision"][..., 0, 2],  # all sizes, 100 detections
        category_ids=tuple(evaluation.params.catIds),
        matches=lambda: matches_of(evaluation),
    )
