"""The arithmetic behind figures: free places for labels, the Pareto front, smoothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

_GAP = 9.0  # typographic points between a marker and its label
_RINGS = (1.0, 2.2, 3.6, 5.2)  # gaps to try, nearest first
# Beside, above and below, then the corners.
_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1), (1, 1), (-1, -1))
_MARKER = 14.0  # width and height that a marker is taken to cover


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, in typographic points."""

    left: float
    bottom: float
    width: float
    height: float

    def overlap(self, other: "Box") -> float:
        """Area in both."""
        across = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        up = min(self.bottom + self.height, other.bottom + other.height) - max(
            self.bottom, other.bottom
        )
        return max(0.0, across) * max(0.0, up)


@dataclass(frozen=True, slots=True)
class LabelSpot:
    """Where a label stands relative to its point."""

    right: int  # 1: to the right, -1: to the left, 0: centred
    up: int
    gap: float  # typographic points
    is_far: bool  # far enough to need a line to the point
    box: Box


def label_places(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
    line: Sequence[tuple[float, float]] = (),
) -> list[LabelSpot]:
    """Return the nearest free place for every label, in order.

    Free: inside the frame, on no other label or point, and not on `line`. Where none is
    free, the one with the least overlap. Everything is in typographic points.
    """
    beads = [Box(x - 2, y - 2, 4, 4) for x, y in _along(line)]
    markers = [Box(x - _MARKER / 2, y - _MARKER / 2, _MARKER, _MARKER) for x, y in points]
    places: list[LabelSpot] = []
    for i, (point, size) in enumerate(zip(points, sizes, strict=True)):
        obstacles = [place.box for place in places] + [m for j, m in enumerate(markers) if j != i]
        obstacles += beads
        offers = [
            _offer(point, size, right, up, ring)
            for ring, (right, up) in product(_RINGS, _DIRECTIONS)
        ]
        # `min` takes the first of equals: the nearest, and rather beside than above.
        places.append(min(offers, key=lambda offer: _cost(offer.box, obstacles, frame)))
    return places


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return those (ms, AP) for which no other is both faster and better, fastest first."""
    front: list[tuple[float, float]] = []
    for ms, ap in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or ap > front[-1][1]:
            front.append((ms, ap))
    return front


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the neighbours, a twentieth of the curve; fewer at both ends."""
    reach = len(values) // 40
    means = [values[max(0, i - reach) : i + reach + 1].mean() for i in range(len(values))]
    return np.array(means)


def _offer(
    point: tuple[float, float], size: tuple[float, float], right: int, up: int, ring: float
) -> LabelSpot:
    gap = ring * _GAP
    box = Box(
        point[0] + right * gap + {1: 0.0, -1: -size[0], 0: -size[0] / 2}[right],
        point[1] + up * gap + {1: 0.0, -1: -size[1], 0: -size[1] / 2}[up],
        *size,
    )
    return LabelSpot(right, up, gap, ring > _RINGS[1], box)


def _cost(box: Box, obstacles: Sequence[Box], frame: Box) -> float:
    """Covered area, and what would stick out of the frame."""
    outside = box.width * box.height - box.overlap(frame)
    # Rounded, so that no rounding error makes one free place better than a nearer one.
    return round(sum(box.overlap(other) for other in obstacles) + outside, 3)


def _along(line: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points every four typographic points of the line."""
    beads = []
    for (x0, y0), (x1, y1) in pairwise(line):
        count = max(1, int(np.hypot(x1 - x0, y1 - y0) / 4))
        beads += [(x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count) for i in range(count)]
    return beads
