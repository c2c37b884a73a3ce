"""Colours, textures and distractors of the images of `shapes`."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from yolact_bench.published_datasets import SHAPES_CLASSES

_OBJECT_CHROMA = (65.0, 95.0)  # levels that a colour is away from grey
# Each class has its own hue, evenly spaced; one object in ten has any hue instead, and so
# have distractors: colour helps to separate classes, as in photographs, but does not decide.
_ANY_HUE = 0.1
_HUE_SPREAD = np.deg2rad(12.0)

Pixels = NDArray[np.uint8]


def hue_pair(rng: np.random.Generator, label: int) -> NDArray[np.float64]:
    """Return two colours of one hue, as distances from grey."""
    hue = 2 * np.pi * label / len(SHAPES_CLASSES) + rng.normal(0.0, _HUE_SPREAD)
    if rng.random() < _ANY_HUE:
        hue = rng.uniform(0.0, 2 * np.pi)
    strength = rng.uniform(*_OBJECT_CHROMA, size=(2, 1))
    channels = np.cos(hue - np.arange(3, dtype=np.float64) * (2 * np.pi / 3))
    return np.asarray(strength * channels)


def colour_pair(
    rng: np.random.Generator, chroma: NDArray[np.float64], lightness: float, spread: float
) -> NDArray[np.float64]:
    """Return two colours (RGB), `chroma` away from greys of about the same lightness."""
    colours = chroma - chroma.mean(axis=1, keepdims=True)
    offsets = np.array([[spread], [-spread]]) * rng.uniform(0.3, 1.0)
    palette: NDArray[np.float64] = np.clip(colours + lightness + offsets, 0, 255)
    return palette


def texture(
    rng: np.random.Generator, height: int, width: int, palette: NDArray[np.float64]
) -> Pixels:
    """Return stripes, a checker, noise or a gradient between two colours, slightly grainy."""
    kind = int(rng.integers(4))
    if kind == 2:
        cells = rng.integers(0, 256, size=(height // 6 + 2, width // 6 + 2), dtype=np.uint8)
        share = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        share = _pattern(rng, height, width, kind)
    table = np.linspace(palette[0], palette[1], 256).round().astype(np.uint8)[None]
    painted = cv2.LUT(cv2.merge((share, share, share)), table)
    return np.asarray(painted, dtype=np.uint8)


def _pattern(rng: np.random.Generator, height: int, width: int, kind: int) -> Pixels:
    angle = rng.uniform(0.0, np.pi)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    # An offset keeps both positive, so that truncation rounds the same way everywhere.
    x, y = _axis(width), _axis(height)[:, None]
    across = cos * x + sin * y + np.float32(512.0)
    along = cos * y - sin * x + np.float32(512.0)
    if kind == 3:
        low, high = float(across.min()), float(across.max())
        return ((across - low) * (255.0 / max(high - low, 1.0))).astype(np.uint8)
    period = float(rng.uniform(4.0, 11.0))
    share = (across * (2 / period)).astype(np.int32) & 1
    if kind == 1:
        share ^= (along * (2 / period)).astype(np.int32) & 1
    return np.asarray(share * 255, dtype=np.uint8)


@lru_cache(maxsize=512)
def _axis(length: int) -> NDArray[np.float32]:
    return np.arange(length, dtype=np.float32)


def distract(rng: np.random.Generator, image: Pixels) -> None:
    """Draw a stroke, a cross or a sliver, of no class, in its own colour."""
    side = len(image)
    colour = [int(level) for level in rng.integers(20, 236, size=3)]
    x, y = rng.uniform(0, side, size=2)
    kind = int(rng.integers(3))
    if kind == 0:
        steps = rng.uniform(-0.2, 0.2, size=(4, 2)) * side
        points = np.cumsum(np.vstack(([x, y], steps)), axis=0).astype(np.int32)
        cv2.polylines(image, [points], False, colour, int(rng.integers(1, 4)))
    elif kind == 1:
        arm = rng.uniform(0.03, 0.08) * side
        angle = rng.uniform(0, np.pi)
        dx, dy = arm * np.cos(angle), arm * np.sin(angle)
        thickness = int(rng.integers(2, 5))
        for across, along in ((dx, dy), (-dy, dx)):
            start, end = (int(x - across), int(y - along)), (int(x + across), int(y + along))
            cv2.line(image, start, end, colour, thickness)
    else:
        length = rng.uniform(0.06, 0.16) * side
        axes = (int(length), max(1, int(length * rng.uniform(0.1, 0.22))))
        cv2.ellipse(image, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
