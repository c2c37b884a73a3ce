"""COCO's evaluation by pycocotools, the default engine."""

from collections.abc import Collection
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

from runners.evaluation.coco.detections import ShapeKind
from runners.evaluation.coco.index import Index
from runners.evaluation.coco.instances import sizes_of
from runners.evaluation.coco.matching import matches_of
from runners.evaluation.coco.scoring_result import ScoringResult
from yolact_bench.evaluation import Evaluation


def evaluate(
    truth: Index,
    detections: Index,
    kind: ShapeKind,
    image_ids: Collection[int] | None,
    evaluation: Evaluation,
) -> ScoringResult:
    """Return COCO's precision and recall.

    Source: pycocotools, COCOeval.
    Differs: nothing.
    """
    return run(COCOeval(truth, detections, kind), image_ids, evaluation)


def run(
    coco_eval: Any,  # noqa: ANN401  of either package
    image_ids: Collection[int] | None,
    evaluation: Evaluation,
) -> ScoringResult:
    """Return precision and recall of a COCOeval, which is run first."""
    params, most = coco_eval.params, evaluation.max_dets
    if image_ids is not None:
        params.imgIds = sorted(image_ids)
    params.maxDets = [min(1, most), min(10, most), most]
    params.areaRng = sizes_of(evaluation).tolist()
    coco_eval.evaluate()
    coco_eval.accumulate()
    recall = coco_eval.eval["recall"]  # [T, K, A, numbers of detections]
    by_size = np.moveaxis(recall[..., -1], -1, 0)
    of_best = np.moveaxis(recall[:, :, 0, :2], -1, 0)
    return ScoringResult(
        precision=np.moveaxis(coco_eval.eval["precision"][..., -1], -1, 0),
        recall=np.concatenate([by_size, of_best]),
        category_ids=tuple(params.catIds),
        matches=lambda: matches_of(coco_eval, evaluation),
    )
