"""One drawn image of `shapes`: textures, distractors, and objects that hide one another."""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from yolact_bench.spec.dataset.published import SHAPES_CLASSES

MAX_OBJECTS = 8
_TRIES = 12  # places tried for an object before it is given up
_MIN_VISIBLE = 0.5  # of an object, behind those drawn after it; of its outline, in the image
_MIN_VISIBLE_PX = 120
# Square roots of the area, px: within COCO's small, medium and large, clear of the bounds.
_SIZES = ((17.0, 29.0), (36.0, 84.0), (104.0, 122.0))
_SIZE_SHARES = (0.40, 0.45, 0.15)
_MIN_CONTRAST = 45.0  # levels of lightness between an object and what it covers
_BACKGROUND_CHROMA = 12.0  # levels that a colour may be away from grey, at most
_OBJECT_CHROMA = (65.0, 95.0)
# Each class has its own hue, evenly spaced; one object in ten has any hue instead, and so
# have distractors: colour helps to separate classes, as in photographs, but does not decide.
_ANY_HUE = 0.1
_HUE_SPREAD = np.deg2rad(12.0)

_Image = NDArray[np.uint8]


def draw_scene(
    rng: np.random.Generator, side: int
) -> tuple[UInt8[np.ndarray, "S S 3"], UInt8[np.ndarray, "S S"], list[int]]:
    """Return an image, the number (from 1) of the object seen at each pixel, and their labels.

    At least one object is drawn; the first always fits.
    """
    lightness = rng.uniform(70.0, 185.0)
    chroma = rng.uniform(-1, 1, size=(2, 3)) * _BACKGROUND_CHROMA
    image = _texture(rng, side, side, _palette(rng, chroma, lightness, spread=10.0))
    for _ in range(rng.integers(3, 9)):
        _distract(rng, image)
    owners = np.zeros((side, side), np.uint8)
    areas: list[int] = []
    labels: list[int] = []
    wanted = int(rng.integers(1, MAX_OBJECTS + 1))
    # Large first, so that what is hidden is mostly large.
    bands = np.sort(rng.choice(len(_SIZES), size=wanted, p=_SIZE_SHARES))[::-1]
    for band in bands:
        label = int(rng.integers(len(SHAPES_CLASSES)))
        if _place(rng, image, owners, areas, label, rng.uniform(*_SIZES[band])):
            labels.append(label)
    while not labels:
        label = int(rng.integers(len(SHAPES_CLASSES)))
        if _place(rng, image, owners, areas, label, rng.uniform(*_SIZES[1])):
            labels.append(label)
    return image, owners, labels


def _place(
    rng: np.random.Generator,
    image: _Image,
    owners: _Image,
    areas: list[int],
    label: int,
    size_px: float,
) -> bool:
    """Draw one object where it hides no other by more than half; False when no place is found."""
    side = len(image)
    parts = _outline(rng, SHAPES_CLASSES[label], size_px)
    half = np.abs(parts[0]).max(axis=0)
    for _ in range(_TRIES):
        margin = np.minimum(half * 0.75, side / 2)
        centre = rng.uniform(margin, side - margin)
        mask = _fill(parts, centre, side)
        hidden = cv2.calcHist([owners], [0], mask, [MAX_OBJECTS], [1, MAX_OBJECTS + 1])
        covered = hidden.reshape(-1)[: len(areas)].astype(np.int64)
        area = cv2.countNonZero(mask)
        in_image = area >= _MIN_VISIBLE * size_px**2 and area >= _MIN_VISIBLE_PX
        if not in_image or not _all_remain_visible(owners, areas, covered):
            continue
        _paint(rng, image, mask, label)
        areas.append(area)
        owners[mask > 0] = len(areas)
        return True
    return False


def _all_remain_visible(owners: _Image, areas: list[int], covered: NDArray[np.int64]) -> bool:
    if not covered.any():
        return True
    shown = cv2.calcHist([owners], [0], None, [MAX_OBJECTS], [1, MAX_OBJECTS + 1])
    seen = shown.reshape(-1)[: len(areas)].astype(np.int64) - covered
    least = np.maximum(np.asarray(areas) * _MIN_VISIBLE, _MIN_VISIBLE_PX)
    return bool(((seen >= least) | (covered == 0)).all())


def _fill(parts: list[NDArray[np.float64]], centre: NDArray[np.float64], side: int) -> _Image:
    canvas = np.zeros((side, side), np.uint8)
    for number, part in enumerate(parts):
        points = np.rint((part + centre) * 16).astype(np.int32)
        cv2.fillPoly(canvas, [points], (1 - number,), shift=4)  # the second part is a hole
    return canvas


def _paint(rng: np.random.Generator, image: _Image, mask: _Image, label: int) -> None:
    """Fill `mask` with a texture that differs in lightness from what it covers."""
    x, y, width, height = cv2.boundingRect(mask)
    patch = image[y : y + height, x : x + width]
    inside = mask[y : y + height, x : x + width]
    beneath = sum(cv2.mean(patch, inside)[:3]) / 3
    low, high = 60.0, 195.0
    room_below, room_above = beneath - _MIN_CONTRAST - low, high - beneath - _MIN_CONTRAST
    below = rng.random() < max(room_below, 0) / (max(room_below, 0) + max(room_above, 0))
    if below:
        lightness = rng.uniform(low, low + room_below)
    else:
        lightness = rng.uniform(high - room_above, high)
    palette = _palette(rng, _hue_pair(rng, label), lightness, spread=12.0)
    cv2.copyTo(_texture(rng, height, width, palette), inside, patch)


def _outline(rng: np.random.Generator, name: str, size_px: float) -> list[NDArray[np.float64]]:
    """Return the outline, and a hole if there is one, of area about `size_px` squared."""
    parts = _UNIT_OUTLINES[name]()
    hole = _area(parts[1]) if len(parts) > 1 else 0.0
    area = _area(parts[0]) - hole
    stretch = rng.uniform(0.88, 1.14)
    angle = rng.uniform(0.0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    scale = size_px / np.sqrt(area) * np.array([stretch, 1 / stretch])
    return [(part * scale) @ turn for part in parts]


def _area(polygon: NDArray[np.float64]) -> float:
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _regular(corners: int, radius: float = 1.0) -> NDArray[np.float64]:
    angle = np.arange(corners) * (2 * np.pi / corners)
    return radius * np.stack((np.cos(angle), np.sin(angle)), axis=1)


def _star() -> list[NDArray[np.float64]]:
    points = _regular(10)
    points[1::2] *= 0.45
    return [points]


_UNIT_OUTLINES: dict[str, Callable[[], list[NDArray[np.float64]]]] = {
    "disc": lambda: [_regular(48)],
    "square": lambda: [_regular(4)],
    "triangle": lambda: [_regular(3)],
    "star": _star,
    "ring": lambda: [_regular(48), _regular(48, 0.52)],
}


def _hue_pair(rng: np.random.Generator, label: int) -> NDArray[np.float64]:
    """Return two colours of one hue, as distances from grey."""
    hue = 2 * np.pi * label / len(SHAPES_CLASSES) + rng.normal(0.0, _HUE_SPREAD)
    if rng.random() < _ANY_HUE:
        hue = rng.uniform(0.0, 2 * np.pi)
    strength = rng.uniform(*_OBJECT_CHROMA, size=(2, 1))
    channels = np.cos(hue - np.arange(3, dtype=np.float64) * (2 * np.pi / 3))
    return np.asarray(strength * channels)


def _palette(
    rng: np.random.Generator, chroma: NDArray[np.float64], lightness: float, spread: float
) -> NDArray[np.float64]:
    """Return two colours (RGB), `chroma` away from greys of about the same lightness."""
    colours = chroma - chroma.mean(axis=1, keepdims=True)
    offsets = np.array([[spread], [-spread]]) * rng.uniform(0.3, 1.0)
    palette: NDArray[np.float64] = np.clip(colours + lightness + offsets, 0, 255)
    return palette


def _texture(
    rng: np.random.Generator, height: int, width: int, palette: NDArray[np.float64]
) -> _Image:
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


def _pattern(rng: np.random.Generator, height: int, width: int, kind: int) -> _Image:
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


def _distract(rng: np.random.Generator, image: _Image) -> None:
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
