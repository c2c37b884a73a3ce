"""The protonet: prototype masks of the whole image, from P3."""

import itertools
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.model.enlargement import enlarge
from yolact_bench.model.inference.upsampled_convolution import UpsampledConvolution
from yolact_bench.model.protocols import MakeProtonet, Protonet
from yolact_bench.ranges import Channels
from yolact_bench.shapes import widen


class FcnProtonet(Protonet):
    """Three 3×3 convolutions, bilinear ×2, one more, and a 1×1 to `k` prototypes.

    ReLU after each convolution. The paper allows the prototypes a ReLU or none and takes the
    ReLU, as it is easier to look at; without it no prototype can die.

    Source: YOLACT (arXiv:1904.02689) §3.1 and figure 3; dbolya/yolact@902073d data/config.py,
    `mask_proto_net`.
    Differs: nothing.
    """

    def __init__(
        self,
        inputs: int,
        *,
        k: Channels = 32,
        channels: Channels = 256,
        activation: Literal["relu", "none"] = "relu",
    ) -> None:
        super().__init__()
        self.activation = activation
        self.k = k
        widths = [inputs, channels, channels, channels]
        self.before = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1) for i, o in itertools.pairwise(widths)
        )
        self.after = nn.Conv2d(channels, channels, 3, padding=1)
        self.prototypes = nn.Conv2d(channels, k, 1)

    def forward(self, p3: Float[Tensor, "B I h3 w3"]) -> Float[Tensor, "B h w k"]:
        """Return prototypes at twice the size of P3, channels last."""
        x = p3
        for conv in self.before:
            x = F.relu(conv(x))
        x = enlarge(x, (2 * x.shape[-2], 2 * x.shape[-1]), training=self.training)
        x = F.relu(self.after(x))
        return _activate(self.prototypes(x), self.activation).permute(0, 2, 3, 1)

    def for_inference(self, device: torch.device) -> nn.Module:
        """Return the same protonet, without gradients, in the fastest form for that device."""
        # Of a subclass, whose forward may differ, nothing is known.
        plain = type(self) is FcnProtonet
        return EnlargingProtonet(self) if plain and device.type == "cpu" else self


class EnlargingProtonet(nn.Module):
    """`FcnProtonet` whose convolution at the large size is computed at the small one."""

    def __init__(self, protonet: FcnProtonet) -> None:
        super().__init__()
        self.before, self.prototypes = protonet.before, protonet.prototypes
        self.activation = protonet.activation
        self.after = UpsampledConvolution(protonet.after)

    def forward(self, p3: Float[Tensor, "B I h3 w3"]) -> Float[Tensor, "B h w k"]:
        """Return prototypes at twice the size of P3, channels last, as float32."""
        x = p3
        for conv in self.before:
            x = F.relu(conv(x))
        prototypes = _activate(self.prototypes(F.relu(self.after(x))), self.activation)
        return widen(prototypes.permute(0, 2, 3, 1))


def _activate(prototypes: Tensor, activation: str) -> Tensor:
    return F.relu(prototypes) if activation == "relu" else prototypes


PROTONETS: Mapping[str, MakeProtonet] = {"fcn": FcnProtonet}
