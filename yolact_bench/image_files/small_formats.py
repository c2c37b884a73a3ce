"""The headers of WebP, BMP and GIF."""

from yolact_bench.image_files.header_fields import MOST_PARTS, UNKNOWN, BrokenError, Header
from yolact_bench.image_files.source import Source
from yolact_bench.image_files.tiff import exif_orientation

_CORE = 12  # bytes of the oldest header of a BMP, whose sides are of 2 bytes
_PLAIN = {0, 3}  # compressions of a BMP that are none
_BMP_MODES = {1: "palette", 4: "palette", 8: "palette", 32: "rgba"}
_ALPHA = 0x10  # flag of an extended WebP


def webp_header(source: Source) -> Header:
    """Return the header of a WebP, `UNKNOWN` of another RIFF file.

    Raises:
        BrokenError: the file ends in it, or begins with no picture.

    Source: WebP Container Specification (Google); VP8 in RFC 6386, section 9.1; lossless in RFC
    9649, section 3.4.
    """
    kind, at = source.at(12, 4), 20
    if source.at(8, 4) not in b"WEBP":
        return UNKNOWN
    if source.size < 30:
        raise BrokenError
    if kind == b"VP8X":
        width, height = (source.number(at + offset, 3, "little") + 1 for offset in (4, 7))
        mode = "rgba" if source.number(at, 1) & _ALPHA else "rgb"
    elif kind == b"VP8L":
        packed = source.number(at + 1, 4, "little")
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        mode = "rgba" if packed >> 28 & 1 else "rgb"
    elif kind == b"VP8 ":
        width, height = (source.number(at + offset, 2, "little") & 0x3FFF for offset in (6, 8))
        mode = "rgb"
    else:
        raise BrokenError
    missing = source.number(4, 4, "little") + 8 > source.size + 1  # the last may be padding
    orientation = _webp_orientation(source) if kind == b"VP8X" else 1
    return Header("webp", width, height, orientation, mode, is_truncated=missing)


def _webp_orientation(source: Source) -> int:
    place = 12
    for _ in range(MOST_PARTS):
        if place + 8 > source.size:
            break
        length = source.number(place + 4, 4, "little")
        if source.at(place, 4) == b"EXIF":
            data = source.at(place + 8, min(length, 1 << 16))
            return exif_orientation(data.removeprefix(b"Exif\0\0"))
        place += 8 + length + length % 2
    return 1


def bmp_header(source: Source) -> Header:
    """Return the header of a BMP; a negative height, of rows from above, is one too.

    Raises:
        BrokenError: the file ends in it.

    Source: BITMAPINFOHEADER and BITMAPCOREHEADER (Microsoft, Win32 documentation).
    """
    if source.size < 26:
        raise BrokenError
    pixels, size = source.number(10, 4, "little"), source.number(14, 4, "little")
    side = 2 if size == _CORE else 4
    width, height = (source.number(place, side, "little") for place in (18, 18 + side))
    height = min(height, (1 << 8 * side) - height)
    bits = source.number(18 + 2 * side + 2, 2, "little")
    compression = 0 if size == _CORE else source.number(30, 4, "little")
    row = (width * bits + 31) // 32 * 4
    missing = compression in _PLAIN and pixels + row * height > source.size
    return Header("bmp", width, height, 1, _BMP_MODES.get(bits, "rgb"), is_truncated=missing)


def gif_header(source: Source) -> Header:
    """Return the header of a GIF, of which many lack the end without harm.

    Raises:
        BrokenError: the file ends in it.

    Source: GIF89a specification (CompuServe), section 18.
    """
    if source.size < 13:
        raise BrokenError
    width, height = source.number(6, 2, "little"), source.number(8, 2, "little")
    return Header("gif", width, height, 1, "palette")
