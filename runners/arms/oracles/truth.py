"""The objects of one image that an oracle knows."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from runners.evaluation.coco.masks import Rle, encode_outlines, encode_pixels
from yolact_bench.data.objects import Objects, Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The objects of one image that are not crowds."""

    boxes: Float[Tensor, "G 4"]  # corner fractions
    labels: Int64[Tensor, " G"]
    segments: tuple[Segment, ...]
    masks: list[Rle]
    height: int
    width: int

    @property
    def boxes_px(self) -> Float[Tensor, "G 4"]:
        return self.boxes * torch.tensor([self.width, self.height] * 2)


def truth_of(objects: Objects) -> Truth:
    """Return what an image holds but for its crowds."""
    rows = np.flatnonzero(~objects.is_crowd)
    segments = tuple(objects.segments[row] for row in rows)
    size = {"height": objects.height, "width": objects.width}
    return Truth(
        boxes=torch.from_numpy(
            objects.boxes_px[rows] / np.array([objects.width, objects.height] * 2)
        ).float(),
        labels=torch.from_numpy(objects.labels[rows]),
        segments=segments,
        masks=[
            encode_outlines(one, **size) if isinstance(one, tuple) else encode_pixels(one)
            for one in segments
        ],
        **size,
    )
