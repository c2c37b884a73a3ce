"""The list of annotations of a COCO file: what can be used of it, checked as a whole.

One file: what one annotation lets pass, all of them together may show to be wrong.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from yolact_bench.coco_fields import whole_number, with_keys
from yolact_bench.coco_file.columns import (
    Column,
    Columns,
    Object,
    ShapePool,
    columns_of,
    join,
    whole_numbers,
)
from yolact_bench.coco_file.entry import WrongValueError, lacks_mask, read_entry
from yolact_bench.coco_file.images import ImageEntry
from yolact_bench.coco_file.labels import Labels, shift_of
from yolact_bench.coco_file.plain import PlainEntries
from yolact_bench.coco_file.plausibility import OTHER_SIZE
from yolact_bench.coco_file.segmentation import OUTSIDE, UnusableError
from yolact_bench.errors import Mistakes, SpecError, word_list
from yolact_bench.findings import (
    LEFT_OUT,
    NEW_ID,
    NO_CATEGORY,
    NO_IMAGE,
    NUMBER,
    REPEATED_ANNOTATION,
    Findings,
)

_REFERENCES = ("image_id", "category_id")


_AT_ONCE = 4096  # objects that wait to become columns
_OTHER, _NONE = -1, -2  # in place of a label: of a category that is no class, of none


class ObjectReader:
    """Reads the annotations of a file; keeps what can be used, and why the rest cannot."""

    columns: Columns  # what can be used, with labels for categories

    def __init__(
        self,
        images: Sequence[ImageEntry],
        labels: Labels,
        pool: ShapePool,
        mistakes: Mistakes,
        findings: Findings,
    ) -> None:
        self._images, self._labels, self._pool = images, labels, pool
        self._mistakes, self._findings = mistakes, findings
        self._rows = {entry.id: row for row, entry in enumerate(images)}
        self._places: dict[int, int] = {}  # of each annotation id
        self._unknown: Counter[int] = Counter()  # category ids
        self._reasons: Counter[str] = Counter()  # of those that were left out
        self._maskless = self._orphans = 0

    def read(self, entries: Sequence[Any], plain: PlainEntries) -> None:
        """Read all annotations of a file, and number those whose ids are not their own.

        The clean ones are taken as they are; the others are read one by one.
        """
        parts, others, free = self._take(entries, plain)
        nameless: list[int] = []
        objects: list[Object] = []
        for one in self._read_each(others, entries):
            if one.id is None:
                nameless.append(one.place)
            objects.append(one)
            if len(objects) == _AT_ONCE:
                parts.append(columns_of(objects, self._pool))
                objects = []
        parts.append(columns_of(objects, self._pool))
        columns = join(parts)
        new_ids = whole_numbers(range(free, free + len(nameless)))
        if new_ids.dtype == object:
            columns = columns._replace(ids=columns.ids.astype(object))
        columns.ids[np.searchsorted(columns.places, nameless)] = new_ids
        self.columns = columns

    def _take(
        self, entries: Sequence[Any], plain: PlainEntries
    ) -> tuple[list[Columns], list[int], int]:
        """Return the clean ones of a class, the places of those to be read, and a free id.

        An id must be that of no other annotation: which of two it belongs to, the reading decides.
        """
        columns = plain.columns
        labels = _labels(columns.categories, self._labels)
        dicts = (entry for place in plain.others if isinstance(entry := entries[place], dict))
        ids = [id for entry in dicts if (id := whole_number(entry.get("id"))) is not None]
        every, counts = np.unique(
            np.concatenate((columns.ids, whole_numbers(ids))), return_counts=True
        )
        own = ~np.isin(columns.ids, every[counts > 1])
        taken = columns._replace(categories=labels).of(own & (labels >= 0))
        unread = columns.places[~own | (labels == _NONE)].tolist()
        free = int(every[-1]) + 1 if len(every) else 1
        return [taken], sorted(plain.others + unread), max(free, 1)

    def _read_each(self, places: Sequence[int], entries: Sequence[Any]) -> Iterator[Object]:
        for place in places:
            try:
                one = self._read(place, entries[place], entries)
            except (SpecError, WrongValueError) as error:
                self._mistakes.add(str(error))
                continue
            if one is not None:
                yield one

    def _read(self, place: int, entry: object, entries: Sequence[Any]) -> Object | None:
        image_id, category = self._references(place, entry)
        assert isinstance(entry, dict)
        where = f"image {image_id}: annotation {entry.get('id', f'at place {place}')}"
        own_id, is_repeated = self._own_id(place, entry, entries, where)
        row = self._rows.get(image_id)
        if row is None:
            self._orphans += 1
            self._findings.add(NO_IMAGE, where, f"no image has the id {image_id}")
            return None
        label = self._labels.of_category.get(category)
        if label is None:
            if category not in self._labels.others:
                self._unknown[category] += 1
                self._findings.add(NO_CATEGORY, where, f"no category has the id {category}")
            return None
        if is_repeated:
            return None
        image = self._images[row]
        try:
            one = read_entry(entry, image.height, image.width)
        except UnusableError as error:
            self._reasons[str(error)] += 1
            self._maskless += lacks_mask(error)
            self._findings.add(LEFT_OUT, where, str(error))
            return None
        except WrongValueError as error:
            raise WrongValueError(f"{_place_of(place, entry)}: {error}") from error
        for kind, text in one.repairs:
            self._findings.add(kind, where, text)
        return Object(place, own_id, row, label, one)

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
        elif total > len(self.columns.places):
            self._mistakes.add(
                f"{total} annotations, most of them, have a category_id that no category has "
                f"({numbers}); add these categories, or remove the annotations"
            )

    def check_use(self, classes: Sequence[str]) -> None:
        """Check that there is something to learn and to score."""
        crowds, total = int(self.columns.is_crowd.sum()), len(self.columns.places)
        if total and crowds == total:
            self._mistakes.add(
                f"all {crowds} usable annotations have iscrowd 1: crowd regions are neither learnt "
                "nor scored; write 0 for single objects"
            )
        outside = self._reasons[OUTSIDE]
        if outside and outside >= total:
            text = f"{outside} of {outside + total} annotations are outside their images"
            self._mistakes.add(f"{text}; {OTHER_SIZE}")
        if total or outside:
            return
        if self._maskless and self._maskless == self._reasons.total():
            self._mistakes.add(
                f"boxes only: none of {self._maskless} annotations has a segmentation: this is a "
                "detection set; export it with masks (instance segmentation)"
            )
            return
        if self._orphans and not self._reasons:
            self._mistakes.add(
                f"none of {self._orphans} annotations is of an image that is listed; their "
                "image_id must be the id of one"
            )
            return
        counts = [f"{number} {reason}" for reason, number in self._reasons.most_common()]
        reasons = f" ({self._reasons.total()} left out: {', '.join(counts)})" if counts else ""
        self._mistakes.add(
            f"no usable annotation of the classes {word_list(classes)}{reasons}; annotate objects "
            "of them, or name other classes in dataset.yaml"
        )


def _labels(categories: Column, labels: Labels) -> Column:
    """Return the label of each category id."""
    every, at = np.unique(categories, return_inverse=True)
    known = {**dict.fromkeys(labels.others, _OTHER), **labels.of_category}
    of_each = [known.get(int(category), _NONE) for category in every]
    return np.array(of_each, dtype=np.int64)[at]


def _place_of(place: int, entry: object) -> str:
    """Return where in the file an annotation is."""
    own_id = f": annotation {entry['id']}" if isinstance(entry, dict) and "id" in entry else ""
    return f"annotations[{place}]{own_id}"
