"""The matches that pycocotools keeps, as arrays: the reference for our own matching."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from yolact_bench.statistics.matches import AREAS, Matches

# One image, class and range of sizes: an entry of COCOeval.evalImgs.
Entry = Mapping[str, NDArray[np.float64]]
Columns = dict[str, NDArray[np.generic]]


def pack_flags(flags: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Return [D] bit sets of [T, D] flags, the first threshold in the lowest bit."""
    bits = np.left_shift(1, np.arange(len(flags), dtype=np.uint16), dtype=np.uint16)
    packed: NDArray[np.uint16] = np.bitwise_or.reduce(np.where(flags, bits[:, None], 0), axis=0)
    return packed


def collect_matches(
    entries: Sequence[Entry | None], *, num_images: int, num_classes: int
) -> Matches:
    """Return the matches in `COCOeval.evalImgs`, in the order in which COCO ranks detections.

    `entries` has the images of the first class and range of sizes, then those of the next range,
    and so on; None where an image has neither detection nor object of the class.
    """
    assert len(entries) == num_classes * len(AREAS) * num_images
    columns = [_class_columns([], [[] for _ in AREAS], 0)]
    for label in range(num_classes):
        starts = [(label * len(AREAS) + area) * num_images for area in range(len(AREAS))]
        by_area = [entries[start : start + num_images] for start in starts]
        # Whether there is an entry does not depend on the range of sizes.
        rows = [row for row, entry in enumerate(by_area[0]) if entry is not None]
        present = [[entry for entry in images if entry is not None] for images in by_area]
        columns.append(_class_columns(rows, present, label))
    joined = {
        name: np.concatenate([column[name] for column in columns], axis=-1) for name in columns[0]
    }
    return Matches(num_images=num_images, num_classes=num_classes, **joined)


def _class_columns(rows: Sequence[int], by_area: Sequence[Sequence[Entry]], label: int) -> Columns:
    """Return the arrays of one class, from its entries [A][rows]."""
    scores = [np.asarray(entry["dtScores"], np.float64) for entry in by_area[0]]
    score = np.concatenate([np.empty(0), *scores])
    order = np.argsort(-score, kind="stable")  # as COCOeval.accumulate: equal scores by image
    image = np.repeat(np.asarray(rows, np.int32), [len(found) for found in scores])
    objects = np.array([_objects(entries) for entries in by_area], np.int32)  # [A, rows]
    some = objects.any(axis=0)
    return {
        "image": image[order],
        "label": np.full(len(order), label, np.int16),
        "score": score[order],
        "matched": np.stack([_flags(entries, "dtMatches")[order] for entries in by_area]),
        "ignored": np.stack([_flags(entries, "dtIgnore")[order] for entries in by_area]),
        "truth_image": np.asarray(rows, np.int32)[some],
        "truth_label": np.full(int(some.sum()), label, np.int16),
        "truth_count": objects[:, some],
    }


def _objects(entries: Sequence[Entry]) -> list[int]:
    return [int(np.count_nonzero(np.asarray(entry["gtIgnore"]) == 0)) for entry in entries]


def _flags(entries: Sequence[Entry], key: str) -> NDArray[np.uint16]:
    if not entries:
        return np.empty(0, np.uint16)
    return pack_flags(np.concatenate([entry[key] for entry in entries], axis=1) != 0)
