"""Brightness, contrast, saturation and hue, on 8-bit pixels."""

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

_MAX_BRIGHTNESS = 32.0
_CONTRAST = _SATURATION = (0.5, 1.5)
_MAX_HUE_DEGREES = 18.0
_LEVELS = np.arange(256, dtype=np.float64)
_NEAR_A_HALF = 2e-4  # three float32 operations on levels up to 450 are off by less than 1e-4


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
        return _through(image, gain, offset)
    image = _through(image, gain if contrast_first else 1.0, offset)
    image = _shift_colour(image, saturation, hue)
    return image if contrast_first else _through(image, gain, 0.0)


def _through(image: NDArray[np.uint8], gain: float, offset: float) -> NDArray[np.uint8]:
    """Return (level + `offset`) * `gain`, rounded and clipped to 8 bits.

    OpenCV's arithmetic is faster than its tables. It works in float32, so it may stand in only
    where no level lies so close to one half that this could matter.
    """
    if gain == 1.0 and offset == 0.0:
        return image
    levels = (_LEVELS + offset) * gain
    if np.abs(levels % 1.0 - 0.5).min() < _NEAR_A_HALF:
        table = np.rint(levels.clip(0, 255)).astype(np.uint8)
        changed = cv2.LUT(image, table)
    elif gain == 1.0:
        step = np.full(4, abs(round(offset)), np.float64)  # as many as OpenCV's scalars have
        changed = cv2.add(image, step) if offset > 0 else cv2.subtract(image, step)
    elif levels[0] > -0.5:
        changed = cv2.convertScaleAbs(image, alpha=gain, beta=offset * gain)
    else:  # here convertScaleAbs would turn what is below zero into positive levels
        changed = cv2.addWeighted(image, gain, image, 0.0, offset * gain)
    return np.asarray(changed, dtype=np.uint8)


def _shift_colour(
    image: NDArray[np.uint8], saturation: float, hue_degrees: float
) -> NDArray[np.uint8]:
    # The FULL variant spreads the hue circle over all 256 values, so it wraps by itself.
    hsv = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), dtype=np.uint8)
    shift = round(hue_degrees * 256 / 360) % 256
    if saturation == 1.0:
        rows = hsv.reshape(len(hsv), -1)
        rows += np.tile(np.array([shift, 0, 0], np.uint8), hsv.shape[1])
    else:
        hue, saturated, value = cv2.split(hsv)
        hue = np.add(hue, np.uint8(shift))
        saturated = _through(np.asarray(saturated, dtype=np.uint8), saturation, 0.0)
        cv2.merge((hue, saturated, value), hsv)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), dtype=np.uint8)
