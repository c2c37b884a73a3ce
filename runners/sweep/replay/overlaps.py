"""How candidates lie over the objects of their image: found once, whichever trial keeps them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runners.evaluation.coco.engine_vectorised import areas
from runners.evaluation.coco.index import Index, Kind, Rle
from runners.evaluation.coco.matching import MAX_DETECTIONS
from runners.evaluation.coco.score import iou

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

Key = int | tuple[int, int]

_KEY_BYTES = 150  # of a key, its number and their share of a dictionary
_AT_ONCE = 100  # masks; scoring never asks pycocotools for the overlaps of more


class Objects:
    """The objects of one image, in the order of the file."""

    def __init__(self, index: Index, image_id: int, classes: Mapping[int, int]) -> None:
        """Take them from the ground truth; `classes` goes from category id to column."""
        self.image_id = image_id
        annotations: Sequence[Mapping[str, Any]] = index.imgToAnns.get(image_id, [])
        self.boxes = [one["bbox"] for one in annotations]
        self.masks = [index.annToRLE(one) for one in annotations]
        self.crowd = np.array([bool(one["iscrowd"]) for one in annotations], bool)
        labels = [classes[one["category_id"]] for one in annotations]
        self.of_class = {
            label: np.flatnonzero(np.array(labels) == label) for label in sorted(set(labels))
        }

    def __len__(self) -> int:
        return len(self.boxes)

    def by_class(
        self, label: Int64, score: Float64, overlaps: Float64
    ) -> Iterator[tuple[int, Float64]]:
        """Yield column and IoU [D, G] of each class of the image, as matching asks for them.

        `label` [D], `score` [D] and `overlaps` [D, all objects] are of its detections, in order.
        """
        order = np.lexsort((-score, label))
        ordered = label[order]
        for column, objects in self.of_class.items():
            start, end = np.searchsorted(ordered, (column, column + 1))
            if start < end:
                rows = order[start : min(end, start + MAX_DETECTIONS)]
                yield column, overlaps[rows[:, None], objects]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """What scoring asks of detections, D, beside class and score; objects, G, of their image."""

    box_area: Float64  # [D] not above 0: left out of results
    mask_area: Float64  # [D]
    box_iou: Float64  # [D, G]
    mask_iou: Float64  # [D, G]

    def where(self, chosen: NDArray[np.bool_]) -> "Facts":
        """Return the facts of the chosen detections."""
        if chosen.all():
            return self
        return Facts(
            box_area=self.box_area[chosen],
            mask_area=self.mask_area[chosen],
            box_iou=self.box_iou[chosen],
            mask_iou=self.mask_iou[chosen],
        )

    def of(self, kind: Kind) -> tuple[Float64, Float64]:
        """Return areas and overlaps of either kind."""
        return (self.box_area, self.box_iou) if kind == "bbox" else (self.mask_area, self.mask_iou)


class KnownOverlaps:
    """The facts of those detections of one image that some trial has kept, by key.

    Equal keys must mean the same box and the same mask.
    """

    def __init__(self, objects: Objects, num_candidates: int) -> None:
        self.num_candidates = num_candidates  # among which the keys are good
        self._objects = objects
        self._place: dict[Key, int] = {}
        self._facts = np.empty((0, 2 + 2 * len(objects)))  # the last rows may be spare

    @property
    def nbytes(self) -> int:
        """How much memory it takes, nearly."""
        return self._facts.nbytes + _KEY_BYTES * len(self._place)

    def missing(self, keys: Sequence[Key]) -> dict[Key, int]:
        """Return the keys that are not known, each with where it stands first."""
        found: dict[Key, int] = {}
        for position, key in enumerate(keys):
            if key not in self._place:
                found.setdefault(key, position)
        return found

    def add(self, keys: Collection[Key], boxes: Float64, masks: Sequence[Rle]) -> None:
        """Take in what is missing: boxes [N, x y width height] in pixels, and run lengths."""
        objects, n = self._objects, len(self._objects)
        new = np.empty((len(keys), 2 + 2 * n))
        new[:, 0] = boxes[:, 2] * boxes[:, 3]
        new[:, 1] = areas(masks)
        for start in range(0, len(keys), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            new[part, 2 : 2 + n] = iou(boxes[part].tolist(), objects.boxes, objects.crowd)
            new[part, 2 + n :] = iou(masks[part], objects.masks, objects.crowd)
        start = len(self._place)
        end = start + len(keys)
        if end > len(self._facts):
            spare = np.empty((end // 2, new.shape[1]))
            self._facts = np.concatenate([self._facts[:start], new, spare])
        else:
            self._facts[start:end] = new
        self._place.update(zip(keys, range(start, end), strict=True))

    def facts(self, keys: Sequence[Key]) -> Facts:
        """Return the facts of detections, none of which is missing."""
        places = np.array([self._place[key] for key in keys], np.int64)
        found, n = self._facts[places], len(self._objects)
        return Facts(
            box_area=found[:, 0],
            mask_area=found[:, 1],
            box_iou=found[:, 2 : 2 + n],
            mask_iou=found[:, 2 + n :],
        )
