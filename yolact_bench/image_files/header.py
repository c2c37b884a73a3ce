"""What the header of an image file says, and whether its end is there; nothing is decoded."""

from collections.abc import Callable, Mapping

from yolact_bench.image_files.header_fields import UNKNOWN, BrokenError, Header
from yolact_bench.image_files.jpeg import jpeg_header
from yolact_bench.image_files.png import png_header
from yolact_bench.image_files.small_formats import bmp_header, gif_header, webp_header
from yolact_bench.image_files.source import Source
from yolact_bench.image_files.tiff import tiff_header

__all__ = ["Header", "read_header"]

_FORMATS: Mapping[bytes, Callable[[Source], Header]] = {
    b"\xff\xd8": jpeg_header,
    b"\x89PNG\r\n\x1a\n": png_header,
    b"RIFF": webp_header,
    b"BM": bmp_header,
    b"GIF8": gif_header,
    b"II*\0": tiff_header,
    b"MM\0*": tiff_header,
    b"II+\0": tiff_header,
    b"MM\0+": tiff_header,
}


def read_header(source: Source) -> Header:
    """Return the header of an image file; `UNKNOWN` if its format is none of those above.

    Other formats may still be images: only a decoder can say so. A header that ends or
    contradicts itself is one of a file whose end is missing.
    """
    beginning = source.at(0, 8)
    for magic, read in _FORMATS.items():
        if beginning.startswith(magic):
            try:
                return read(source)
            except BrokenError:
                return UNKNOWN._replace(is_truncated=True)
    return UNKNOWN
