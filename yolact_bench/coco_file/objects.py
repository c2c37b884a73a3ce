"""The list of annotations of a COCO file: what can be used of it, checked as a whole.

One file: what one annotation lets pass, all of them together may show to be wrong.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from yolact_bench.coco_fields import whole_number, with_keys
from yolact_bench.coco_file.entry import (
    Entry,
    WrongValueError,
    box_around,
    lacks_mask,
    read_entry,
)
from yolact_bench.coco_file.images import ImageEntry
from yolact_bench.coco_file.labels import Labels, shift_of
from yolact_bench.coco_file.plausibility import Geometry, doubts_of, mistaken_coordinates
from yolact_bench.coco_file.segmentation import Corners, UnusableError
from yolact_bench.errors import Mistakes, SpecError, word_list
from yolact_bench.findings import (
    AREA_DIFFERS,
    BOX,
    BOX_DIFFERS,
    LEFT_OUT,
    NEW_ID,
    NO_CATEGORY,
    NO_IMAGE,
    NUMBER,
    REPEATED_ANNOTATION,
    Findings,
)

_REFERENCES = ("image_id", "category_id")


class Object(NamedTuple):
    """An annotation that can be used, and where it belongs."""

    id: int | None  # None until a free number is known for it
    row: int  # of its image
    label: int
    entry: Entry
    box: Corners  # x, y, width and height, px


class ObjectReader:
    """Reads annotation after annotation; keeps what can be used, and why the rest cannot."""

    def __init__(
        self,
        images: tuple[ImageEntry, ...],
        labels: Labels,
        mistakes: Mistakes,
        findings: Findings,
    ) -> None:
        self._images, self._labels = images, labels
        self._mistakes, self._findings = mistakes, findings
        self._rows = {entry.id: row for row, entry in enumerate(images)}
        self._places: dict[int, int] = {}  # of each annotation id
        self._unknown: Counter[int] = Counter()  # category ids
        self._reasons: Counter[str] = Counter()  # of those that were left out
        self._maskless = 0
        self._objects: list[Object] = []

    def read(self, entries: Sequence[Any]) -> None:
        """Read all annotations of a file, and number those whose ids are not their own."""
        for place, entry in enumerate(entries):
            try:
                self._read(place, entry, entries)
            except (SpecError, WrongValueError) as error:
                self._mistakes.add(str(error))
        free = max(self._places, default=0) + 1
        for at, one in enumerate(self._objects):
            if one.id is None:
                self._objects[at] = one._replace(id=free)
                free += 1

    def _read(self, place: int, entry: dict[str, Any], entries: Sequence[Any]) -> None:
        image_id, category = self._references(place, entry)
        where = f"image {image_id}: annotation {entry.get('id', f'at place {place}')}"
        own_id, is_repeated = self._own_id(place, entry, entries, where)
        row = self._rows.get(image_id)
        if row is None:
            self._findings.add(NO_IMAGE, where, f"no image has the id {image_id}")
            return
        label = self._labels.of_category.get(category)
        if label is None:
            if category not in self._labels.others:
                self._unknown[category] += 1
                self._findings.add(NO_CATEGORY, where, f"no category has the id {category}")
            return
        if is_repeated:
            return
        image = self._images[row]
        try:
            one = read_entry(entry, image.height, image.width)
        except UnusableError as error:
            self._reasons[str(error)] += 1
            self._maskless += lacks_mask(error)
            self._findings.add(LEFT_OUT, where, str(error))
            return
        except WrongValueError as error:
            raise WrongValueError(f"{_place_of(place, entry)}: {error}") from error
        for kind, text in one.repairs:
            self._findings.add(kind, where, text)
        self._objects.append(Object(own_id, row, label, one, one.box))

    def _references(self, place: int, entry: object) -> tuple[int, int]:
        """Return the ids of an annotation's image and category.

        Raises:
            SpecError: there are none.
        """
        if isinstance(entry, dict):
            numbers = {key: whole_number(entry.get(key)) for key in _REFERENCES}
            texts = [
                f"{key} {entry[key]!r}"
                for key, number in numbers.items()
                if number is not None and type(entry[key]) is not int
            ]
            if texts:
                self._findings.add(NUMBER, _place_of(place, entry), ", ".join(texts))
                entry = entry | {key: one for key, one in numbers.items() if one is not None}
        one = with_keys(_place_of(place, entry), entry, _REFERENCES)
        return one["image_id"], one["category_id"]

    def _own_id(
        self, place: int, entry: dict[str, Any], entries: Sequence[Any], where: str
    ) -> tuple[int | None, bool]:
        """Return the id of an annotation, None if it needs one, and whether it is a repetition."""
        own_id = whole_number(entry.get("id"))
        if own_id is None:
            self._findings.add(NEW_ID, where, f"id {entry['id']!r}" if "id" in entry else "no id")
            return None, False
        other = self._places.setdefault(own_id, place)
        if other == place:
            if type(entry["id"]) is not int:
                self._findings.add(NUMBER, where, f"id {entry['id']!r}")
            return own_id, False
        if entries[other] == entry:
            self._findings.add(REPEATED_ANNOTATION, where, f"annotations[{place}]")
            return own_id, True
        self._findings.add(NEW_ID, where, f"the id {own_id} is used twice")
        return None, False

    def check_categories(self, used: frozenset[int]) -> None:
        """Check that categories that are not listed are slips, not another way of counting."""
        if not self._unknown:
            return
        by, total = shift_of(self._unknown, used, self._labels), self._unknown.total()
        numbers = word_list([str(number) for number in sorted(self._unknown)])
        if by:
            self._mistakes.add(
                f"{total} annotations have a category_id that no category has ({numbers}); all of "
                f"them look {'smaller' if by > 0 else 'larger'} by 1 than the ids of the "
                "categories; count both from the same number"
            )
        elif total > len(self._objects):
            self._mistakes.add(
                f"{total} annotations, most of them, have a category_id that no category has "
                f"({numbers}); add these categories, or remove the annotations"
            )

    def check_use(self, classes: Sequence[str]) -> None:
        """Check that there is something to learn and to score."""
        crowds = sum(one.entry.is_crowd for one in self._objects)
        if self._objects and crowds == len(self._objects):
            self._mistakes.add(
                f"all {crowds} usable annotations have iscrowd 1: crowd regions are neither learnt "
                "nor scored; write 0 for single objects"
            )
        if self._objects:
            return
        if self._maskless and self._maskless == self._reasons.total():
            self._mistakes.add(
                f"boxes only: none of {self._maskless} annotations has a segmentation: this is a "
                "detection set; export it with masks (instance segmentation)"
            )
            return
        counts = [f"{number} {reason}" for reason, number in self._reasons.most_common()]
        reasons = f" ({self._reasons.total()} left out: {', '.join(counts)})" if counts else ""
        self._mistakes.add(
            f"no usable annotation of the classes {word_list(classes)}{reasons}; annotate objects "
            "of them, or name other classes in dataset.yaml"
        )

    def compare_with_masks(self) -> tuple[Object, ...]:
        """Return all objects, boxes that have nothing in common with masks being replaced."""
        objects = self._objects
        sizes = [(self._images[one.row].width, self._images[one.row].height) for one in objects]
        single = [at for at, one in enumerate(objects) if not one.entry.is_crowd]
        missing = (np.nan,) * 4
        geometry = Geometry(
            np.array([objects[at].entry.raw_box or missing for at in single]).reshape(-1, 4),
            np.array([objects[at].entry.extent for at in single], float).reshape(-1, 4),
            np.array([sizes[at] for at in single], float).reshape(-1, 2),
        )
        if text := mistaken_coordinates(geometry):
            self._mistakes.add(text)
            return tuple(objects)
        doubts = doubts_of(
            geometry,
            [objects[at].entry.area for at in single],
            [objects[at].entry.mask_area for at in single],
        )
        for rows, kind in ((doubts.apart, BOX), (doubts.far, BOX_DIFFERS)):
            for at in (single[row] for row in rows):
                self._doubt_box(at, kind)
        for one in (objects[single[row]] for row in doubts.areas):
            of_box = (
                " (that of the box)"
                if math.isclose(one.entry.area, one.box[2] * one.box[3])
                else ""
            )
            text = f"area {one.entry.area:g}{of_box}, where the mask has {one.entry.mask_area:g}"
            self._findings.add(AREA_DIFFERS, self._place(one), text)
        return tuple(objects)

    def _doubt_box(self, at: int, kind: str) -> None:
        """Add a box that is far from its mask; one that is apart from it is replaced."""
        one = self._objects[at]
        if one.box != one.entry.raw_box:  # it has been replaced already
            return
        around = box_around(one.entry.extent)
        text = f"bbox {_numbers(one.box)}, where the mask is in {_numbers(around)}"
        self._findings.add(kind, self._place(one), text)
        if kind == BOX:
            self._objects[at] = one._replace(box=around)

    def _place(self, one: Object) -> str:
        return f"image {self._images[one.row].id}: annotation {one.id}"


def _place_of(place: int, entry: object) -> str:
    """Return where in the file an annotation is."""
    own_id = f": annotation {entry['id']}" if isinstance(entry, dict) and "id" in entry else ""
    return f"annotations[{place}]{own_id}"


def _numbers(values: Corners) -> str:
    return f"[{', '.join(f'{value:.5g}' for value in values)}]"
