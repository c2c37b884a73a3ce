"""The header of a TIFF, whose structure EXIF data have too."""

from collections.abc import Mapping
from typing import NamedTuple

from yolact_bench.image_files.header_fields import BrokenError, Header
from yolact_bench.image_files.source import Source

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 262, 274
_SAMPLES, _EXTRA, _FORMAT = 277, 338, 339
_PARTS = ((273, 279), (324, 325))  # places and lengths, of strips or of tiles
_TYPE_BYTES = {1: 1, 3: 2, 4: 4, 16: 8}  # the whole numbers among the types
_MOST_FIELDS, _MOST_VALUES = 4096, 1 << 20
_GREY, _RGB, _PALETTE, _CMYK = {0, 1}, 2, 3, 5
_NUMBERS = {2: "signed", 3: "floating-point"}  # by sample format


class _Layout(NamedTuple):
    order: str
    is_big: bool  # BigTIFF: places of 8 bytes


def tiff_header(source: Source) -> Header:
    """Return the header of the first image of a TIFF.

    Raises:
        BrokenError: no size; or the list of fields lies beyond the end.

    Source: TIFF 6.0 (Adobe), sections 2 and 8; BigTIFF as libtiff documents it.
    """
    fields = _fields(source)
    width, height = _first(fields, _WIDTH, 0), _first(fields, _HEIGHT, 0)
    if not width or not height:
        raise BrokenError
    ends = [
        place + count
        for places, counts in _PARTS
        for place, count in zip(fields.get(places, ()), fields.get(counts, ()), strict=False)
    ]
    return Header(
        "tiff",
        width,
        height,
        _valid(_first(fields, _ORIENTATION, 1)),
        _mode(fields),
        max(fields.get(_BITS, (1,))),
        _NUMBERS.get(_first(fields, _FORMAT, 1), "unsigned"),
        max(ends, default=0) > source.size,
    )


def exif_orientation(content: bytes) -> int:
    """Return the orientation, 1 to 8, that EXIF data state; 1 if they do not, or are broken."""
    try:
        return _valid(_first(_fields(Source(content)), _ORIENTATION, 1))
    except BrokenError:
        return 1


def _valid(value: int) -> int:
    return value if 1 <= value <= 8 else 1


def _mode(fields: Mapping[int, tuple[int, ...]]) -> str:
    photometric, has_alpha = _first(fields, _PHOTOMETRIC, _RGB), _EXTRA in fields
    if photometric in _GREY:
        return "grey+alpha" if has_alpha else "grey"
    if photometric == _PALETTE:
        return "palette"
    if photometric == _CMYK:
        return "cmyk"
    return "rgba" if has_alpha and _first(fields, _SAMPLES, 3) > 3 else "rgb"


def _first(fields: Mapping[int, tuple[int, ...]], tag: int, default: int) -> int:
    return fields[tag][0] if fields.get(tag) else default


def _fields(source: Source) -> dict[int, tuple[int, ...]]:
    """Return tag → values of the first directory, of whole numbers alone."""
    order = "little" if source.at(0, 2) == b"II" else "big"
    layout = _Layout(order, source.number(2, 2, order) == 43)
    place = source.number(8, 8, order) if layout.is_big else source.number(4, 4, order)
    width, step = (8, 20) if layout.is_big else (2, 12)
    count = source.number(place, width, order)
    if not 0 < count <= _MOST_FIELDS or place + width + count * step > source.size:
        raise BrokenError
    fields = {}
    for number in range(count):
        entry = place + width + number * step
        fields[source.number(entry, 2, order)] = _values(source, entry, layout)
    return fields


def _values(source: Source, entry: int, layout: _Layout) -> tuple[int, ...]:
    word = 8 if layout.is_big else 4
    count = source.number(entry + 4, word, layout.order)
    width = _TYPE_BYTES.get(source.number(entry + 2, 2, layout.order), 0)
    if not width or count > _MOST_VALUES:
        return ()
    value = entry + 4 + word
    place = value if count * width <= word else source.number(value, word, layout.order)
    data = Source(source.at(place, count * width))
    return tuple(data.number(at, width, layout.order) for at in range(0, data.size, width))
