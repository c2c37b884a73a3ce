"""The header of a PNG."""

from collections.abc import Iterator

from yolact_bench.image_files.header_fields import MOST_PARTS, BrokenError, Header
from yolact_bench.image_files.source import Source
from yolact_bench.image_files.tiff import exif_orientation

_MODES = {0: "grey", 2: "rgb", 3: "palette", 4: "grey+alpha", 6: "rgba"}
_FIRST_CHUNK = 8  # behind the signature
_NEAR_END = 64  # bytes: the last chunk has 12


def png_header(source: Source) -> Header:
    """Return the header of a PNG. Whatever lies behind its last chunk is nothing to a decoder.

    Raises:
        BrokenError: the first chunk is not whole, or not a header.

    Source: Portable Network Graphics, third edition (W3C), sections 5.3 and 11.2.1.
    """
    first = source.at(_FIRST_CHUNK, 25)
    if len(first) < 25 or first[4:8] != b"IHDR":
        raise BrokenError
    ends = b"IEND" in source.at(source.size - _NEAR_END, _NEAR_END) or _ends(source)
    return Header(
        "png",
        int.from_bytes(first[8:12], "big"),
        int.from_bytes(first[12:16], "big"),
        _orientation(source),
        _MODES.get(first[17], "rgb"),
        first[16],
        is_truncated=not ends,
    )


def _ends(source: Source) -> bool:
    """Return whether the chunks lead to a last one, of which nothing is missing."""
    return any(kind == b"IEND" for _, _, kind in _chunks(source))


def _orientation(source: Source) -> int:
    """Return the orientation of an EXIF chunk before the picture."""
    for place, length, kind in _chunks(source):
        if kind == b"IDAT":
            break
        if kind == b"eXIf":
            return exif_orientation(source.at(place + 8, min(length, 1 << 16)))
    return 1


def _chunks(source: Source) -> Iterator[tuple[int, int, bytes]]:
    """Yield place, length and kind of each chunk that begins before the end."""
    place = _FIRST_CHUNK
    for _ in range(MOST_PARTS):
        if place + 12 > source.size:
            return
        length = source.number(place, 4)
        yield place, length, source.at(place + 4, 4)
        place += 12 + length
