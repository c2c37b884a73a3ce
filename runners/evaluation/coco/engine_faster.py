"""COCO's evaluation by faster-coco-eval: in C++ what pycocotools does in Python."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from runners.evaluation.coco.index import Index, Kind
from runners.evaluation.coco.matching import Scored, instances_of, match
from yolact_bench.errors import SpecError
from yolact_bench.statistics.matches import Matches

if TYPE_CHECKING:
    from faster_coco_eval import COCO, COCOeval_faster

INSTALL = "pip install 'yolact-bench[fast-eval]'"


def name() -> str:
    """Return the package and its version.

    Raises:
        SpecError: it is not installed.
    """
    try:
        import faster_coco_eval
    except ImportError as error:
        raise SpecError(
            f"--scoring faster: {error}; {INSTALL}, or write --scoring pycocotools"
        ) from error
    return f"faster-coco-eval {faster_coco_eval.__version__}"


def evaluate(truth: Index, found: Index, kind: Kind, image_ids: Collection[int] | None) -> Scored:
    """Return COCO's metrics; `truth` and `found` are written into.

    Source: faster-coco-eval, COCOeval_faster.
    """
    from faster_coco_eval import COCOeval_faster

    if kind == "segm":
        _prepare_masks(truth, found)
    # One thread: threads of its own gain little, and other arms may be at work.
    evaluation = COCOeval_faster(_adopted(truth), _adopted(found), kind, rle_iou_max_workers=1)
    if image_ids is not None:
        evaluation.params.imgIds = sorted(image_ids)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return Scored(
        stats=np.asarray(evaluation.stats),
        precision=evaluation.eval["precision"][..., 0, 2],  # all sizes, 100 detections
        category_ids=tuple(evaluation.params.catIds),
        matches=lambda: _matches_of(evaluation),
    )


def _prepare_masks(truth: Index, found: Index) -> None:
    """Fill in the areas, and empty the masks that will meet no object of their class.

    Of those only the area counts; decoding them all takes the package a third of its time.
    """
    from faster_coco_eval import mask

    annotations = found.dataset["annotations"]
    areas = mask.area([one["segmentation"] for one in annotations]) if annotations else []
    pairs = {(one["image_id"], one["category_id"]) for one in truth.dataset["annotations"]}
    for annotation, area in zip(annotations, np.asarray(areas).tolist(), strict=True):
        annotation["area"] = float(area)
        if (annotation["image_id"], annotation["category_id"]) not in pairs:
            size = annotation["segmentation"]["size"]
            annotation["segmentation"] = {"size": size, "counts": ""}


def _adopted(index: Index) -> "COCO":
    """Return the package's own index with what is in one of pycocotools: they are alike."""
    from faster_coco_eval import COCO

    own = COCO()
    own.dataset, own.anns, own.cats, own.imgs = index.dataset, index.anns, index.cats, index.imgs
    own.imgToAnns, own.catToImgs = index.imgToAnns, index.catToImgs
    return own


def _matches_of(evaluation: "COCOeval_faster") -> Matches:
    """Return what matched what. The package keeps that in C++, so it is matched here once more."""
    images = {number: row for row, number in enumerate(evaluation.params.imgIds)}
    classes = {number: column for column, number in enumerate(evaluation.params.catIds)}
    ious: Mapping[tuple[int, int], Any] = evaluation.ious
    overlaps = {
        (images[image], classes[category]): np.asarray(iou, np.float64)
        for (image, category), iou in ious.items()
        if len(iou)
    }
    return match(
        instances_of(evaluation.cocoDt.dataset["annotations"], images, classes),
        instances_of(evaluation.cocoGt.dataset["annotations"], images, classes),
        overlaps,
        num_images=len(images),
        num_classes=len(classes),
    )
