"""Which detection matched an object: all that average precision needs to know, a few bytes each."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolact_bench.array_file import read_arrays
from yolact_bench.errors import SpecError

Values = NDArray[np.float64]

# pycocotools' recall levels, bit for bit: another way to divide by 100 moves AP by up to 0.01.
RECALLS = np.linspace(0.0, 1.0, 101)
IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
FILES = {"box": "matches-bbox.npz", "mask": "matches-segm.npz"}  # beside the predictions
AREAS = ("all", "small", "medium", "large")  # COCO's order


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matches:
    """The outcome of COCO's matching, at ten IoU thresholds and in four ranges of object size.

    Letters: D detections (at most 100 an image and class), A = 4 ranges of size, P pairs of an
    image and a class that have ground truth. Detections stand class by class; within a class in
    the order in which COCO ranks them, which matters where scores are equal. Bit t of a flag
    speaks of the t-th of `IOU_THRESHOLDS`. A detection that is matched and not ignored is a true
    positive, one that is neither a false positive.
    """

    num_images: int
    num_classes: int
    image: NDArray[np.int32]  # [D] row of the image, counted in the order of image ids
    label: NDArray[np.int16]  # [D] column of the class, in the order of category ids
    score: NDArray[np.float64]  # [D]
    matched: NDArray[np.uint16]  # [A, D] flags: matched to an object
    ignored: NDArray[np.uint16]  # [A, D] flags: matched to a crowd, or of another size
    truth_image: NDArray[np.int32]  # [P]
    truth_label: NDArray[np.int16]  # [P], ascending
    truth_count: NDArray[np.int32]  # [A, P] objects to be found; crowds are not

    def save(self, path: Path) -> None:
        """Write the matches to `path`, which ends in .npz."""
        arrays = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        np.savez_compressed(path, allow_pickle=False, **arrays)


def load_matches(path: Path) -> Matches:
    """Return the matches that `Matches.save` left at `path`.

    Raises:
        SpecError: no such file, or not one of matches.
    """
    try:
        arrays = read_arrays(path, [field.name for field in fields(Matches)])
        images, classes = int(arrays.pop("num_images")), int(arrays.pop("num_classes"))
    except (ValueError, TypeError) as error:
        raise SpecError(
            f"{path} is damaged: {error}; remove it; `yolact-bench run` its spec makes it again"
        ) from error
    return Matches(num_images=images, num_classes=classes, **arrays)


def unpack_flags(packed: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Return [T, D] flags of [D] bit sets, the first threshold in the lowest bit."""
    bits = np.arange(len(IOU_THRESHOLDS), dtype=np.uint16)[:, None]
    return (packed >> bits & 1).astype(np.bool_)
