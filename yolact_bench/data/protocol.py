"""What every data set and every augmentation offers, whatever it is made of."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from yolact_bench.data.objects import Objects
from yolact_bench.findings import Finding
from yolact_bench.shapes import Sample


@runtime_checkable
class Dataset(Protocol):
    """One split of a data set: images, their objects, and the truth to score against."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in label order."""

    @property
    def category_ids(self) -> tuple[int, ...]:
        """The data set's own category id of each label."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was mended, left out or is doubtful, in the order of the file."""

    def __len__(self) -> int: ...

    def image_id(self, index: int) -> int:
        """Return the data set's own number of an image."""

    def image(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        """Return the image, RGB.

        Raises:
            ArmError: the file cannot be read; kind "bad_image".
        """

    def objects(self, index: int) -> Objects:
        """Return the usable objects of an image, crowds last."""

    def without_cell(self, side: int) -> tuple[Finding, ...]:
        """Return the objects that are too small for masks of `side` cells a side."""

    def ground_truth(self) -> dict[str, object]:
        """Return the split in COCO's annotation format, degenerate annotations left out."""


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
