"""DarkNet-53 as a feature extractor."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.deform.layer import DeformImplementation
from yolact_bench.errors import SpecError
from yolact_bench.model.backbone.backbone import Backbone, Placement

STAGE_BLOCKS = (1, 2, 8, 8, 4)


class DarkNetBlock(nn.Module):
    """1×1 to half the channels, 3×3 back, added to the input with no activation after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, channels // 2, kernel=1)
        self.conv2 = _conv(channels // 2, channels, kernel=3)

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B I H W"]:
        """Return x plus its residual."""
        out: Tensor = x + self.conv2(self.conv1(x))
        return out


class DarkNet(Backbone):
    """DarkNet-53 without its classifier; returns the outputs of the last three stages.

    Its input is x / 255: no mean is subtracted.

    Source: YOLOv3 (arXiv:1804.02767) table 1; dbolya/yolact@902073d backbone.py, `DarkNetBackbone`.
    """

    mean = (0.0, 0.0, 0.0)
    std = (255.0, 255.0, 255.0)
    channels = (256, 512, 1024)

    def __init__(self, placement: Placement) -> None:
        super().__init__()
        if placement(STAGE_BLOCKS):
            raise SpecError(
                "dcn: darknet53 has no deformable layers in YOLACT++; write "
                "dcn: {name: nowhere}, or choose a resnet backbone"
            )
        self.preconv = _conv(3, 32, kernel=3)
        channels = 32
        stages = []
        for blocks in STAGE_BLOCKS:
            down = _conv(channels, 2 * channels, kernel=3, stride=2)
            channels *= 2
            stages.append(nn.Sequential(down, *(DarkNetBlock(channels) for _ in range(blocks))))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """Return C3, C4, C5 [B, channels, H / 8 …], each side rounded up."""
        x = self.preconv(x)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return outputs[-3:]

    def residual_norms(self) -> list[nn.BatchNorm2d]:
        """Return the last batch norm of each block."""
        blocks = [part for part in self.modules() if isinstance(part, DarkNetBlock)]
        return [
            part for block in blocks for part in block.conv2 if isinstance(part, nn.BatchNorm2d)
        ]

    def own_names(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the tensors of the reference's darknet53.pth by the names used here.

        A name that has no place here stays as the file has it, for the error that follows.
        """
        parts, known = {"_preconv": "preconv", "layers": "stages"}, self.state_dict()
        named = {}
        for key, value in state.items():
            part, dot, rest = key.partition(".")
            own = parts.get(part, part) + dot + rest
            named[own if own in known else key] = value
        return named


def darknet53(placement: Placement, deform: DeformImplementation) -> DarkNet:
    """Return DarkNet-53. Source: YOLOv3 (arXiv:1804.02767), table 1. Differs: no classifier."""
    return DarkNet(placement)


def _conv(inputs: int, outputs: int, *, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.1, inplace=True),
    )
