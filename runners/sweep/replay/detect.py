"""The detections of one trial in one image, and their overlaps with the image's objects."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from runners.evaluation.encode import check_finite, run_lengths
from runners.sweep.replay.overlaps import DetectionFacts, KnownOverlaps, MaskKey
from yolact_bench.detect.image_candidates import Candidates
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.detect.rescore import keep_scores
from yolact_bench.detector import Detector
from yolact_bench.shapes import Selection


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageCandidates:
    """The output of the network for one image."""

    image_id: int
    candidates: Candidates
    height: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageDetections:
    """Detections of one image as in result files, in their order."""

    label: NDArray[np.int64]  # [D]
    score: NDArray[np.float64]  # [D] of boxes
    mask_score: NDArray[np.float64]  # [D]
    facts: DetectionFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialDetector:
    """The detector of one trial."""

    detector: Detector
    rescores: bool
    row_by_row: bool  # no mask's bits depend on which others are made with it


def detect_image(
    image: ImageCandidates, trial: TrialDetector, known: KnownOverlaps
) -> ImageDetections:
    """Return the detections of one image; only masks that are not known yet are encoded.

    A mask is known by its candidate where masks are made row by row, else by all its bits. A
    trial that re-scores passes all masks through its network in one batch, as evaluation does:
    there, too, the last bits of one can depend on the others.

    Raises:
        ArmError: a score is not finite.
    """
    with torch.inference_mode():
        kept = trial.detector.head.nms(image.candidates.boxes, image.candidates.probabilities)
        keys: list[MaskKey] = kept.anchor.tolist()
        instances: SoftDetections | None = None
        if trial.rescores or not trial.row_by_row:
            instances = trial.detector.head.finish(
                image.candidates, kept, height=image.height, width=image.width
            )
        if instances is not None and not trial.row_by_row:
            keys = list(
                zip(kept.anchor.tolist(), mask_fingerprints(instances.soft_masks), strict=True)
            )
        missing = known.missing(keys)
        if missing:
            is_new = torch.zeros_like(kept.anchor, dtype=torch.bool)
            is_new[list(missing.values())] = True
            new = (
                instances.where(is_new)
                if instances
                else _masks_of(kept.anchor[is_new], image, trial)
            )
            known.add(missing, _boxes(new.without_masks().cpu()), run_lengths(new))
    mask_scores = kept.score if instances is None else instances.mask_scores
    check_finite(kept.score, mask_scores, image_id=image.image_id)
    facts = known.facts(keys)
    listed = facts.box_area > 0  # as in result files
    return ImageDetections(
        label=kept.label.cpu().numpy()[listed],
        score=kept.score.double().cpu().numpy()[listed],
        mask_score=mask_scores.double().cpu().numpy()[listed],
        facts=facts.where(listed),
    )


def _masks_of(
    anchor: Int64[Tensor, " N"], image: ImageCandidates, trial: TrialDetector
) -> SoftDetections:
    none = torch.zeros_like(anchor)
    kept = Selection(anchor=anchor, label=none, score=none.float())
    head = replace(trial.detector.head, rescorer=keep_scores)
    return head.finish(image.candidates, kept, height=image.height, width=image.width)


def _boxes(instances: SoftDetections) -> NDArray[np.float64]:
    """Return x, y, width and height as result files have them."""
    corners = instances.boxes_px.double().numpy()
    boxes: NDArray[np.float64] = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    return boxes.round(1)


def mask_fingerprints(soft_masks: Float[Tensor, "N h w"]) -> list[int]:
    """Return a number of 64 bits for each mask, another one where a single bit differs.

    That two masks share one is an accident of one in billions at most. Whole numbers have the
    same sum in any order, also on a GPU.
    """
    bits = soft_masks.contiguous().view(torch.int32).flatten(1).long()
    numbers: list[int] = (bits * _weights(bits.shape[1], bits.device)).sum(1).tolist()
    return numbers


@lru_cache(maxsize=4)
def _weights(cells: int, device: torch.device) -> Int64[Tensor, " cells"]:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(-(2**62), 2**62, (cells,), generator=generator)
    return (2 * drawn + 1).to(device)  # odd: a bit that differs is never multiplied away
