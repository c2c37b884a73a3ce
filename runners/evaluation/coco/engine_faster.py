"""COCO's evaluation by faster-coco-eval: C++ for what pycocotools does in Python."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from runners.evaluation.coco import engine_pycocotools
from runners.evaluation.coco.index import Index, Kind, set_areas
from runners.evaluation.coco.matching import Scored
from yolact_bench.errors import SpecError

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


def evaluate(truth: Index, found: Index, kind: Kind, image_ids: Collection[int] | None) -> Scored:
    """Return COCO's metrics; `truth` and `found` are written into.

    Source: faster-coco-eval, COCOeval_faster.
    """
    from faster_coco_eval import COCOeval_faster

    if kind == "segm":
        _prepare_masks(truth, found)
    # One thread: more gain little, and other arms may be at work.
    evaluation = COCOeval_faster(_adopted(truth), _adopted(found), kind, rle_iou_max_workers=1)
    return engine_pycocotools.run(evaluation, image_ids)


def _prepare_masks(truth: Index, found: Index) -> None:
    """Fill in the areas, and empty the masks whose image has no object of their class.

    Of those only the area counts; decoding them would take a third of the package's time.
    """
    set_areas(found)
    pairs = {(one["image_id"], one["category_id"]) for one in truth.dataset["annotations"]}
    for annotation in found.dataset["annotations"]:
        if (annotation["image_id"], annotation["category_id"]) not in pairs:
            annotation["segmentation"] = {**annotation["segmentation"], "counts": ""}


def _adopted(index: Index) -> "COCO":
    """Return the content of an index of pycocotools as one of the package: they are alike."""
    from faster_coco_eval import COCO

    own = COCO()
    own.dataset, own.anns, own.cats, own.imgs = index.dataset, index.anns, index.cats, index.imgs
    own.imgToAnns, own.catToImgs = index.imgToAnns, index.catToImgs
    return own
