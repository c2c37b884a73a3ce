"""Detections and objects as arrays, in the order of their files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolact_bench.evaluation import Evaluation

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

_ALL_SIZES = (0.0, 1e10)  # square pixels, as COCOeval has it


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

    def outside(self, sizes: Float64) -> Flags:
        """Whether each is outside each range of sizes [A, 2], whose ends are included; [A, N]."""
        return (self.area < sizes[:, :1]) | (self.area > sizes[:, 1:])

    def class_image_keys(self, num_images: int) -> Int64:
        """The image and class of each as one number, which orders them class by class."""
        return self.label * num_images + self.image


def sizes_of(evaluation: Evaluation) -> Float64:
    """Return the ranges [A, 2] of all, small, medium and large objects, square pixels."""
    areas = evaluation.areas
    return np.array([_ALL_SIZES, areas.small, areas.medium, areas.large], np.float64)


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


def equals_before(values: NDArray[Any]) -> Int64:
    """Return for each value how many equal ones stand before it."""
    order = np.argsort(values, kind="stable")
    count = np.empty(len(values), np.int64)
    count[order] = np.arange(len(values)) - np.searchsorted(values[order], values[order])
    return count
