"""A COCO annotation file, read once: for training, for scoring and for every comparison.

One file: what is read of an entry, what is kept of it and what scoring gets must agree.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolact_bench.coco_fields import entries_of, read_coco
from yolact_bench.coco_file.images import ImageEntry, SizeOf, read_images
from yolact_bench.coco_file.labels import read_labels
from yolact_bench.coco_file.objects import Object, ObjectReader
from yolact_bench.coco_file.segmentation import Outlines
from yolact_bench.data.objects import Objects, Segment, from_run_lengths
from yolact_bench.dataset_spec.categories import used_categories
from yolact_bench.errors import Mistakes
from yolact_bench.findings import MANY_OBJECTS, Finding, Findings

_MOST_OBJECTS = 100  # detections of an image that COCO's scores count


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """The usable content of an annotation file."""

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: tuple[ImageEntry, ...]
    findings: tuple[Finding, ...]
    _objects: tuple[Object, ...]  # in the order of the file
    _of_image: tuple[tuple[int, ...], ...]  # places in it, crowds last

    def objects(self, index: int) -> Objects:
        """Return the objects of an image."""
        image, objects = self.images[index], [self._objects[at] for at in self._of_image[index]]
        corners = [(x, y, x + w, y + h) for x, y, w, h in (one.box for one in objects)]
        return Objects(
            boxes_px=np.array(corners, dtype=np.float64).reshape(-1, 4),
            labels=np.array([one.label for one in objects], dtype=np.int64),
            segments=tuple(_segment(one.entry.outlines, image) for one in objects),
            is_crowd=np.array([one.entry.is_crowd for one in objects], dtype=bool),
            height=image.height,
            width=image.width,
        )

    def ground_truth(self) -> dict[str, object]:
        """Return what was read, in COCO's format: scoring counts what could be learnt."""
        categories = zip(self.category_ids, self.classes, strict=True)
        return {
            "images": [
                {"id": one.id, "file_name": one.file_name, "height": one.height, "width": one.width}
                for one in self.images
            ],
            "annotations": [self._annotation(one) for one in self._objects],
            "categories": [{"id": number, "name": name} for number, name in categories],
        }

    def _annotation(self, one: Object) -> dict[str, object]:
        image, outlines = self.images[one.row], one.entry.outlines
        shape: object
        if isinstance(outlines, tuple):
            shape = [outline.tolist() for outline in outlines]
        else:
            shape = {"size": [image.height, image.width], "counts": outlines.tolist()}
        return {
            "id": one.id,
            "image_id": image.id,
            "category_id": self.category_ids[one.label],
            "bbox": list(one.box),
            "area": one.entry.area,
            "iscrowd": int(one.entry.is_crowd),
            "segmentation": shape,
            **({"ignore": 1} if one.entry.is_ignored else {}),
        }


def read_annotations(
    path: Path, classes: Sequence[str], *, subset: bool, split: str, size_of: SizeOf
) -> Annotations:
    """Return the annotations of `classes` in a COCO-format file; label i is the i-th class.

    With `subset` other categories are left out, otherwise none may have annotations. A file of
    test images need not annotate anything, and only the one for training must have every class.
    `size_of` is used for images whose size the file does not state.

    Raises:
        SpecError: malformed JSON, or values, ids, classes or coordinates that must be corrected;
            all of them in one message. Or nothing in it can be used.
    """
    content = read_coco(path)
    mistakes, findings = Mistakes(path), Findings()
    images = read_images(entries_of(content, "images", mistakes), size_of, mistakes, findings)
    is_annotated = split != "test"
    optional = not is_annotated and "annotations" not in content
    entries = [] if optional else entries_of(content, "annotations", mistakes)
    used = used_categories(entries)
    labels = read_labels(
        entries_of(content, "categories", mistakes),
        classes,
        used,
        subset=subset,
        may_lack=split != "train",
        mistakes=mistakes,
        findings=findings,
    )
    reader = ObjectReader(images, labels, mistakes, findings)
    reader.read(entries)
    reader.check_categories(used)
    if is_annotated and not mistakes.count:
        reader.check_use(classes)
    objects = reader.compare_with_masks()
    mistakes.raise_any()
    return Annotations(
        classes=tuple(classes),
        category_ids=labels.category_ids,
        images=images,
        _objects=objects,
        _of_image=_places(objects, images, findings),
        findings=findings.all(),
    )


def _places(
    objects: Sequence[Object], images: Sequence[ImageEntry], findings: Findings
) -> tuple[tuple[int, ...], ...]:
    """Return the places of the objects of each image, crowds last."""
    places: list[list[int]] = [[] for _ in images]
    for place, one in enumerate(objects):
        places[one.row].append(place)
    singles = Counter(one.row for one in objects if not one.entry.is_crowd)
    for row, number in singles.items():
        if number > _MOST_OBJECTS:
            findings.add(MANY_OBJECTS, f"image {images[row].id}", f"{number} objects")
    return tuple(tuple(sorted(of, key=lambda at: objects[at].entry.is_crowd)) for of in places)


def _segment(outlines: Outlines, image: ImageEntry) -> Segment:
    if isinstance(outlines, tuple):
        # Networks have learnt from coordinates of this precision.
        drawn = (outline.astype(np.float32) for outline in outlines)
        return tuple(outline.astype(np.float64).reshape(-1, 2) for outline in drawn)
    return from_run_lengths(outlines, image.height, image.width)
