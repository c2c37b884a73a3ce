"""Mask AP with one part of the pipeline made perfect, from stored candidates.

Each oracle corrects one thing with the ground truth and leaves all else as detected:

- `none`: nothing; the run as it is.
- `crop_gt_box`: a mask is cut with the true box of the object of its class that its box overlaps
  best, not with its own. The gain is what leakage costs: boxes that are too wide let in what
  lies beside the object, too tight ones cut it. Scores stay; without such an object the mask does.
- `rescore_gt`: mask score = class score × true IoU of the mask with its best object of the class.
- `class_gt`: the label is that of the object that the box overlaps best, from an IoU of 0.5 on.
  Detections of one object in two classes become duplicates; the lower score counts as wrong.
- `project_gt`: in place of the detections, every true object with its own class and box, the best
  mask that the prototypes can express, and that mask's true IoU as its score: scored alike, good
  masks would pay for bad ones. What is missing to 1, no head could ever find.

Crowds are left out. The network need not run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from runners.evaluation.coco.index import Entry
from runners.evaluation.coco.masks import Rle, encode_outlines, encode_pixels, iou
from runners.evaluation.coco.score import score
from runners.evaluation.encode import entries, run_lengths
from runners.evaluation.score import class_names
from runners.system.progress import progress
from yolact_bench.data.objects import Objects, Segment, rasterise
from yolact_bench.data.protocol import Dataset
from yolact_bench.detect.pipeline import Candidates, SoftDetections
from yolact_bench.detector import Detector
from yolact_bench.geometry.boxes import box_iou
from yolact_bench.geometry.masks import crop
from yolact_bench.geometry.protocols import Assembly
from yolact_bench.shapes import Selection

ORACLES = ("none", "crop_gt_box", "rescore_gt", "class_gt", "project_gt")

SAME_OBJECT_IOU = 0.5  # of boxes, for `class_gt`
# Where the projected masks aim: σ(±2) = 0.88 and 0.12. Steeper, the edge follows the cells of the
# prototypes instead of lying between them; flatter, a mask threshold above 0.5 would shrink it.
_LOGIT = 2.0
# Part of the mean diagonal of PᵀP that is added to it. Prototypes often nearly repeat each other,
# or a box has fewer cells than there are prototypes.
_RIDGE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Truth:
    """The objects of one image that are not crowds."""

    boxes: Float[Tensor, "G 4"]  # corner fractions
    labels: Int64[Tensor, " G"]
    segments: tuple[Segment, ...]
    masks: list[Rle]
    height: int
    width: int

    @property
    def boxes_px(self) -> Float[Tensor, "G 4"]:
        return self.boxes * torch.tensor([self.width, self.height] * 2)


def oracle_ladder(
    detector: Detector,
    dataset: Dataset,
    candidates: Iterable[Candidates],
    *,
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
        name: score(truth, of_oracle, kind="segm", class_names=names).ap
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
    truth = _truth(dataset.objects(index))
    head = detector.head
    survivors = head.nms(candidates.boxes, candidates.probabilities)
    as_is = head.finish(candidates, survivors, height=truth.height, width=truth.width).cpu()
    masks = run_lengths(as_is)
    rows, objects = _best(box_iou(as_is.boxes_px, truth.boxes_px), above=SAME_OBJECT_IOU)
    labels = as_is.labels.clone()
    labels[rows] = truth.labels[objects]
    ideal = _project(head.assembly, candidates, truth)
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


def fitted_coefficients(
    prototypes: Float[Tensor, "h w k"], masks: Bool[Tensor, "G h w"], cells: Bool[Tensor, "G h w"]
) -> Float[Tensor, "G k"]:
    """Return the coefficients whose logits on `cells` come nearest to ±`_LOGIT`, + on the mask.

    Least squares before the sigmoid, where the assembly is linear: one normal equation for each
    object, all solved at once. On the cells that the crop keeps, because no others are ever
    seen; over the whole image, a small object would be given up for the sake of its background.
    The coefficients are not bounded, as those of the network are by tanh.
    """
    of_objects = list(zip(masks, cells, strict=True))
    inside = [prototypes[one].double() for one in cells]  # [n, k] each
    aims = [torch.where(mask[one], _LOGIT, -_LOGIT).double() for mask, one in of_objects]
    gram = torch.stack([part.T @ part for part in inside])  # [G, k, k]
    right = torch.stack([part.T @ aim for part, aim in zip(inside, aims, strict=True)])
    diagonal = gram.diagonal(dim1=1, dim2=2).mean(1)[:, None]
    # Where all prototypes are 0, so are the coefficients.
    ridge = (_RIDGE * diagonal + torch.finfo(gram.dtype).tiny).expand(-1, gram.shape[1])
    factor = torch.linalg.cholesky(gram + torch.diag_embed(ridge))
    return torch.cholesky_solve(right[:, :, None], factor)[:, :, 0].to(prototypes.dtype)


def _truth(objects: Objects) -> _Truth:
    rows = np.flatnonzero(~objects.is_crowd)
    segments = tuple(objects.segments[row] for row in rows)
    size = {"height": objects.height, "width": objects.width}
    return _Truth(
        boxes=torch.from_numpy(
            objects.boxes_px[rows] / np.array([objects.width, objects.height] * 2)
        ).float(),
        labels=torch.from_numpy(objects.labels[rows]),
        segments=segments,
        masks=[
            encode_outlines(one, **size) if isinstance(one, tuple) else encode_pixels(one)
            for one in segments
        ],
        **size,
    )


def _crop(
    assembly: Assembly,
    candidates: Candidates,
    survivors: Selection,
    as_is: SoftDetections,
    masks: list[Rle],
    truth: _Truth,
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


def _rescore(detections: SoftDetections, masks: list[Rle], truth: _Truth) -> SoftDetections:
    no_crowd = np.zeros(len(truth.masks), bool)
    overlap = torch.from_numpy(iou(masks, truth.masks, no_crowd)).to(detections.scores)
    overlap *= detections.labels[:, None] == truth.labels
    best = overlap.amax(1) if len(truth.labels) else torch.zeros(len(detections))
    return replace(detections, mask_scores=detections.scores * best)


def _project(assembly: Assembly, candidates: Candidates, truth: _Truth) -> SoftDetections:
    """Return every true object as a detection, with the best mask of these prototypes."""
    prototypes = candidates.prototypes.contiguous()
    side = len(prototypes)  # the network's input is square
    boxes = truth.boxes.to(candidates.boxes)
    to_cells = np.array([[side / truth.width, 0.0, 0.0], [0.0, side / truth.height, 0.0]])
    masks = torch.from_numpy(rasterise(truth.segments, to_cells, side)).bool()
    soft_masks = prototypes.new_zeros(masks.shape)
    if len(masks):
        cells = crop(torch.ones_like(soft_masks), boxes) > 0
        coefficients = fitted_coefficients(prototypes, masks.to(prototypes.device), cells)
        soft_masks = crop(assembly(prototypes, coefficients, boxes), boxes)
    sure = torch.ones(len(masks))
    return SoftDetections(
        boxes=truth.boxes,
        # Outwards to whole pixels: an object thinner than one must not vanish.
        boxes_px=torch.cat([truth.boxes_px[:, :2].floor(), truth.boxes_px[:, 2:].ceil()], 1),
        scores=sure,
        mask_scores=sure,
        labels=truth.labels,
        soft_masks=soft_masks.cpu(),
        height=truth.height,
        width=truth.width,
        mask_threshold=assembly.mask_threshold,
    )


def _best(
    overlap: Float[Tensor, "N G"], *, above: float
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " n"]]:
    """Return the detections that overlap an object enough, and the one each overlaps best."""
    if not overlap.shape[1]:
        return (torch.empty(0, dtype=torch.int64),) * 2
    values, objects = overlap.max(1)
    rows = ((values >= above) & (values > 0)).nonzero()[:, 0]
    return rows, objects[rows]
