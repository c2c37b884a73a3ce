"""A COCO annotation file, read once: for training, for scoring and for every comparison.

One file: what is read of an entry, what is kept of it and what scoring gets must agree.
"""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

import yolact_bench
from yolact_bench.coco_content import entries_of, read_coco
from yolact_bench.coco_file.columns import ShapePool
from yolact_bench.coco_file.doubts import compare_with_masks
from yolact_bench.coco_file.images import ImageEntry, SizeOf, read_images
from yolact_bench.coco_file.labels import read_labels
from yolact_bench.coco_file.objects import ObjectReader
from yolact_bench.coco_file.plain import read_plain
from yolact_bench.data.objects import Objects
from yolact_bench.data.packed import (
    PackedImages,
    PackedObjects,
    arrays_of,
    pack_images,
    pack_objects,
    unpack,
)
from yolact_bench.dataset_spec.categories import used_categories
from yolact_bench.errors import Mistakes
from yolact_bench.file_cache import Entry, remember
from yolact_bench.findings import (
    EMPTY_CLASS,
    IMAGE_SIZE,
    MANY_OBJECTS,
    NO_CELL,
    Finding,
    Findings,
)

# Beside the package `coco_file`: what decides how a file is read and kept.
_READERS = (
    *("coco_content.py", "coco_fields.py", "findings.py", "json_file.py"),
    *("data/annotations.py", "data/packed.py", "dataset_spec/categories.py"),
)
_MOST_OBJECTS = 100  # detections of a class in an image that COCO's scores count


class Annotations:
    """The usable content of an annotation file; another process maps the same memory if it can."""

    def __init__(self, classes: Sequence[str], entry: Entry) -> None:
        self._entry = entry
        self.classes = tuple(classes)
        self.category_ids: tuple[int, ...] = tuple(entry.facts["category_ids"])
        self.findings = tuple(
            Finding(kind=kind, where=where, text=text, count=count)
            for kind, where, text, count in entry.facts["findings"]
        )
        self.images = unpack(PackedImages, entry.arrays)
        self._objects = unpack(PackedObjects, entry.arrays)

    def __reduce__(self) -> tuple[type["Annotations"], tuple[tuple[str, ...], Entry]]:
        return Annotations, (self.classes, self._entry)

    def objects(self, index: int) -> Objects:
        """Return the objects of an image."""
        height, width = self.images.sizes[index].tolist()
        return self._objects.of_image(index, height, width)

    def without_cell(self, side: int) -> tuple[Finding, ...]:
        """Return the objects too small for masks of `side` cells a side; crowds are not learnt.

        An image is stretched to the square of a mask, which is 1 where the centre of a cell is in
        the object; of a box without the centre of any cell no mask can be learnt.
        """
        packed, findings = self._objects, Findings()
        sizes = np.array([(one.width, one.height) for one in self.images], np.float64)
        low = packed.boxes[:, :2] * side / sizes[packed.rows]
        high = low + packed.boxes[:, 2:] * side / sizes[packed.rows]
        is_empty = (np.ceil(low - 0.5) > np.ceil(high - 0.5) - 1).any(1) & ~packed.is_crowd
        for at in np.flatnonzero(is_empty).tolist():
            width, height = packed.boxes[at, 2:].tolist()
            where = f"image {self.images[int(packed.rows[at])].id}: annotation {packed.ids[at]}"
            findings.add(NO_CELL, where, f"{width:.3g} x {height:.3g} px, at {side} cells a side")
        return findings.all()

    def ground_truth(self, files: Mapping[str, str] = MappingProxyType({})) -> dict[str, object]:
        """Return what was read, in COCO's format: scoring counts what could be learnt.

        `files` are those of images whose name there is another.
        """
        categories = zip(self.category_ids, self.classes, strict=True)
        names = ((one, files.get(one.file_name, one.file_name)) for one in self.images)
        return {
            "images": [
                {"id": one.id, "file_name": name, "height": one.height, "width": one.width}
                for one, name in names
            ],
            "annotations": list(self._annotations()),
            "categories": [{"id": number, "name": name} for number, name in categories],
        }

    def _annotations(self) -> Iterator[dict[str, object]]:
        packed, images = self._objects, list(self.images)
        columns = zip(
            packed.ids.tolist(),
            packed.rows.tolist(),
            packed.labels.tolist(),
            packed.boxes.tolist(),
            packed.areas.tolist(),
            packed.is_crowd.tolist(),
            packed.is_ignored.tolist(),
            strict=True,
        )
        for place, (own_id, row, label, box, area, is_crowd, is_ignored) in enumerate(columns):
            image, shape = images[row], [one.tolist() for one in packed.outlines(place)]
            runs = packed.run_lengths(place).tolist()
            yield {
                "id": own_id,
                "image_id": image.id,
                "category_id": self.category_ids[label],
                "bbox": box,
                "area": area,
                "iscrowd": int(is_crowd),
                "segmentation": shape or {"size": [image.height, image.width], "counts": runs},
                **({"ignore": 1} if is_ignored else {}),
            }


def read_annotations(
    path: Path,
    classes: Sequence[str],
    *,
    subset: bool,
    split: str,
    size_of: SizeOf,
    cache: Path | None = None,
) -> Annotations:
    """Return the annotations of `classes` in a COCO-format file; label i is the i-th class.

    With `subset` other categories are left out, otherwise none may have annotations. A file of
    test images need not annotate anything, and only the one for training must have every class.
    `size_of` is used for images whose size the file does not state. The folder `cache` keeps what
    was read of a large file.

    Raises:
        SpecError: malformed JSON, or values, ids, classes or coordinates that must be corrected;
            all of them in one message. Or nothing in it can be used.
    """

    def read() -> Entry:
        return _read(path, classes, subset=subset, split=split, size_of=size_of)

    options = [list(classes), subset, split]
    entry = remember(cache, "annotations", path, read, version=_version(), options=options)
    return Annotations(classes, entry)


@functools.cache
def _version() -> str:
    """Return a digest of the code that reads: after a change, what is kept is read again."""
    folder = Path(yolact_bench.__file__).parent
    files = [*sorted((folder / "coco_file").glob("*.py")), *(folder / name for name in _READERS)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _read(
    path: Path, classes: Sequence[str], *, subset: bool, split: str, size_of: SizeOf
) -> Entry:
    content = read_coco(path)
    mistakes, findings = Mistakes(path), Findings()
    images = read_images(entries_of(content, "images", mistakes), size_of, mistakes, findings)
    is_annotated = split != "test"
    optional = not is_annotated and "annotations" not in content
    entries = [] if optional else entries_of(content, "annotations", mistakes)
    pool = ShapePool()
    plain = read_plain(entries, images, pool)
    used = frozenset(plain.columns.categories.tolist()) | used_categories(
        entries[place] for place in plain.others
    )
    labels = read_labels(
        entries_of(content, "categories", mistakes),
        classes,
        used,
        subset=subset,
        may_lack=split != "train",
        mistakes=mistakes,
        findings=findings,
    )
    reader = ObjectReader(images, labels, pool, mistakes, findings)
    reader.read(entries, plain)
    reader.check_categories(used)
    if is_annotated and not mistakes.count:
        reader.check_use(classes)
    compare_with_masks(reader.columns, images, mistakes, findings)
    mistakes.raise_any()
    objects = pack_objects(reader.columns, pool.shapes(), len(images))
    _note_crowded_images(objects, images, classes, findings)
    if split == "train":
        _note_empty_classes(objects, classes, findings)
    listed = findings.all()
    return Entry(
        facts={
            "category_ids": labels.category_ids,
            "findings": [[one.kind, one.where, one.text, one.count] for one in listed],
        },
        arrays={**arrays_of(pack_images(images)), **arrays_of(objects)},
        lasts=all(one.kind != IMAGE_SIZE for one in listed),
    )


def _note_empty_classes(objects: PackedObjects, classes: Sequence[str], findings: Findings) -> None:
    counts = np.bincount(objects.labels[~objects.is_crowd], minlength=len(classes))
    for label in np.flatnonzero(counts == 0).tolist():
        findings.add(EMPTY_CLASS, f"class {classes[label]}", "no single object")


def _note_crowded_images(
    objects: PackedObjects,
    images: Sequence[ImageEntry],
    classes: Sequence[str],
    findings: Findings,
) -> None:
    pairs = np.stack((objects.rows, objects.labels))[:, ~objects.is_crowd]
    (rows, labels), counts = np.unique(pairs, axis=1, return_counts=True)
    for at in np.flatnonzero(counts > _MOST_OBJECTS).tolist():
        text = f"{counts[at]} objects of class {classes[labels[at]]}"
        findings.add(MANY_OBJECTS, f"image {images[int(rows[at])].id}", text)
