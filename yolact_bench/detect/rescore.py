"""Re-scoring: how good a mask is, beside how sure its class is, as a slot."""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int64
from torch import Tensor

from yolact_bench.errors import SpecError

# Soft masks [N, 1, h, w] → predicted IoU of each mask for every class [N, C].
RescoreNet = Callable[[Tensor], Tensor]


@runtime_checkable
class Rescorer(Protocol):
    """Give each mask a score of its own. Order and number of detections stay."""

    def __call__(
        self,
        soft_masks: Float[Tensor, "N h w"],
        labels: Int64[Tensor, " N"],
        scores: Float[Tensor, " N"],
        rescore_net: RescoreNet | None,
    ) -> Float[Tensor, " N"]:
        """Return the score of each mask."""
        ...


def keep_scores(
    soft_masks: Float[Tensor, "N h w"],
    labels: Int64[Tensor, " N"],
    scores: Float[Tensor, " N"],
    rescore_net: RescoreNet | None,
) -> Float[Tensor, " N"]:
    """Return the class scores: a mask is as good as its class is sure.

    Source: YOLACT (arXiv:1904.02689).
    """
    return scores


def times_predicted_iou(
    soft_masks: Float[Tensor, "N h w"],
    labels: Int64[Tensor, " N"],
    scores: Float[Tensor, " N"],
    rescore_net: RescoreNet | None,
) -> Float[Tensor, " N"]:
    """Return class score × IoU that the network predicts for the detection's class.

    May exceed 1: the network ends in a ReLU, not a sigmoid. The network sees the soft masks as
    assembled, cropped and at prototype size.

    Raises:
        SpecError: the detector has no re-scoring network.

    Source: YOLACT++ (arXiv:1912.06218), section "Fast Mask Re-Scoring Network".
    """
    if rescore_net is None:
        raise SpecError(
            "rescore: mask_iou needs the re-scoring network; "
            "write rescore_net: {name: mask_iou}, or rescore: {name: none}"
        )
    if not len(labels):
        return scores
    predicted = rescore_net(soft_masks[:, None])  # [N, C]
    return scores * predicted.gather(1, labels[:, None])[:, 0].to(scores.dtype)


RESCORERS: Mapping[str, Rescorer] = {
    "none": keep_scores,
    "mask_iou": times_predicted_iou,
}
