"""The prediction head: class logits, box regressions and mask coefficients per anchor."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolact_bench.model.protocols import Head, MakeHead
from yolact_bench.shapes import widen
from yolact_bench.slots import Count


class SharedHead(Head):
    """One head for all levels: a 3×3 convolution with ReLU, then three parallel 3×3 branches.

    Outputs are anchor-major; levels are concatenated P3 to P7, cells row by row, anchors
    innermost. `activation` of the coefficients is tanh in the paper: it lets an instance
    subtract prototypes.

    Source: YOLACT (arXiv:1904.02689) §3.1 and figure 4; dbolya/yolact@902073d yolact.py,
    `PredictionModule`.
    Differs: nothing.
    """

    def __init__(
        self,
        inputs: int,
        num_anchors: int,
        num_classes: int,
        k: int,
        *,
        channels: Count = 256,
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
        boxes = _flat([self.boxes(x) for x in shared], 4)
        scores = _flat([self.scores(x) for x in shared], self.num_classes + 1)
        coefficients = _flat([self.coefficients(x) for x in shared], self.k)
        if self.activation == "tanh":
            coefficients = torch.tanh(coefficients)
        return boxes, scores, coefficients

    def for_inference(self, *, on_cpu: bool) -> nn.Module:
        """Return the same head, without gradients, in the form that takes the least time."""
        return MergedHead(self)


class MergedHead(nn.Module):
    """`SharedHead` with its three branches as one convolution, a row of all values per anchor.

    With channels last, the convolution's output is the row of each anchor as it lies in memory:
    what remains is to put the levels behind one another, once instead of three times.
    """

    def __init__(self, head: SharedHead) -> None:
        super().__init__()
        self.shared = head.shared
        self.activation = head.activation
        self.widths = (4, head.num_classes + 1, head.k)
        self.merged = merge_branches([head.boxes, head.scores, head.coefficients], self.widths)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes [B, A, 4], class logits [B, A, C + 1] and coefficients [B, A, k]."""
        rows = [self.merged(F.relu(self.shared(level))) for level in levels]
        width = sum(self.widths)
        flat = [x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width) for x in rows]
        boxes, scores, coefficients = torch.split(torch.cat(flat, dim=1), list(self.widths), dim=2)
        if self.activation == "tanh":
            coefficients = torch.tanh(coefficients)
        # Here, where a compiler can join it to the copies above.
        return widen(boxes), widen(scores), widen(coefficients)


def merge_branches(branches: Sequence[nn.Conv2d], widths: Sequence[int]) -> nn.Conv2d:
    """Return one convolution with all outputs of each anchor together, branch after branch.

    Each branch has `widths` outputs an anchor, anchors one after another.
    """
    first = branches[0]
    anchors = first.out_channels // widths[0]
    merged = nn.Conv2d(
        first.in_channels,
        anchors * sum(widths),
        first.kernel_size,  # type: ignore[arg-type]
        padding=first.padding,  # type: ignore[arg-type]
        device=first.weight.device,
        dtype=first.weight.dtype,
    )
    pairs = list(zip(branches, widths, strict=True))
    weights, biases = [], []
    for branch, width in pairs:
        assert branch.bias is not None
        weights.append(branch.weight.reshape(anchors, width, *branch.weight.shape[1:]))
        biases.append(branch.bias.reshape(anchors, width))
    merged.weight = nn.Parameter(torch.cat(weights, 1).flatten(0, 1).detach())
    merged.bias = nn.Parameter(torch.cat(biases, 1).flatten(0, 1).detach())
    return merged


HEADS: Mapping[str, MakeHead] = {"shared": SharedHead}


def _flat(levels: Sequence[Tensor], width: int) -> Tensor:
    """Return [B, a·width, h, w] per level as one [B, A, width]."""
    return torch.cat([x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width) for x in levels], dim=1)
