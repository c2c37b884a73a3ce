"""The fields of a header, whatever the format."""

from typing import NamedTuple


class BrokenError(Exception):
    """A header that ends before it says how large the image is."""


class Header(NamedTuple):
    """Size, depth and orientation of an image as its file states them.

    A tuple, not a dataclass: those of a large data set are made and stored by the 100,000.
    """

    format: str  # "" of a format that is not read here
    width: int  # px, as stored
    height: int
    orientation: int = 1  # of EXIF; from 5 on the image is turned by a right angle
    mode: str = "rgb"  # grey, grey+alpha, palette, rgb, rgba or cmyk
    bits: int = 8  # a sample
    numbers: str = "unsigned"  # or signed, or floating-point
    is_truncated: bool = False

    @property
    def oriented(self) -> tuple[int, int]:
        """Width and height of the image turned as its orientation asks, px."""
        turned = self.orientation >= 5
        return (self.height, self.width) if turned else (self.width, self.height)


# Parts of a header that are walked through: more are made to keep a reader busy.
MOST_PARTS = 1 << 17
UNKNOWN = Header("", 0, 0)
