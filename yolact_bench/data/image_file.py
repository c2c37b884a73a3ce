"""The content of an image file: decoded, and checked for a missing end."""

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolact_bench.image_files.header import read_header
from yolact_bench.image_files.source import Source

RGB = cv2.IMREAD_COLOR_RGB  # straight from the decoder: nothing is left to convert


def decode(content: bytes, flags: int = RGB) -> NDArray[np.uint8] | None:
    """Return the image [H, W, 3], None where there is none to decode.

    Values of 16 bits are divided by 256, a palette and grey become RGB, CMYK is converted and
    alpha is dropped, but for TIFF: its colours come multiplied by alpha.
    """
    image = _decode(content, flags)
    return None if image is None else np.asarray(image, dtype=np.uint8)


def decode_deep(content: bytes, flags: int = 0) -> NDArray[np.uint8] | NDArray[np.uint16] | None:
    """Return the same with all bits of its values; `flags` are of the orientation alone."""
    # As RGB, OpenCV 5 gives the colours of 16-bit TIFF in the wrong order.
    image = _decode(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | flags)
    return None if image is None else np.ascontiguousarray(image[..., ::-1])


def is_truncated(content: bytes) -> bool:
    """Return whether an image lacks its end, which OpenCV would decode as grey."""
    return read_header(Source(content)).is_truncated


def _decode(content: bytes, flags: int) -> NDArray[Any] | None:
    _silence()
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None  # OpenCV raises for some broken files and returns None for others


@cache
def _silence() -> None:
    """Switch off OpenCV's own lines, which name no file: whoever decodes one says what it is."""
    if hasattr(cv2, "setLogLevel"):  # of OpenCV 4
        cv2.setLogLevel(0)
    else:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
