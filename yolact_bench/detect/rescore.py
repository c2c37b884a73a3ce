"""Re-scoring: how good a mask is, beside how sure its class is, as a slot."""

from collections.abc import Callable, Mapping

from jaxtyping import Float, Int64
from torch import Tensor

from yolact_bench.detect.protocols import RescoreNet, Rescorer
from yolact_bench.errors import SpecError
from yolact_bench.shapes import FeatureMaps, needs_features
from yolact_bench.slots import with_facts


def bind_features(
    rescore_net: Callable[..., Tensor] | None,
    boxes: Float[Tensor, "N 4"],
    features: FeatureMaps | None,
) -> RescoreNet | None:
    """Return the network as one of soft masks alone, whatever else it looks at."""
    if rescore_net is None or not needs_features(rescore_net):
        return rescore_net

    def rescore(soft_masks: Tensor) -> Tensor:
        # Not the user's doing: what is replayed is decided before.
        assert features is not None, "a stored forward pass holds no feature maps"
        return rescore_net(soft_masks, boxes, features)

    return rescore


@with_facts(keeps_scores=True)
def keep_scores(
    soft_masks: Float[Tensor, "N h w"],
    labels: Int64[Tensor, " N"],
    scores: Float[Tensor, " N"],
    rescore_net: RescoreNet | None,
) -> Float[Tensor, " N"]:
    """Return the class scores: a mask is as good as its class is sure.

    Source: YOLACT (arXiv:1904.02689).
    Differs: nothing.
    """
    return scores


@with_facts(needs_net=True)
def times_predicted_iou(
    soft_masks: Float[Tensor, "N h w"],
    labels: Int64[Tensor, " N"],
    scores: Float[Tensor, " N"],
    rescore_net: RescoreNet | None,
) -> Float[Tensor, " N"]:
    """Return class score × IoU that the network predicts for the detection's class.

    May exceed 1: no network here ends in a sigmoid. The network sees the soft masks as
    assembled, cropped and at prototype size.

    Raises:
        SpecError: the detector has no re-scoring network.

    Source: YOLACT++ (arXiv:1912.06218), section "Fast Mask Re-Scoring Network"; Mask Scoring R-CNN
    (arXiv:1903.00241), section 3.3, multiplies the same two.
    Differs: nothing.
    """
    if rescore_net is None:
        raise SpecError(
            "rescore: there is no re-scoring network to ask; write a rescore_net that makes one, "
            "or a rescore that needs none"
        )
    if not len(labels):
        return scores
    predicted = rescore_net(soft_masks[:, None])  # [N, C]
    return scores * predicted.gather(1, labels[:, None])[:, 0].to(scores.dtype)


RESCORERS: Mapping[str, Rescorer] = {
    "none": keep_scores,
    "mask_iou": times_predicted_iou,
}
