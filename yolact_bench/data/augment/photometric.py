"""Brightness, contrast, saturation and hue, on 8-bit pixels through look-up tables."""

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

_MAX_BRIGHTNESS = 32.0
_CONTRAST = _SATURATION = (0.5, 1.5)
_MAX_HUE_DEGREES = 18.0
_LEVELS = np.arange(256, dtype=np.float64)


def distort(
    image: UInt8[np.ndarray, "H W 3"], *, rng: np.random.Generator, probability: float = 0.5
) -> UInt8[np.ndarray, "H W 3"]:
    """Return the image with each of the four changes made with `probability`.

    Brightness comes first; contrast follows at once or after saturation and hue, one half
    each. The four draws are made whatever is used of them.

    Source: dbolya/yolact@902073d utils/augmentations.py, `PhotometricDistort`. The reference
    works in floats and never clips; here every stage ends in 8 bits, so very bright and very
    dark pixels saturate and hue moves in steps of 1.4 degrees.
    """
    use = rng.random(4) < probability
    offset = rng.uniform(-_MAX_BRIGHTNESS, _MAX_BRIGHTNESS) if use[0] else 0.0
    gain = rng.uniform(*_CONTRAST) if use[1] else 1.0
    saturation = rng.uniform(*_SATURATION) if use[2] else 1.0
    hue = rng.uniform(-_MAX_HUE_DEGREES, _MAX_HUE_DEGREES) if use[3] else 0.0
    contrast_first = rng.random() < 0.5

    if not use[2] and not use[3]:
        return _through(image, (_LEVELS + offset) * gain)
    first = gain if contrast_first else 1.0
    image = _through(image, (_LEVELS + offset) * first)
    image = _shift_colour(image, saturation, hue)
    return image if contrast_first else _through(image, _LEVELS * gain)


def _through(image: NDArray[np.uint8], levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    if np.array_equal(levels, _LEVELS):
        return image
    table = np.rint(levels.clip(0, 255)).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table), dtype=np.uint8)


def _shift_colour(
    image: NDArray[np.uint8], saturation: float, hue_degrees: float
) -> NDArray[np.uint8]:
    # The FULL variant spreads the hue circle over all 256 values, so it wraps by itself.
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hue = (_LEVELS + round(hue_degrees * 256 / 360)) % 256
    table = np.stack((hue, np.rint((_LEVELS * saturation).clip(0, 255)), _LEVELS), axis=-1)
    hsv = cv2.LUT(hsv, table.astype(np.uint8)[None])
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), dtype=np.uint8)
