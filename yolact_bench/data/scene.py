"""One drawn image of `shapes`: objects that hide one another before a texture."""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from yolact_bench.coco_file.segmentation import polygon_area
from yolact_bench.data.textures import Pixels, colour_pair, distract, hue_pair, texture
from yolact_bench.published_datasets import SHAPES_CLASSES

MAX_OBJECTS = 8
_TRIES = 12  # places tried for an object before it is given up
_MIN_VISIBLE = 0.5  # of an object, behind those drawn after it; of its outline, in the image
_MIN_VISIBLE_PX = 120
# Square roots of the area, px: within COCO's small, medium and large, clear of the bounds.
_SIZES = ((17.0, 29.0), (36.0, 84.0), (104.0, 122.0))
_SIZE_SHARES = (0.40, 0.45, 0.15)
_BACKGROUND_CHROMA = 12.0  # levels that a colour may be away from grey, at most
_MIN_CONTRAST = 45.0  # levels of lightness between an object and what it covers


def draw_scene(
    rng: np.random.Generator, side: int
) -> tuple[UInt8[np.ndarray, "S S 3"], UInt8[np.ndarray, "S S"], list[int]]:
    """Return an image, the number (from 1) of the object seen at each pixel, and their labels.

    At least one object is drawn; the first always fits.
    """
    lightness = rng.uniform(70.0, 185.0)
    chroma = rng.uniform(-1, 1, size=(2, 3)) * _BACKGROUND_CHROMA
    image = texture(rng, side, side, colour_pair(rng, chroma, lightness, spread=10.0))
    for _ in range(rng.integers(3, 9)):
        distract(rng, image)
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
    image: Pixels,
    owners: Pixels,
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


def _all_remain_visible(owners: Pixels, areas: list[int], covered: NDArray[np.int64]) -> bool:
    if not covered.any():
        return True
    shown = cv2.calcHist([owners], [0], None, [MAX_OBJECTS], [1, MAX_OBJECTS + 1])
    seen = shown.reshape(-1)[: len(areas)].astype(np.int64) - covered
    least = np.maximum(np.asarray(areas) * _MIN_VISIBLE, _MIN_VISIBLE_PX)
    return bool(((seen >= least) | (covered == 0)).all())


def _fill(parts: list[NDArray[np.float64]], centre: NDArray[np.float64], side: int) -> Pixels:
    canvas = np.zeros((side, side), np.uint8)
    for number, part in enumerate(parts):
        points = np.rint((part + centre) * 16).astype(np.int32)
        cv2.fillPoly(canvas, [points], (1 - number,), shift=4)  # the second part is a hole
    return canvas


def _paint(rng: np.random.Generator, image: Pixels, mask: Pixels, label: int) -> None:
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
    palette = colour_pair(rng, hue_pair(rng, label), lightness, spread=12.0)
    cv2.copyTo(texture(rng, height, width, palette), inside, patch)


def _outline(rng: np.random.Generator, name: str, size_px: float) -> list[NDArray[np.float64]]:
    """Return the outline, and a hole if there is one, of area about `size_px` squared."""
    parts = _UNIT_OUTLINES[name]()
    hole = polygon_area(*parts[1].T) if len(parts) > 1 else 0.0
    area = polygon_area(*parts[0].T) - hole
    stretch = rng.uniform(0.88, 1.14)
    angle = rng.uniform(0.0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    scale = size_px / np.sqrt(area) * np.array([stretch, 1 / stretch])
    return [(part * scale) @ turn for part in parts]


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
