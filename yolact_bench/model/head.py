"""The prediction head: class logits, box regressions and mask coefficients per anchor."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolact_bench.model.protocols import Head, MakeHead
from yolact_bench.ranges import Channels


class SharedHead(Head):
    """One head for all levels: a 3×3 convolution with ReLU, then three parallel 3×3 branches.

    Outputs are anchor-major; levels are concatenated P3 to P7, cells row by row, anchors
    innermost. `activation` of the coefficients is tanh in the paper: it lets an instance
    subtract prototypes.

    Source: YOLACT (arXiv:1904.02689) §3.1 and figure 4; dbolya/yolact@902073d yolact.py,
    `PredictionModule`.
    Differs: nothing.
    """

    class_layers = MappingProxyType({"scores": 1})  # of each anchor: background, then the classes

    def __init__(
        self,
        inputs: int,
        num_anchors: int,
        num_classes: int,
        k: int,
        *,
        channels: Channels = 256,
        activation: Literal["tanh", "none"] = "tanh",
    ) -> None:
        super().__init__()
        self.num_classes, self.k, self.activation = num_classes, k, activation
        self.shared = nn.Conv2d(inputs, channels, 3, padding=1)
        self.boxes = nn.Conv2d(channels, num_anchors * 4, 3, padding=1)
        self.scores = nn.Conv2d(channels, num_anchors * (num_classes + 1), 3, padding=1)
        self.coefficients = nn.Conv2d(channels, num_anchors * k, 3, padding=1)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes [B, A, 4], class logits [B, A, C + 1] and coefficients [B, A, k]."""
        shared = [F.relu(self.shared(level)) for level in levels]
        boxes = flat([self.boxes(x) for x in shared], 4)
        scores = flat([self.scores(x) for x in shared], self.num_classes + 1)
        coefficients = flat([self.coefficients(x) for x in shared], self.k)
        return boxes, scores, activate(coefficients, self.activation)

    def for_inference(self, device: torch.device) -> nn.Module:
        """Return the same head, without gradients, in the fastest form for that device."""
        # Of a subclass, whose forward may differ, nothing is known.
        if type(self) is not SharedHead:
            return self
        from yolact_bench.model.inference.merged_head import (  # they import this
            AtlasHead,
            MergedHead,
        )

        return MergedHead(self) if device.type == "cpu" else AtlasHead(self)


HEADS: Mapping[str, MakeHead] = {"shared": SharedHead}


def activate(coefficients: Tensor, activation: str) -> Tensor:
    """Return the coefficients behind that activation."""
    return torch.tanh(coefficients) if activation == "tanh" else coefficients


def flat(levels: Sequence[Tensor], width: int) -> Tensor:
    """Return [B, a·width, h, w] per level as one [B, A, width]."""
    rows = [x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width) for x in levels]
    return rows[0] if len(rows) == 1 else torch.cat(rows, dim=1)
