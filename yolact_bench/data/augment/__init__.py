"""What happens to an image before training sees it."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from yolact_bench.data.augment.plain import mirror, resize_only
from yolact_bench.data.augment.ssd import ssd
from yolact_bench.data.objects import Objects
from yolact_bench.shapes import Sample


@runtime_checkable
class Augmentation(Protocol):
    """Make a training sample of an image. Every random choice comes from `rng`.

    `size` is the side of the network's input, `mask_size` that of the prototypes; `fill` is
    the colour (RGB, 0 to 255) of what lies beyond the image.
    """

    def __call__(
        self,
        image: UInt8[np.ndarray, "H W 3"],
        objects: Objects,
        rng: np.random.Generator,
        size: int,
        mask_size: int,
        fill: tuple[float, float, float],
        /,
    ) -> Sample:
        """Return the sample."""


AUGMENTATIONS: Mapping[str, Augmentation] = {
    "ssd": ssd,
    "mirror": mirror,
    "none": resize_only,
}
