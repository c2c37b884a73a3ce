"""COCO's evaluation by faster-coco-eval: C++ for what pycocotools does in Python."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from runners.evaluation.coco import engine_pycocotools
from runners.evaluation.coco.detections import ShapeKind
from runners.evaluation.coco.index import Index
from runners.evaluation.coco.scoring_result import ScoringResult
from yolact_bench.errors import SpecError
from yolact_bench.evaluation import Evaluation

if TYPE_CHECKING:
    from faster_coco_eval import COCO

INSTALL = "pip install 'yolact-bench[fast-eval]'"


def name() -> str:
    """Return the package and its version.

    Raises:
        SpecError: the package is not installed.
    """
    try:
        import faster_coco_eval
    except ImportError as error:
        raise SpecError(
            f"--scoring faster: {error}; {INSTALL}, or write --scoring pycocotools"
        ) from error
    return f"faster-coco-eval {faster_coco_eval.__version__}"


def evaluate(
    truth: Index,
    detections: Index,
    kind: ShapeKind,
    image_ids: Collection[int] | None,
    evaluation: Evaluation,
) -> ScoringResult:
    """Return COCO's precision and recall.

    Source: MiXaiLL76/faster_coco_eval@ab88a49 core/faster_eval_api.py, `COCOeval_faster`.
    Differs: masks that meet no object of their class are not decoded; the numbers are the same.
    """
    from faster_coco_eval import COCOeval_faster

    if kind == "segm":
        _empty_masks(truth, detections)
    # One thread: more gain little, and other arms may be running.
    both = _as_theirs(truth), _as_theirs(detections)
    coco_eval = COCOeval_faster(*both, kind, rle_iou_max_workers=1)
    return engine_pycocotools.run(coco_eval, image_ids, evaluation)


def _empty_masks(truth: Index, detections: Index) -> None:
    """Empty the masks whose image has no object of their class.

    Of those only the area counts, for which they need not be decoded.
    """
    pairs = {(one["image_id"], one["category_id"]) for one in truth.dataset["annotations"]}
    for annotation in detections.dataset["annotations"]:
        if (annotation["image_id"], annotation["category_id"]) not in pairs:
            annotation["segmentation"] = {**annotation["segmentation"], "counts": ""}


def _as_theirs(index: Index) -> "COCO":
    """Return the content of an index of pycocotools as one of the package: they are alike."""
    from faster_coco_eval import COCO

    theirs = COCO()
    for part in ("dataset", "anns", "cats", "imgs", "imgToAnns", "catToImgs"):
        setattr(theirs, part, getattr(index, part))
    return theirs
