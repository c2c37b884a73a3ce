"""Mask AP with one part of the pipeline made perfect, from stored candidates.

Each oracle corrects one thing with the ground truth and leaves all else as detected:

- `none`: nothing; the run as it is.
- `crop_gt_box`: a mask is cut with the true box of the object of its class that its box overlaps
  best, not with its own. The gain is what leakage costs: boxes that are too wide let in what
  lies beside the object, too tight ones cut it. Scores stay; without such an object the mask does.
- `rescore_gt`: mask score = class score × true IoU of the mask with its best object of the class.
- `class_gt`: the label is that of the object that the box overlaps best, from an IoU of 0.5 on.
  Detections of one object in two classes become duplicates; the lower score counts as wrong.
- `project_gt`: in place of the detections, every true object with its own class and box, the mask
  that least squares fits to its own with the prototypes, and that mask's true IoU as its score:
  scored alike, good masks would pay for bad ones. It is a lower bound of what these prototypes can
  express: least squares aims at logits, and other coefficients may give a mask of a higher IoU.

Crowds are left out. The network need not run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from runners.arms.oracles.projection import project
from runners.arms.oracles.truth import Truth, truth_of
from runners.evaluation.coco.detections import Entry
from runners.evaluation.coco.masks import Rle, iou
from runners.evaluation.coco.score import score
from runners.evaluation.encode import entries, run_lengths
from runners.evaluation.score import class_names
from runners.system.progress import progress
from yolact_bench.data.protocol import Dataset
from yolact_bench.detect.image_candidates import Candidates
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.detector import Detector
from yolact_bench.evaluation import COCO_OPTIONS, Evaluation
from yolact_bench.geometry.boxes import box_iou
from yolact_bench.geometry.masks import crop
from yolact_bench.geometry.protocols import Assembly
from yolact_bench.shapes import Selection

ORACLES = ("none", "crop_gt_box", "rescore_gt", "class_gt", "project_gt")

SAME_OBJECT_IOU = 0.5  # of boxes, for `class_gt`


def oracle_ladder(
    detector: Detector,
    dataset: Dataset,
    candidates: Iterable[Candidates],
    *,
    evaluation: Evaluation = COCO_OPTIONS,
    title: str = "oracles",
) -> dict[str, float | None]:
    """Return mask AP, as a fraction, with each of `ORACLES`, from one pass over the images.

    None without an object to find. `candidates` are those of each image in turn. The detector's
    network is not used.

    Raises:
        ArmError: a score is not finite.
    """
    collected: dict[str, list[Entry]] = {name: [] for name in ORACLES}
    with progress(title, len(dataset)) as advance:
        for index, of_image in enumerate(candidates):
            by_oracle = oracle_entries(detector, of_image, dataset, index)
            for name, in_image in by_oracle.items():
                collected[name] += in_image
            advance(index + 1, f"{len(collected['none'])} detections")
    truth, names = dataset.ground_truth(), class_names(dataset)
    return {
        name: score(truth, of_oracle, kind="segm", class_names=names, evaluation=evaluation).ap
        for name, of_oracle in collected.items()
    }


@torch.inference_mode()
def oracle_entries(
    detector: Detector, candidates: Candidates, dataset: Dataset, index: int
) -> dict[str, list[Entry]]:
    """Return, for each of `ORACLES`, the mask entries of one image in COCO's result format.

    Raises:
        ArmError: a score is not finite.
    """
    truth = truth_of(dataset.objects(index))
    head = detector.head
    survivors = head.nms(candidates.boxes, candidates.probabilities)
    as_is = head.finish(candidates, survivors, height=truth.height, width=truth.width).cpu()
    masks = run_lengths(as_is)
    rows, objects = _best(box_iou(as_is.boxes_px, truth.boxes_px), above=SAME_OBJECT_IOU)
    labels = as_is.labels.clone()
    labels[rows] = truth.labels[objects]
    ideal = project(head.assembly, candidates, truth)
    ideal_masks = run_lengths(ideal)
    with_oracle: Mapping[str, tuple[SoftDetections, list[Rle]]] = {
        "none": (as_is, masks),
        "crop_gt_box": _crop(head.assembly, candidates, survivors, as_is, masks, truth),
        "rescore_gt": (_rescore(as_is, masks, truth), masks),
        "class_gt": (replace(as_is, labels=labels), masks),
        "project_gt": (_rescore(ideal, ideal_masks, truth), ideal_masks),
    }
    return {
        name: entries(*one, dataset.image_id(index), dataset.category_ids)[1]
        for name, one in with_oracle.items()
    }


def _crop(
    assembly: Assembly,
    candidates: Candidates,
    survivors: Selection,
    as_is: SoftDetections,
    masks: list[Rle],
    truth: Truth,
) -> tuple[SoftDetections, list[Rle]]:
    overlap = box_iou(as_is.boxes_px, truth.boxes_px) * (as_is.labels[:, None] == truth.labels)
    rows, objects = _best(overlap, above=0.0)
    if not len(rows):
        return as_is, masks
    boxes = truth.boxes[objects].to(candidates.boxes)
    anchors = survivors.anchor[rows.to(survivors.anchor.device)]
    soft = assembly(candidates.prototypes.contiguous(), candidates.coefficients[anchors], boxes)
    soft_masks = as_is.soft_masks.clone()
    soft_masks[rows] = crop(soft, boxes).cpu()  # cut again, for assemblies that do not cut
    cropped = replace(as_is, soft_masks=soft_masks)
    is_cropped = torch.zeros(len(as_is), dtype=torch.bool)
    is_cropped[rows] = True
    new = dict(zip(rows.tolist(), run_lengths(cropped.where(is_cropped)), strict=True))
    return cropped, [new.get(row, mask) for row, mask in enumerate(masks)]


def _rescore(detections: SoftDetections, masks: list[Rle], truth: Truth) -> SoftDetections:
    no_crowd = np.zeros(len(truth.masks), bool)
    overlap = torch.from_numpy(iou(masks, truth.masks, no_crowd)).to(detections.scores)
    overlap *= detections.labels[:, None] == truth.labels
    best = overlap.amax(1) if len(truth.labels) else torch.zeros(len(detections))
    return replace(detections, mask_scores=detections.scores * best)


def _best(
    overlap: Float[Tensor, "N G"], *, above: float
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"]]:
    """Return the detections that overlap an object enough, and the one each overlaps best."""
    if not overlap.shape[1]:
        return (torch.empty(0, dtype=torch.int64),) * 2
    values, objects = overlap.max(1)
    rows = ((values >= above) & (values > 0)).nonzero()[:, 0]
    return rows, objects[rows]
