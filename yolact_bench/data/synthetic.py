"""`shapes`: images drawn from numbers, so that a first ablation needs no download.

Each image has 1 to 8 discs, squares, triangles, stars and rings, in three sizes: small, medium
and large in COCO's sense (areas up to 32 x 32, up to 96 x 96, above) at the image's own size.
Later objects hide earlier ones, never more than half of one, and differ in lightness from what
lies beneath. Texture and rotation are independent of the class; each class has its own hue,
but one object in ten has any other, so the outline decides. The background is textured, greyish
and strewn with coloured strokes, crosses and slivers that are of no class. This difficulty was
chosen once, so that a small network learns within minutes on a CPU; it is fixed.
"""

import mmap
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from yolact_bench.data.objects import Objects, run_lengths
from yolact_bench.data.scene import MAX_OBJECTS, draw_scene
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.dataset_spec.split import ShapesSplit
from yolact_bench.findings import Finding
from yolact_bench.published_datasets import SHAPES_CLASSES

_STREAM_TAG = 0x5AFE5  # keeps these draws apart from every other use of the same seeds


@dataclass(frozen=True, slots=True)
class _Images:
    """All images of a split, drawn on first use."""

    images: UInt8[np.ndarray, "n S S 3"]
    owners: UInt8[np.ndarray, "n S S"]  # 0 for background, else number of the object seen there
    classes: UInt8[np.ndarray, "n m"]  # label + 1 of each object, 0 where there is none


class ShapesDataset:
    """Drawn images with exact masks. Drawn once, then kept in memory.

    The memory is shared with forked loader workers, so each image is drawn by one of them.
    """

    def __init__(self, spec: DatasetSpec, split: str) -> None:
        chosen = spec.split(split)
        assert isinstance(chosen, ShapesSplit)
        self.classes = SHAPES_CLASSES
        self.category_ids = tuple(range(1, len(SHAPES_CLASSES) + 1))
        self.findings: tuple[Finding, ...] = ()
        self._split = chosen
        self._drawn = _allocate(chosen)

    def __len__(self) -> int:
        return self._split.num_images

    def image_id(self, index: int) -> int:
        """Return a number that is unique in the split."""
        return index + 1

    def image(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        """Return the image, RGB."""
        self._draw(index)
        image: NDArray[np.uint8] = self._drawn.images[index]
        return image

    def objects(self, index: int) -> Objects:
        """Return the objects with the part of each that is visible."""
        self._draw(index)
        owners = self._drawn.owners[index]
        classes = self._drawn.classes[index]
        present = np.flatnonzero(classes)
        bitmaps = tuple((owners == row + 1).view(np.uint8) for row in present)
        boxes = [_extent(bitmap) for bitmap in bitmaps]
        return Objects(
            boxes_px=np.array(boxes, dtype=np.float64).reshape(-1, 4),
            labels=classes[present].astype(np.int64) - 1,
            segments=bitmaps,
            is_crowd=np.zeros(len(present), dtype=bool),
            height=self._split.size,
            width=self._split.size,
        )

    def without_cell(self, side: int) -> tuple[Finding, ...]:
        """Return nothing: all objects are drawn large enough."""
        return ()

    def ground_truth(self) -> dict[str, object]:
        """Return the split in COCO's annotation format, masks as uncompressed RLE."""
        side = self._split.size
        annotations: list[dict[str, object]] = []
        for index in range(len(self)):
            objects = self.objects(index)
            for label, box, bitmap in zip(
                objects.labels, objects.boxes_px, objects.segments, strict=True
            ):
                assert not isinstance(bitmap, tuple)
                x0, y0, x1, y1 = box.tolist()
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": self.image_id(index),
                        "category_id": self.category_ids[label],
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "area": int(bitmap.sum()),
                        "iscrowd": 0,
                        "segmentation": {"size": [side, side], "counts": run_lengths(bitmap)},
                    }
                )
        names = zip(self.category_ids, self.classes, strict=True)
        return {
            "images": [
                {
                    "id": self.image_id(index),
                    "file_name": f"{self.image_id(index):06d}.png",
                    "width": side,
                    "height": side,
                }
                for index in range(len(self))
            ],
            "annotations": annotations,
            "categories": [{"id": number, "name": name} for number, name in names],
        }

    def __getstate__(self) -> dict[str, object]:
        """Return the state without the drawn images: another process draws its own."""
        return {**self.__dict__, "_drawn": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Restore, with nothing drawn yet."""
        self.__dict__.update(state)
        self._drawn = _allocate(self._split)

    def _draw(self, index: int) -> None:
        if not 0 <= index < len(self):
            raise IndexError(index)
        drawn = self._drawn
        if drawn.classes[index].any():  # written last, so the rest is there
            return
        split = self._split
        rng = np.random.default_rng([_STREAM_TAG, split.seed, split.stream, index])
        image, owners, labels = draw_scene(rng, split.size)
        drawn.images[index] = image
        drawn.owners[index] = owners
        drawn.classes[index, : len(labels)] = np.asarray(labels) + 1


def _allocate(split: ShapesSplit) -> _Images:
    n, side = split.num_images, split.size
    return _Images(_share((n, side, side, 3)), _share((n, side, side)), _share((n, MAX_OBJECTS)))


def _share(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return zeros that forked processes share; pages cost nothing until written."""
    buffer = mmap.mmap(-1, int(np.prod(shape)))
    return np.frombuffer(buffer, dtype=np.uint8).reshape(shape)


def _extent(bitmap: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    xs = np.flatnonzero(bitmap.any(axis=0))
    ys = np.flatnonzero(bitmap.any(axis=1))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1
