"""The content of an image file: decoded, and checked for a missing end."""

import cv2
import numpy as np
from numpy.typing import NDArray

RGB = cv2.IMREAD_COLOR_RGB  # straight from the decoder: nothing is left to convert


def decode(content: bytes, flags: int = RGB) -> NDArray[np.uint8] | None:
    """Return the image [H, W, 3], None where there is none to decode."""
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None  # OpenCV raises for some broken files and returns None for others
    return None if image is None else np.asarray(image, dtype=np.uint8)


def is_truncated(content: bytes) -> bool:
    """Return whether a JPEG or PNG lacks its end, which OpenCV would decode as grey."""
    if content.startswith(b"\x89PNG"):
        return b"IEND" not in content[-64:]
    if not content.startswith(b"\xff\xd8"):
        return False
    # Walk the header segments: a thumbnail in one of them has its own end marker.
    place = 2
    while content[place : place + 1] == b"\xff" and content[place + 1 : place + 2] != b"\xda":
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return content.rfind(b"\xff\xd9", place) < 0
