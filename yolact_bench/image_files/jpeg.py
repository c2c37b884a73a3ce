"""The header of a JPEG."""

from yolact_bench.image_files.header_fields import MOST_PARTS, BrokenError, Header
from yolact_bench.image_files.source import Source
from yolact_bench.image_files.tiff import exif_orientation

_SCAN, _EXIF = 0xDA, 0xE1
_NOT_FRAMES = {0xC4, 0xC8, 0xCC}  # of C0 to CF: tables, and one that is reserved
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length
_END = b"\xff\xd9"
_LONGEST_GAP = 65536  # bytes between segments, which decoders skip
_MODES = {1: "grey", 3: "rgb", 4: "cmyk"}


def jpeg_header(source: Source) -> Header:
    """Return the header of a JPEG.

    The end marker is looked for behind the header, since a thumbnail in it has its own; whatever
    lies behind the end is nothing to a decoder.

    Raises:
        BrokenError: the file ends before the picture begins.

    Source: ITU-T T.81, annex B.
    """
    place, frame, orientation = 2, None, 1
    for _ in range(MOST_PARTS):
        place, marker = _next_marker(source, place)
        if marker in _ALONE:
            continue
        length = source.number(place, 2)
        if length < 2:
            raise BrokenError
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES:
            frame = source.at(place + 2, 6)
        elif marker == _EXIF and orientation == 1 and source.at(place + 2, 6) == b"Exif\0\0":
            orientation = exif_orientation(source.at(place + 8, length - 8))
        place += length
        if marker == _SCAN:
            break
    else:
        raise BrokenError
    if frame is None or len(frame) < 6:
        raise BrokenError
    return Header(
        "jpeg",
        int.from_bytes(frame[3:5], "big"),
        int.from_bytes(frame[1:3], "big"),
        orientation,
        _MODES.get(frame[5], "rgb"),
        frame[0],
        is_truncated=not source.has(_END, place),
    )


def _next_marker(source: Source, place: int) -> tuple[int, int]:
    """Return where the segment of the next marker goes on, and the marker."""
    if source.at(place, 1) != b"\xff":
        gap = source.at(place, _LONGEST_GAP).find(b"\xff")
        if gap < 0:
            raise BrokenError
        place += gap
    for _ in range(_LONGEST_GAP):
        code = source.at(place, 1)
        if code != b"\xff":
            break
        place += 1
    if code in (b"", b"\xff"):
        raise BrokenError
    return place + 1, code[0]
