"""What travels between stages: samples, targets, predictions, detections."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Float32, Int64, UInt8
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The objects of one training image, at the network's square input."""

    boxes: Float32[Tensor, "N 4"]  # corner fractions
    labels: Int64[Tensor, " N"]
    # 0 or 1. Side S (network size), or already the prototype size when the augmentation
    # rasterises small; the losses resize what is not at the size they need.
    masks: UInt8[Tensor, "N h w"]
    is_crowd: Bool[Tensor, " N"]

    def to(self, device: object) -> "Target":
        """The same target on `device`."""
        return Target(
            boxes=self.boxes.to(device, non_blocking=True),  # type: ignore[call-overload]
            labels=self.labels.to(device, non_blocking=True),  # type: ignore[call-overload]
            masks=self.masks.to(device, non_blocking=True),  # type: ignore[call-overload]
            is_crowd=self.is_crowd.to(device, non_blocking=True),  # type: ignore[call-overload]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One augmented training image with its objects."""

    image: UInt8[Tensor, "S S 3"]  # RGB; normalised on the device
    target: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """Raw outputs of the network, before decoding."""

    boxes: Float[Tensor, "B A 4"]  # regressions relative to the anchors
    scores: Float[Tensor, "B A C1"]  # class logits, background first, C1 = C + 1
    coefficients: Float[Tensor, "B A k"]  # after tanh
    prototypes: Float[Tensor, "B h w k"]  # after ReLU
    anchors: Float32[Tensor, "A 4"]  # centre and size, fractions
    semantic: Float[Tensor, "B C h3 w3"] | None  # logits, in training mode only


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an NMS kept: row numbers, labels and scores, best first."""

    anchor: Int64[Tensor, " K"]  # row of the boxes given to the NMS
    label: Int64[Tensor, " K"]
    score: Float[Tensor, " K"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """Final detections of one image, in order of (unrescored) score."""

    boxes_px: Float[Tensor, "N 4"]  # integer-valued corners in image pixels
    scores: Float[Tensor, " N"]
    mask_scores: Float[Tensor, " N"]  # = scores without re-scoring
    labels: Int64[Tensor, " N"]
    masks: Bool[Tensor, "N H W"]

    def __len__(self) -> int:
        return len(self.labels)
