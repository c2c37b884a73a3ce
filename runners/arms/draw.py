"""A picture of detections: translucent masks with outlines, thin boxes, tags that stay legible."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolact_bench.detect.pipeline import SoftDetections, regions
from yolact_bench.shapes import Detections

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

# RGB, far apart from each other in hue or lightness, bright enough to read on a photo. By rank
# of the detection and not by class, so that neighbours of one class look different.
COLOURS: tuple[Colour, ...] = (
    (255, 64, 64),
    (48, 160, 255),
    (64, 214, 84),
    (255, 176, 0),
    (190, 88, 255),
    (0, 214, 205),
    (255, 98, 188),
    (255, 236, 64),
    (112, 120, 255),
    (170, 226, 40),
    (255, 128, 48),
    (120, 232, 255),
    (214, 60, 140),
    (24, 170, 120),
    (206, 164, 255),
    (230, 190, 140),
)
MASK_OPACITY = 0.45
FONT = cv2.FONT_HERSHEY_DUPLEX


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instance:
    """One detection, ready to be drawn."""

    box: tuple[int, int, int, int]
    text: str
    colour: Colour
    top: int  # of `mask` in the image
    left: int
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Rectangle:
    """A rectangle of whole pixels."""

    left: int
    top: int
    width: int
    height: int

    def overlap(self, other: "_Rectangle") -> int:
        across = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        down = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        return max(0, across) * max(0, down)


def draw(
    image: NDArray[Any],
    detections: Detections | SoftDetections,
    classes: Sequence[str],
    *,
    min_score: float = 0.3,
) -> Picture:
    """Return a copy of the RGB image with all detections whose mask score is at least `min_score`.

    Small objects lie on top of large ones. Line widths and letters grow with the image.
    """
    picture: Picture = np.array(image, dtype=np.uint8, order="C")
    instances = list(_instances(detections, classes, min_score))
    unit = max(1, round(min(picture.shape[:2]) / 400))
    by_area = sorted(instances, key=lambda instance: -int(instance.mask.sum()))
    for instance in by_area:
        _paint_mask(picture, instance)
    for instance in by_area:
        _outline(picture, instance, unit)
    occupied: list[_Rectangle] = []
    for instance in instances:  # best first: its tag gets the best place
        occupied.append(_paint_tag(picture, instance, occupied))
    return picture


def _instances(
    detections: Detections | SoftDetections, classes: Sequence[str], min_score: float
) -> Iterator[_Instance]:
    above = detections.mask_scores >= min_score
    scores = detections.mask_scores[above].tolist()
    labels = detections.labels[above].tolist()
    boxes = detections.boxes_px[above].long().tolist()
    if isinstance(detections, SoftDetections):
        parts = [
            (part.top, part.left, part.mask.cpu().numpy())
            for part in regions(detections.where(above))
        ]
    else:
        parts = [(0, 0, mask.cpu().numpy()) for mask in detections.masks[above]]
    for rank, (box, label, score, part) in enumerate(
        zip(boxes, labels, scores, parts, strict=True)
    ):
        yield _Instance(
            box=tuple(box),
            text=f"{classes[label]} {score:.2f}",
            colour=COLOURS[rank % len(COLOURS)],
            top=part[0],
            left=part[1],
            mask=part[2],
        )


def _paint_mask(picture: Picture, instance: _Instance) -> None:
    rows, columns = instance.mask.shape
    top, left = instance.top, instance.left
    part = picture[top : top + rows, left : left + columns]  # a view
    colour = np.array(instance.colour, dtype=np.float32)
    mixed = part[instance.mask] * (1 - MASK_OPACITY) + colour * MASK_OPACITY
    part[instance.mask] = mixed.round().astype(np.uint8)


def _outline(picture: Picture, instance: _Instance, unit: int) -> None:
    """Draw contour and box. A dark line below the bright one keeps both crisp on any background."""
    if instance.mask.size:
        contours, _ = cv2.findContours(
            instance.mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
        )
        offset = (instance.left, instance.top)
        dark = tuple(channel // 3 for channel in instance.colour)
        for colour, width in ((dark, unit + 2), (instance.colour, unit)):
            cv2.drawContours(
                picture, contours, -1, colour, width, lineType=cv2.LINE_AA, offset=offset
            )
    left, top, right, bottom = instance.box
    far = (max(left, right - 1), max(top, bottom - 1))  # the far corner is exclusive
    cv2.rectangle(picture, (left, top), far, instance.colour, max(1, unit // 2))


def _paint_tag(picture: Picture, instance: _Instance, occupied: Sequence[_Rectangle]) -> _Rectangle:
    """Draw class and score on a filled tag; return where."""
    height, width = picture.shape[:2]
    scale = float(np.clip(min(height, width) / 1100, 0.4, 4.0))
    text_width, text_height, below = _text_size(instance.text, scale)
    if text_width > 0.9 * width:  # a long class name on a narrow image
        scale *= 0.9 * width / text_width
        text_width, text_height, below = _text_size(instance.text, scale)
    pad = max(2, round(6 * scale))
    size = (text_width + 2 * pad, text_height + below + 2 * pad)
    tag = _place(instance.box, size, (width, height), occupied)
    far = (tag.left + tag.width - 1, tag.top + tag.height - 1)
    cv2.rectangle(picture, (tag.left, tag.top), far, instance.colour, cv2.FILLED)
    red, green, blue = instance.colour
    is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 140
    ink = (16, 16, 16) if is_light else (255, 255, 255)
    origin = (tag.left + pad, tag.top + pad + text_height)
    cv2.putText(picture, instance.text, origin, FONT, scale, ink, _stroke(scale), cv2.LINE_AA)
    return tag


def _place(
    box: tuple[int, int, int, int],
    size: tuple[int, int],
    image_size: tuple[int, int],
    occupied: Sequence[_Rectangle],
) -> _Rectangle:
    """Return the place for a tag, inside the image, that covers the least of earlier tags.

    In order of preference: above the box, inside its top, below it, inside its bottom; at its
    left, then at its right. Where all are occupied, further down along the box, then away from it.
    """
    left, top, right, bottom = box
    width, height = size
    rows = [top - height, top, bottom, bottom - height]
    rows += list(range(top + height, max(top + height + 1, bottom), height))
    rows += [row for n in range(2, 7) for row in (top - n * height, bottom + (n - 1) * height)]
    best: tuple[int, _Rectangle] | None = None
    for row in rows:
        for column in (left, right - width):
            place = _Rectangle(
                max(0, min(column, image_size[0] - width)),
                max(0, min(row, image_size[1] - height)),
                width,
                height,
            )
            covered = sum(place.overlap(other) for other in occupied)
            if best is None or covered < best[0]:
                best = (covered, place)
            if not covered:
                return place
    assert best is not None
    return best[1]


def _text_size(text: str, scale: float) -> tuple[int, int, int]:
    """Return width, height above the baseline and depth below it."""
    (width, height), below = cv2.getTextSize(text, FONT, scale, _stroke(scale))
    return width, height, below // 2


def _stroke(scale: float) -> int:
    return max(1, round(1.2 * scale))
