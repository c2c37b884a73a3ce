"""A COCO annotation file, checked and packed into flat arrays.

One file: what is checked of an entry and what is kept of it must agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolact_bench.coco_fields import entries_of, read_coco, with_keys
from yolact_bench.data.objects import Objects, Segment, from_run_lengths
from yolact_bench.data.segmentation import Outlines, UnusableError, packed_segmentation, usable_box
from yolact_bench.errors import SpecError, hint, word_list
from yolact_bench.findings import LEFT_OUT, Finding

_IMAGE_KEYS = ("id", "file_name", "height", "width")
_ANNOTATION_KEYS = ("id", "image_id", "category_id", "bbox", "segmentation")


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An image as its annotation file describes it."""

    id: int
    file_name: str
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class _Object:
    label: int
    is_crowd: bool
    box: tuple[float, float, float, float]  # corners, px
    outlines: Outlines


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """The usable content of an annotation file."""

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: tuple[ImageEntry, ...]
    findings: tuple[Finding, ...]
    left_out: frozenset[int]  # ids of annotations
    areas: Mapping[int, float]  # by annotation id, of those that state none
    _objects: tuple[tuple[_Object, ...], ...]  # per image, crowds last

    def objects(self, index: int) -> Objects:
        """Return the objects of an image."""
        entry, objects = self.images[index], self._objects[index]
        return Objects(
            boxes_px=np.array([one.box for one in objects], dtype=np.float64).reshape(-1, 4),
            labels=np.array([one.label for one in objects], dtype=np.int64),
            segments=tuple(_segment(one.outlines, entry) for one in objects),
            is_crowd=np.array([one.is_crowd for one in objects], dtype=bool),
            height=entry.height,
            width=entry.width,
        )


def read_annotations(
    path: Path, classes: Sequence[str], *, subset: bool, annotated: bool
) -> Annotations:
    """Return the annotations of `classes` in a COCO-format file; label i is the i-th class.

    With `subset` other categories are left out, otherwise the file may have no others. Without
    `annotated` (test images) the file need not annotate anything.

    Raises:
        SpecError: malformed JSON, missing keys, values that scoring cannot use, repeated or
            unknown ids, a class that the file does not have, or no usable annotation.
    """
    content = read_coco(path)
    images = _images(path, entries_of(path, content, "images"))
    category_ids, others = _categories(path, content, classes, subset=subset)
    optional = not annotated and "annotations" not in content
    entries = [] if optional else entries_of(path, content, "annotations")
    packer = _Packer(path, images, category_ids, others)
    for number, entry in enumerate(entries):
        packer.add(number, entry)
    if annotated and not packer.usable:
        left_out = packer.findings
        reasons = f" ({len(left_out)} left out, the first: {left_out[0].text})" if left_out else ""
        raise SpecError(
            f"{path}: no usable annotation of the classes {word_list(classes)}{reasons}; annotate "
            "objects of them, or name other classes in dataset.yaml"
        )
    return Annotations(
        classes=tuple(classes),
        category_ids=category_ids,
        images=images,
        findings=tuple(packer.findings),
        left_out=frozenset(packer.left_out),
        areas=packer.areas,
        _objects=tuple(tuple(sorted(of, key=lambda one: one.is_crowd)) for of in packer.objects),
    )


class _Packer:
    """Collects the usable annotations image by image, and the reasons of the others."""

    def __init__(
        self,
        path: Path,
        images: tuple[ImageEntry, ...],
        category_ids: tuple[int, ...],
        others: frozenset[int],
    ) -> None:
        self.objects: list[list[_Object]] = [[] for _ in images]
        self.findings: list[Finding] = []
        self.left_out: list[int] = []
        self.areas: dict[int, float] = {}
        self.usable = 0
        self._path = path
        self._images = images
        self._rows = {entry.id: row for row, entry in enumerate(images)}
        self._labels = {number: label for label, number in enumerate(category_ids)}
        self._others = others
        self._seen: set[int] = set()

    def add(self, number: int, entry: object) -> None:
        """Add the annotation at place `number` of the file."""
        where = f"{self._path}: annotations[{number}]"
        if isinstance(entry, dict) and "id" in entry:
            where += f": annotation {entry['id']}"
        one = with_keys(where, entry, _ANNOTATION_KEYS)
        annotation_id, image_id, category = one["id"], one["image_id"], one["category_id"]
        if annotation_id in self._seen:
            raise SpecError(f"{where}: another has this id; write one that is free")
        self._seen.add(annotation_id)
        if image_id not in self._rows:
            raise SpecError(
                f"{where}: no image has the id {image_id}; add it, or remove the annotation"
            )
        if category in self._others:
            return
        if category not in self._labels:
            raise SpecError(
                f"{where}: no category has the id {category}; add it to the file's categories, or "
                "remove the annotation"
            )
        row = self._rows[image_id]
        image = self._images[row]
        try:
            box = usable_box(one["bbox"], image.height, image.width)
            outlines, area = packed_segmentation(one["segmentation"], image.height, image.width)
        except UnusableError as error:
            place = f"image {image_id}: annotation {annotation_id}"
            self.findings.append(Finding(kind=LEFT_OUT, where=place, text=str(error)))
            self.left_out.append(annotation_id)
            return
        with_keys(where, one, [key for key in ("iscrowd", "area") if key in one])
        if "area" not in one:
            self.areas[annotation_id] = area
        crowd = bool(one.get("iscrowd", 0))
        self.objects[row].append(_Object(self._labels[category], crowd, box, outlines))
        self.usable += 1


def _images(path: Path, entries: list[Any]) -> tuple[ImageEntry, ...]:
    images: list[ImageEntry] = []
    seen: set[int] = set()
    for number, entry in enumerate(entries):
        where = f"{path}: images[{number}]"
        one = with_keys(where, entry, _IMAGE_KEYS)
        if one["id"] in seen:
            raise SpecError(f"{where}: the id {one['id']} is used twice; write one that is free")
        seen.add(one["id"])
        images.append(ImageEntry(one["id"], one["file_name"], one["height"], one["width"]))
    if not images:
        raise SpecError(f"{path}: 'images' is empty; list the images of this split there")
    return tuple(images)


def _categories(
    path: Path, content: Mapping[str, Any], classes: Sequence[str], *, subset: bool
) -> tuple[tuple[int, ...], frozenset[int]]:
    """Return the category id of each class, and the ids that are to be left out."""
    ids: dict[str, int] = {}
    for number, entry in enumerate(entries_of(path, content, "categories")):
        where = f"{path}: categories[{number}]"
        one = with_keys(where, entry, ("id", "name"))
        if one["name"] in ids or one["id"] in ids.values():
            raise SpecError(
                f"{where}: the name {one['name']!r} or the id {one['id']} is used twice; write "
                "another, or remove the category"
            )
        ids[str(one["name"])] = one["id"]
    for name in classes:
        if name not in ids:
            raise SpecError(f"{path}: no category is named {name!r}{hint(name, ids)}")
    others = [name for name in ids if name not in classes]
    if others and not subset:
        raise SpecError(
            f"{path}: categories beside those of the data set: {', '.join(others)}; "
            "name the wanted ones under 'classes' in dataset.yaml"
        )
    return tuple(ids[name] for name in classes), frozenset(ids[name] for name in others)


def _segment(outlines: Outlines, entry: ImageEntry) -> Segment:
    if isinstance(outlines, tuple):
        return tuple(outline.astype(np.float64).reshape(-1, 2) for outline in outlines)
    return from_run_lengths(outlines, entry.height, entry.width)
