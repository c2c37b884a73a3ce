"""What NMS and re-scorers take and return: the protocols of their slots."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float, Int64
from torch import Tensor

from yolact_bench.shapes import Selection

# Soft masks [N, 1, h, w] → predicted IoU of each mask for every class [N, C].
RescoreNet: TypeAlias = Callable[[Tensor], Tensor]


@runtime_checkable
class Nms(Protocol):
    """Choose detections in one image. Returns row numbers, so it never sees masks.

    Boxes are decoded corners, not clipped; scores are probabilities without background. Every
    entry has the options `min_score` and `max_detections`.

    Facts: `fixed`, its form of fixed sizes, a `FixedNms` with the same options and perhaps more;
    `kernels`, a form of it by kernels of its own, a `KernelNms` with the same options;
    `image_size_option`, the option that is the side of the input unless the run says otherwise.
    """

    def __call__(self, boxes: Float[Tensor, "A 4"], scores: Float[Tensor, "A C"]) -> Selection:
        """Return the kept boxes, best first."""


@runtime_checkable
class Rescorer(Protocol):
    """Give each mask its own score. Order and number of detections stay.

    Facts: `needs_net`, whether it needs the re-scoring network; `keeps_scores`, whether masks have
    the scores of their classes.
    """

    def __call__(
        self,
        soft_masks: Float[Tensor, "N h w"],
        labels: Int64[Tensor, " N"],
        scores: Float[Tensor, " N"],
        rescore_net: RescoreNet | None,
    ) -> Float[Tensor, " N"]:
        """Return the score of each mask."""
