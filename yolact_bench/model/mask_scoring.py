"""Mask Scoring R-CNN's re-scoring head: sees the feature maps below each box beside its mask."""

import math
from types import MappingProxyType

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torchvision.ops import roi_align

from yolact_bench.ranges import AtLeastOne, Cells, Channels, Samples
from yolact_bench.shapes import FeatureMaps
from yolact_bench.slots import with_facts

# P3, P4 and P5. R-CNN's heads pool from P2 to P5, but YOLACT has no P2; P6 and P7 serve large
# anchors only, and have no ReLU.
_FINEST, _COARSEST = 3, 5
_CONVOLUTIONS = 4  # the last one has stride 2


@with_facts(own=("channels",))
class MaskScoringNet(nn.Module):
    """Slow mask re-scoring: features and mask of each box, RoI-aligned, through an R-CNN head.

    Features are pooled from the level that the box's size says, the mask at twice that side and
    then 2×2 max-pooled; four 3×3 convolutions, the last of stride 2, two hidden layers, one IoU
    per class. In training the result may be below 0, for the last layer is linear; in detection
    it is cut at 0. Boxes are clipped to the image first, and map to cells as anchors do: cell i
    has its centre at i + ½, which torchvision calls aligned.

    Source: Mask Scoring R-CNN (arXiv:1903.00241), section 3.3 and figure 3;
    zjhuang22/maskscoring_rcnn@8f1c8cf maskrcnn_benchmark/layers/roi_align.py, `ROIAlign`.
    Differs: RoIs are moved by half a cell, as above; the mask comes from the prototypes, not from
    a RoI head at 28×28, so it is RoI-aligned to that size; features are those of P3 to P5;
    convolutions start as all of YOLACT's do, not as R-CNN's.
    """

    needs_features = True
    class_layers = MappingProxyType({"iou": 0})

    def __init__(
        self,
        num_classes: int,
        mask_size: int,
        fpn_channels: int,
        image_size: int,
        *,
        roi_size: Cells = 14,
        channels: Channels = 256,
        hidden: Channels = 1024,
        sampling_ratio: Samples = 2,
        canonical_px: AtLeastOne = 224.0,
    ) -> None:
        super().__init__()
        self.image_size, self.roi_size = image_size, roi_size
        self.sampling_ratio, self.canonical_px = sampling_ratio, canonical_px
        inputs = [fpn_channels + 1] + [channels] * (_CONVOLUTIONS - 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(c, channels, 3, stride=1 + (i == _CONVOLUTIONS - 1), padding=1)
            for i, c in enumerate(inputs)
        )
        side = math.ceil(roi_size / 2)
        self.hidden = nn.ModuleList(
            [_hidden_layer(channels * side * side, hidden), _hidden_layer(hidden, hidden)]
        )
        self.iou = nn.Linear(hidden, num_classes)
        nn.init.normal_(self.iou.weight, std=0.01)  # as R-CNN's last layers start
        nn.init.zeros_(self.iou.bias)

    def forward(
        self,
        masks: Float[Tensor, "N 1 h w"],
        boxes: Float[Tensor, "N 4"],
        features: FeatureMaps,
    ) -> Float[Tensor, "N C"]:
        """Return the predicted mask IoU for every class; `features` are those of one image."""
        boxes = boxes.clamp(0, 1)
        rows = torch.arange(len(masks), device=masks.device)
        pooled = F.max_pool2d(self._align(masks, boxes, rows, 2 * self.roi_size), 2)
        x = torch.cat([self._pooled_features(boxes, features), pooled], 1)
        for conv in self.convs:
            x = F.relu(conv(x))
        x = x.flatten(1)
        for layer in self.hidden:
            x = F.relu(layer(x))
        iou: Tensor = self.iou(x)
        return iou if self.training else iou.clamp(min=0)

    def _pooled_features(
        self, boxes: Float[Tensor, "N 4"], features: FeatureMaps
    ) -> Float[Tensor, "N c r r"]:
        level = fpn_level(boxes * self.image_size, canonical_px=self.canonical_px)
        channels = features[0].shape[1]
        pooled = features[0].new_zeros(len(boxes), channels, self.roi_size, self.roi_size)
        for i, feature in enumerate(features[: _COARSEST - _FINEST + 1]):
            rows = (level == _FINEST + i).nonzero()[:, 0]
            image = torch.zeros_like(rows)
            pooled[rows] = self._align(feature, boxes[rows], image, self.roi_size)
        return pooled

    def _align(
        self,
        maps: Float[Tensor, "B c h w"],
        boxes: Float[Tensor, "M 4"],
        image: Int64[Tensor, " M"],
        side: int,
    ) -> Float[Tensor, "M c s s"]:
        h, w = maps.shape[2:]
        cells = boxes * boxes.new_tensor([w, h, w, h])
        rois = torch.cat([image[:, None].to(cells), cells], 1)  # [M, 5]
        aligned: Tensor = roi_align(
            maps, rois, side, sampling_ratio=self.sampling_ratio, aligned=True
        )
        return aligned


def _hidden_layer(inputs: int, outputs: int) -> nn.Linear:
    """A hidden layer that starts as R-CNN's do: variance kept, zero bias."""
    layer = nn.Linear(inputs, outputs)
    nn.init.kaiming_uniform_(layer.weight, a=1)
    nn.init.zeros_(layer.bias)
    return layer


def fpn_level(
    boxes_px: Float[Tensor, "N 4"], *, canonical_px: float = 224.0
) -> Float[Tensor, " N"]:
    """Return the level that features are pooled from: ⌊4 + log₂(√(w·h) / 224)⌋, from 3 to 5.

    A box of the canonical size belongs to P4; the tiny term keeps it there when its pixels come
    out of fractions a rounding short. A box without area belongs to P3.

    Source: FPN (arXiv:1612.03144), equation 1; the tiny term from torchvision.
    """
    sides = boxes_px[:, 2:] - boxes_px[:, :2]
    side = (sides[:, 0] * sides[:, 1]).sqrt()
    level = (4 + (side / canonical_px).log2() + 1e-6).floor()
    return level.clamp(_FINEST, _COARSEST)
