"""Detections and objects as arrays, in the order of their files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

# COCOeval's ranges of areas, square pixels, ends included: all, small, medium and large.
_SIZES = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]], np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instances:
    """Detections or objects, N of them, in the order of the files."""

    image: Int64  # [N] row of the image, counted in the order of image ids
    label: Int64  # [N] column of the class, in the order of category ids
    area: Float64  # [N]
    score: Float64  # [N] zeros for objects
    is_crowd: Flags  # [N] False for detections

    def __getitem__(self, rows: Int64 | Flags) -> "Instances":
        return Instances(**{name: getattr(self, name)[rows] for name in self.__slots__})

    @property
    def outside(self) -> Flags:
        """Whether each is outside each range of sizes [A, N]."""
        return (self.area < _SIZES[:, :1]) | (self.area > _SIZES[:, 1:])

    def class_image_keys(self, num_images: int) -> Int64:
        """The image and class of each as one number, which orders them class by class."""
        return self.label * num_images + self.image


def instances_of(
    annotations: Sequence[Mapping[str, Any]], images: Mapping[int, int], classes: Mapping[int, int]
) -> Instances:
    """Return the annotations of these images, given as image id → row and category id → column."""
    inside = [one for one in annotations if one["image_id"] in images]

    def each(key: str) -> list[Any]:
        return list(map(itemgetter(key), inside))

    return Instances(
        image=np.array([images[number] for number in each("image_id")], np.int64),
        label=np.array([classes[number] for number in each("category_id")], np.int64),
        area=np.array(each("area"), np.float64),
        score=np.array([one.get("score", 0.0) for one in inside], np.float64),
        is_crowd=np.array(each("iscrowd"), np.bool_),
    )
