"""The list of images of a COCO file, checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yolact_bench.coco_fields import whole_number, with_keys
from yolact_bench.errors import Mistakes, SpecError
from yolact_bench.findings import IMAGE_SIZE, NUMBER, REPEATED_IMAGE, Findings

_KEYS = ("id", "file_name", "height", "width")
_FEDERATED = ("not_exhaustive_category_ids", "neg_category_ids")

# The width and height of the image file of a name, if it can be read.
SizeOf = Callable[[str], tuple[int, int] | None]


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An image as its annotation file describes it."""

    id: int
    file_name: str
    height: int
    width: int


def read_images(
    entries: Sequence[object], size_of: SizeOf, mistakes: Mistakes, findings: Findings
) -> tuple[ImageEntry, ...]:
    """Return the images of a file, each id once; what must be corrected is added to `mistakes`."""
    images: dict[int, ImageEntry] = {}
    for number, entry in enumerate(entries):
        where = f"images[{number}]"
        try:
            one = _image(where, entry, size_of, findings)
        except SpecError as error:
            mistakes.add(str(error))
            continue
        other = images.setdefault(one.id, one)
        if other is one:
            continue
        if other != one:
            mistakes.add(
                f"{where}: the id {one.id} is used twice, for {other.file_name} and "
                f"{one.file_name}; write one that is free, also in its annotations"
            )
            continue
        findings.add(REPEATED_IMAGE, f"image {one.id}", f"{one.file_name}, again in {where}")
    if not entries and not mistakes.count:
        mistakes.add("'images' is empty; list the images of this split there")
    if any(isinstance(one, dict) and any(key in one for key in _FEDERATED) for one in entries):
        mistakes.add(
            "its images have 'not_exhaustive_category_ids' or 'neg_category_ids', as in LVIS: not "
            "every object is annotated, and COCO's AP would count the others as false positives; "
            "evaluate on a set that is annotated exhaustively"
        )
    return tuple(images.values())


def _image(where: str, entry: object, size_of: SizeOf, findings: Findings) -> ImageEntry:
    """Return one entry.

    Raises:
        SpecError: no object, a key that is missing or a value that cannot be used.
    """
    if isinstance(entry, dict) and not _is_plain(entry):
        entry = _mend(where, entry, size_of, findings)
    one = with_keys(where, entry, _KEYS)
    return ImageEntry(one["id"], one["file_name"], one["height"], one["width"])


def _is_plain(entry: Mapping[str, Any]) -> bool:
    sides = (entry.get("height"), entry.get("width"))
    return type(entry.get("id")) is int and all(type(s) is int and s > 0 for s in sides)


def _mend(where: str, entry: dict[str, Any], size_of: SizeOf, findings: Findings) -> dict[str, Any]:
    """Return an entry with numbers where it has texts, and with the size of its file if need be."""
    one = dict(entry)
    for key in ("id", "height", "width"):
        number = whole_number(entry.get(key))
        if number is not None and number is not entry[key]:
            findings.add(NUMBER, where, f"{key} {entry[key]!r}")
            one[key] = number
    sides = [whole_number(one.get(key)) for key in ("width", "height")]
    if all(side is not None and side > 0 for side in sides):
        return one
    if type(name := one.get("file_name")) is str and (size := size_of(name)) is not None:
        findings.add(IMAGE_SIZE, where, f"{name}: {size[0]} x {size[1]} px")
        one["width"], one["height"] = size
    return one
