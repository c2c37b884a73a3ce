"""Images whose pixels are numbers of objects or classes, whatever colours stand for them."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from yolact_bench.errors import SpecError
from yolact_bench.text_file import read_bytes

_LARGEST = 1 << 30  # bytes of a file
_INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B")


def read_index(path: Path) -> NDArray[np.int64]:
    """Return the numbers [H, W] of an image: the index of a palette, or the grey value.

    Raises:
        SpecError: unreadable, or with colours instead of numbers.
    """
    content = read_bytes(path, most=_LARGEST, remedy="restore it")
    try:
        return decode_index(content)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from error


def decode_index(content: bytes) -> NDArray[np.int64]:
    """Return the numbers [H, W] of an image in memory.

    Raises:
        SpecError: as `read_index`.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.mode not in _INDEX_MODES:
                raise SpecError(
                    f"colours ({image.mode}), where each pixel should be the number of an object; "
                    "save one channel, or a palette"
                )
            return np.asarray(image).astype(np.int64)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError("not an image that can be read; replace it") from error


def objects_of(
    numbers: NDArray[np.int64], *, split_areas: bool, ignore: tuple[int, ...] = ()
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield number and pixels of each object; 0 is the background.

    With `split_areas` every area of one number that touches no other of it is an object.
    """
    for number in np.unique(numbers).tolist():
        if number == 0 or number in ignore:
            continue
        bitmap = numbers == number
        if not split_areas:
            yield number, bitmap
            continue
        areas, count = ndimage.label(bitmap, structure=np.ones((3, 3)))
        for area in range(1, count + 1):
            yield number, areas == area


def areas_in(bitmap: NDArray[np.bool_]) -> int:
    """Return the number of areas that do not touch."""
    _, count = ndimage.label(bitmap, structure=np.ones((3, 3)))
    return int(count)
