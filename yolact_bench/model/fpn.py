"""The feature pyramid as YOLACT alters it: P3 to P7, without P2."""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from yolact_bench.model.enlargement import enlarge
from yolact_bench.model.protocols import Fpn, MakeFpn
from yolact_bench.ranges import Channels


class YolactFpn(Fpn):
    """Laterals, top-down sums, a 3×3 convolution with ReLU per level, then P6 and P7 from P5.

    What a reader would get wrong: the top-down path resizes bilinearly to the finer map's exact
    size and has no ReLU; P6 and P7 are stride-2 convolutions of the ReLU'd P5 and have none.

    Source: YOLACT (arXiv:1904.02689) §4; dbolya/yolact@902073d yolact.py, `FPN`.
    Differs: laterals and smoothing convolutions are stored finest first; the numbers are the same.
    """

    def __init__(self, inputs: Sequence[int], *, channels: Channels = 256) -> None:
        super().__init__()
        self.channels = channels
        self.laterals = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in inputs)
        self.smooth = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in inputs)
        self.downsample = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(2)
        )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return P3 … P7, each [B, channels, side, side]."""
        top_down = self.laterals[-1](features[-1])
        maps = [top_down]
        for lateral, feature in zip(
            reversed(self.laterals[:-1]),
            reversed(features[:-1]),
            strict=True,
        ):
            size = feature.shape[-2:]
            top_down = enlarge(top_down, size, training=self.training)
            top_down = top_down + lateral(feature)
            maps.insert(0, top_down)
        levels = [F.relu(conv(x)) for conv, x in zip(self.smooth, maps, strict=True)]
        for conv in self.downsample:
            levels.append(conv(levels[-1]))
        return levels


FPNS: Mapping[str, MakeFpn] = {"yolact": YolactFpn}
