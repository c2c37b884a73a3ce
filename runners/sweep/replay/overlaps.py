"""Overlaps of candidates with the objects of their image, computed once for all trials."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runners.evaluation.coco.detections import ShapeKind
from runners.evaluation.coco.index import Index
from runners.evaluation.coco.instances import Float64, Int64
from runners.evaluation.coco.masks import Rle, areas, iou
from yolact_bench.slots import Choice

MaskKey = int | tuple[int, int]

_KEY_BYTES = 150  # of a key, its number and their share of a dictionary
_AT_ONCE = 100  # masks, of whose overlaps pycocotools is asked


class ImageObjects:
    """The objects of one image, in the order of the file."""

    def __init__(self, index: Index, image_id: int, classes: Mapping[int, int]) -> None:
        """Read them from the ground truth; `classes` maps a category id to a column."""
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
        self, label: Int64, score: Float64, overlaps: Float64, max_dets: int
    ) -> Iterator[tuple[int, Float64]]:
        """Yield column and IoU [D, G] of each class of the image, in the order of matching.

        `label` [D], `score` [D] and `overlaps` [D, all objects] are of its detections, in order, of
        which the best `max_dets` of a class count.
        """
        order = np.lexsort((-score, label))
        ordered = label[order]
        for column, objects in self.of_class.items():
            start, end = np.searchsorted(ordered, (column, column + 1))
            if start < end:
                rows = order[start : min(end, start + max_dets)]
                yield column, overlaps[rows[:, None], objects]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectionFacts:
    """What scoring needs of detections, D, beside class and score; G: objects of the image."""

    box_area: Float64  # [D] not above 0: left out of results
    mask_area: Float64  # [D]
    box_iou: Float64  # [D, G]
    mask_iou: Float64  # [D, G]

    def where(self, rows: NDArray[np.bool_]) -> "DetectionFacts":
        if rows.all():
            return self
        return DetectionFacts(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def of(self, kind: ShapeKind) -> tuple[Float64, Float64]:
        return (self.box_area, self.box_iou) if kind == "bbox" else (self.mask_area, self.mask_iou)


class KnownOverlaps:
    """The facts of every detection of one image that any trial has kept, by key.

    Equal keys must mean the same box and the same mask.
    """

    def __init__(self, objects: ImageObjects, num_candidates: int) -> None:
        self.num_candidates = num_candidates  # that the keys refer to
        self._objects = objects
        self._row: dict[MaskKey, int] = {}
        self._facts = np.empty((0, 2 + 2 * len(objects)))  # the last rows may be spare

    @property
    def nbytes(self) -> int:
        return self._facts.nbytes + _KEY_BYTES * len(self._row)

    def missing(self, keys: Sequence[MaskKey]) -> dict[MaskKey, int]:
        """Return the unknown keys, each with its first position."""
        unknown: dict[MaskKey, int] = {}
        for position, key in enumerate(keys):
            if key not in self._row:
                unknown.setdefault(key, position)
        return unknown

    def add(self, keys: Collection[MaskKey], boxes: Float64, masks: Sequence[Rle]) -> None:
        """Add missing detections: boxes [N, x y width height] in pixels, and run lengths."""
        objects, n = self._objects, len(self._objects)
        new = np.empty((len(keys), 2 + 2 * n))
        new[:, 0] = boxes[:, 2] * boxes[:, 3]
        new[:, 1] = areas(masks)
        for start in range(0, len(keys), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            new[part, 2 : 2 + n] = iou(boxes[part].tolist(), objects.boxes, objects.crowd)
            new[part, 2 + n :] = iou(masks[part], objects.masks, objects.crowd)
        start = len(self._row)
        end = start + len(keys)
        if end > len(self._facts):
            spare = np.empty((end // 2, new.shape[1]))
            self._facts = np.concatenate([self._facts[:start], new, spare])
        else:
            self._facts[start:end] = new
        self._row.update(zip(keys, range(start, end), strict=True))

    def facts(self, keys: Sequence[MaskKey]) -> DetectionFacts:
        """Return the facts of detections, all of them known."""
        rows = np.array([self._row[key] for key in keys], np.int64)
        facts, n = self._facts[rows], len(self._objects)
        return DetectionFacts(
            box_area=facts[:, 0],
            mask_area=facts[:, 1],
            box_iou=facts[:, 2 : 2 + n],
            mask_iou=facts[:, 2 + n :],
        )


class OverlapMemory:
    """The known overlaps of each image under each assembly, within a bound on memory.

    An assembly with another option makes other masks. Where there is no room, the least recently
    used assembly is dropped. What still has no room is computed for every trial: if images evicted
    one another in turn, none would be present when needed.
    """

    def __init__(self, max_bytes: float) -> None:
        self._max_bytes = max_bytes
        self._by_assembly: dict[str, dict[int, KnownOverlaps]] = {}  # most recently used last
        self._sizes: dict[tuple[str, int], int] = {}
        self.nbytes = 0  # of all

    def recall(self, assembly: Choice, image: int) -> KnownOverlaps | None:
        return self._by_assembly.get(json.dumps(assembly, sort_keys=True), {}).get(image)

    def keep(self, assembly: Choice, image: int, known: KnownOverlaps) -> None:
        """Store the known overlaps of an image, if there is room."""
        key = json.dumps(assembly, sort_keys=True)
        self._drop(key, image)
        images = self._by_assembly.pop(key, {})
        self._by_assembly[key] = images
        while self.nbytes + known.nbytes > self._max_bytes and len(self._by_assembly) > 1:
            oldest = next(iter(self._by_assembly))
            for other in list(self._by_assembly[oldest]):
                self._drop(oldest, other)
            del self._by_assembly[oldest]
        if self.nbytes + known.nbytes <= self._max_bytes:
            images[image] = known
            self._sizes[key, image] = known.nbytes
            self.nbytes += known.nbytes

    def _drop(self, key: str, image: int) -> None:
        if (key, image) in self._sizes:
            self.nbytes -= self._sizes.pop((key, image))
            del self._by_assembly[key][image]
