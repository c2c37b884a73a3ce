"""Re-scoring networks: predict how good a mask is, from the mask itself or with its features."""

import itertools
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.errors import SpecError
from yolact_bench.model.mask_scoring import MaskScoringNet
from yolact_bench.model.protocols import MakeRescoreNet
from yolact_bench.ranges import ChannelList
from yolact_bench.slots import with_facts


@with_facts(halvings="channels", own=("channels",))  # a list of them; elsewhere one number
class MaskIouNet(nn.Module):
    """Fast mask re-scoring: stride-2 convolutions on the cropped soft mask, one IoU per class.

    No padding (138 → 68 → 33 → 16 → 7 → 3), ReLU after every layer and after the 1×1, then a
    global maximum. The result may exceed 1, because it ends in a ReLU and not in a sigmoid.

    Source: YOLACT++ (arXiv:1912.06218), "Fast Mask Re-Scoring Network"; dbolya/yolact@902073d
    yolact.py, `FastMaskIoUNet`.
    Differs: nothing.
    """

    def __init__(
        self,
        num_classes: int,
        mask_size: int,
        fpn_channels: int,
        image_size: int,
        *,
        channels: ChannelList = (8, 16, 32, 64, 128),
    ) -> None:
        super().__init__()
        side = mask_size
        for _ in channels:
            side = (side - 3) // 2 + 1
        if side < 1:
            raise SpecError(
                f"rescore_net.mask_iou.channels: {len(channels)} stride-2 layers leave nothing of "
                f"a {mask_size}×{mask_size} mask; give fewer channels or a larger image_size"
            )
        widths = [1, *channels]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(widths[-1], num_classes, 1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.class_layers = {f"layers.{len(layers) - 2}": 0}

    def forward(self, masks: Float[Tensor, "N 1 h w"]) -> Float[Tensor, "N C"]:
        """Return the predicted mask IoU for every class."""
        out: Tensor = self.layers(masks).amax(dim=(2, 3))
        return out


@with_facts(makes_nothing=True)
def no_rescore_net(num_classes: int, mask_size: int, fpn_channels: int, image_size: int) -> None:
    """Return nothing: the network predicts no mask quality.

    Source: YOLACT (arXiv:1904.02689).
    Differs: nothing.
    """
    return None


RESCORE_NETS: Mapping[str, MakeRescoreNet] = {
    "none": no_rescore_net,
    "mask_iou": MaskIouNet,
    "mask_scoring": MaskScoringNet,
}
