"""What matchers and the terms of the loss take and return: the protocols of their slots.

One file: a term's form for one image and that for a batch are read side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from torch import Tensor, nn

from yolact_bench.loss.padded import PaddedObjects
from yolact_bench.shapes import FeatureMaps, Target, Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What every anchor of an image, or of each of a batch, is trained to be."""

    labels: Int64[Tensor, "*batch A"]  # -1 ignored, 0 background, class + 1 positive
    truth: Int64[Tensor, "*batch A"]  # row of the target; means something only where labels > 0


@runtime_checkable
class Matcher(Protocol):
    """Give every anchor of one image a label and an object.

    Fact: `of_batch`, its form for all images of a batch at once, with the same options, by the
    protocol `BatchMatcher`. A training on a GPU calls that; a matcher without one serves there
    too, an image at a time.
    """

    def __call__(self, anchors_cxcywh: Float32[Tensor, "A 4"], target: Target) -> Match:
        """Return labels and objects."""


@runtime_checkable
class BatchMatcher(Protocol):
    """Give every anchor of every image of a batch a label and an object."""

    def __call__(self, anchors_cxcywh: Float32[Tensor, "A 4"], targets: Targets) -> Match:
        """Return labels and objects, [B, A]."""


@runtime_checkable
class ClassLoss(Protocol):
    """Loss of class logits against the labels of the matching, divided by `normaliser`.

    Fact: `takes_halves`, whether it computes in float32 from logits in half precision too; others
    get float32.
    """

    def __call__(
        self,
        scores: Float[Tensor, "B A C1"],
        labels: Int64[Tensor, "B A"],
        normaliser: Float[Tensor, ""],
    ) -> Float[Tensor, ""]:
        """Return the weighted loss."""


@runtime_checkable
class BoxLoss(Protocol):
    """Loss of the positives' regressions against their objects, divided by `normaliser`.

    Fact: `of_batch`, its form for all anchors of a batch, with the same options, by the protocol
    `BatchBoxLoss`. Where the host would wait for a device, the forms of box, mask and mask-IoU
    loss are used, if all three have one.
    """

    def __call__(
        self,
        regressions: Float[Tensor, "N 4"],
        anchors_cxcywh: Float[Tensor, "N 4"],
        boxes: Float[Tensor, "N 4"],
        normaliser: Float[Tensor, ""],
    ) -> Float[Tensor, ""]:
        """Return the weighted loss."""


@runtime_checkable
class BatchBoxLoss(Protocol):
    """The loss of `positive` anchors among all; of others a box means nothing."""

    def __call__(
        self,
        regressions: Float[Tensor, "B A 4"],
        anchors_cxcywh: Float[Tensor, "A 4"],
        boxes: Float[Tensor, "B A 4"],
        positive: Bool[Tensor, "B A"],
        normaliser: Float[Tensor, ""],
    ) -> Float[Tensor, ""]:
        """Return the weighted loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Positives:
    """The positive anchors of one image and the objects they are responsible for."""

    coefficients: Float32[Tensor, "P k"]
    truth: Int64[Tensor, " P"]  # row of each anchor's object in `boxes`, `labels`, `masks`
    prototypes: Float32[Tensor, "h w k"]
    boxes: Float32[Tensor, "N 4"]
    labels: Int64[Tensor, " N"]
    masks: UInt8[Tensor, "N H W"]
    features: FeatureMaps | None = None  # of the image, where the re-scoring network needs them


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftMasks:
    """Assembled masks of one image beside the masks they should be."""

    predicted: Float32[Tensor, "P h w"]  # after the sigmoid and the crop
    wanted: Float32[Tensor, "P h w"]  # 0 or 1, not cropped
    labels: Int64[Tensor, " P"]
    # Where the re-scoring network looks at feature maps: the objects' boxes, the image's maps.
    boxes: Float32[Tensor, "P 4"] | None = None
    features: FeatureMaps | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPositives:
    """All anchors of a batch, the positive among them, and the objects these are responsible for.

    How many are positive, only the device knows.
    """

    coefficients: Float32[Tensor, "B A k"]
    prototypes: Float32[Tensor, "B h w k"]
    positive: Bool[Tensor, "B A"]
    truth: Int64[Tensor, "B A"]  # row of each anchor's object in `objects`
    objects: PaddedObjects


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSoftMasks:
    """Assembled masks of a batch beside those they should be: as many rows for every batch."""

    predicted: Float32[Tensor, "R h w"]  # after the sigmoid and the crop
    wanted: Float32[Tensor, "R h w"]  # 0 or 1, not cropped
    labels: Int64[Tensor, " R"]
    used: Bool[Tensor, " R"]  # other rows hold no mask


@runtime_checkable
class MaskLoss(Protocol):
    """Loss of the assembled masks, divided by `normaliser`, and the masks it looked at.

    Fact: `of_batch`, its form for a whole batch, by the protocol `BatchMaskLoss`.
    """

    def __call__(
        self,
        images: Sequence[Positives],
        normaliser: Float[Tensor, ""],
        generator: torch.Generator | None,
    ) -> tuple[Float[Tensor, ""], Sequence[SoftMasks]]:
        """Return the weighted loss and, per image, the masks it looked at."""


@runtime_checkable
class BatchMaskLoss(Protocol):
    """The same of all images at once."""

    def __call__(
        self,
        batch: BatchPositives,
        normaliser: Float[Tensor, ""],
        generator: torch.Generator | None,
    ) -> tuple[Float[Tensor, ""], BatchSoftMasks]:
        """Return the weighted loss and the masks it looked at."""


@runtime_checkable
class SemanticLoss(Protocol):
    """Loss of the semantic logits; None when there is no such term.

    Facts: `makes_nothing`, whether there never is one; `of_batch`, its form for the `Targets` of a
    whole batch, which a device gets.
    """

    def __call__(
        self, logits: Float[Tensor, "B C h w"] | None, targets: Sequence[Target]
    ) -> Float[Tensor, ""] | None:
        """Return the weighted loss, or None."""


@runtime_checkable
class MaskIouLoss(Protocol):
    """Loss of the predicted mask IoU, divided by `normaliser`; None when there is no such term.

    Facts: `needs_net`, whether it needs the re-scoring network; `of_batch`, its form for a whole
    batch, by the protocol `BatchMaskIouLoss`, which a network that looks at feature maps does
    without.
    """

    def __call__(
        self,
        images: Sequence[SoftMasks],
        rescore_net: nn.Module | None,
        normaliser: Float[Tensor, ""],
    ) -> Float[Tensor, ""] | None:
        """Return the weighted loss, or None."""


@runtime_checkable
class BatchMaskIouLoss(Protocol):
    """The same of all images at once."""

    def __call__(
        self,
        masks: BatchSoftMasks,
        rescore_net: nn.Module | None,
        normaliser: Float[Tensor, ""],
    ) -> Float[Tensor, ""] | None:
        """Return the weighted loss, or None."""
