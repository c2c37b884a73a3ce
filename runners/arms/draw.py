"""A picture of detections: translucent masks with outlines, thin boxes, tags that stay legible."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolact_bench.detect.pipeline import SoftDetections, regions
from yolact_bench.shapes import Detections

Canvas = NDArray[np.uint8]
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


def draw(
    image: NDArray[Any],
    detections: Detections | SoftDetections,
    classes: Sequence[str],
    *,
    min_score: float = 0.3,
) -> Canvas:
    """Return a copy of the RGB image with all detections whose mask score is at least `min_score`.

    Small objects lie on top of large ones. Line widths and letters grow with the image.
    """
    canvas: Canvas = np.array(image, dtype=np.uint8, order="C")
    instances = list(_instances(detections, classes, min_score))
    unit = max(1, round(min(canvas.shape[:2]) / 400))
    by_area = sorted(instances, key=lambda instance: -int(instance.mask.sum()))
    for instance in by_area:
        _paint_mask(canvas, instance)
    for instance in by_area:
        _outline(canvas, instance, unit)
    occupied = np.zeros(canvas.shape[:2], np.int64)  # by how many tags
    for instance in instances:  # best first: its tag gets the best place
        _paint_tag(canvas, instance, occupied)
    return canvas


def _instances(
    detections: Detections | SoftDetections, classes: Sequence[str], min_score: float
) -> Iterator[_Instance]:
    above = detections.mask_scores >= min_score
    scores = detections.mask_scores[above].tolist()
    labels = detections.labels[above].tolist()
    boxes = detections.boxes_px[above].long().tolist()
    if isinstance(detections, SoftDetections):
        parts = [(part.top, part.left, part.mask) for part in regions(detections.where(above))]
    else:
        parts = [(0, 0, mask) for mask in detections.masks[above]]
    for rank, (box, label, score, (top, left, mask)) in enumerate(
        zip(boxes, labels, scores, parts, strict=True)
    ):
        yield _Instance(
            box=tuple(box),
            text=f"{classes[label]} {score:.2f}",
            colour=COLOURS[rank % len(COLOURS)],
            top=top,
            left=left,
            mask=mask.cpu().numpy(),
        )


def _paint_mask(canvas: Canvas, instance: _Instance) -> None:
    rows, columns = instance.mask.shape
    top, left = instance.top, instance.left
    part = canvas[top : top + rows, left : left + columns]  # a view
    colour = np.array(instance.colour, dtype=np.float32)
    mixed = part[instance.mask] * (1 - MASK_OPACITY) + colour * MASK_OPACITY
    part[instance.mask] = mixed.round().astype(np.uint8)


def _outline(canvas: Canvas, instance: _Instance, unit: int) -> None:
    """Draw contour and box. A dark line below the bright one keeps both crisp on any background."""
    if instance.mask.size:
        contours, _ = cv2.findContours(
            instance.mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
        )
        offset = (instance.left, instance.top)
        dark = tuple(channel // 3 for channel in instance.colour)
        for colour, width in ((dark, unit + 2), (instance.colour, unit)):
            cv2.drawContours(
                canvas, contours, -1, colour, width, lineType=cv2.LINE_AA, offset=offset
            )
    left, top, right, bottom = instance.box
    far = (max(left, right - 1), max(top, bottom - 1))  # the far corner is exclusive
    cv2.rectangle(canvas, (left, top), far, instance.colour, max(1, unit // 2))


def _paint_tag(canvas: Canvas, instance: _Instance, occupied: NDArray[np.int64]) -> None:
    """Draw class and score on a filled tag, which occupies its pixels from then on."""
    height, width = canvas.shape[:2]
    scale = float(np.clip(min(height, width) / 1100, 0.4, 4.0))
    text_width, text_height, below = _text_size(instance.text, scale)
    if text_width > 0.9 * width:  # a long class name on a narrow image
        scale *= 0.9 * width / text_width
        text_width, text_height, below = _text_size(instance.text, scale)
    pad = max(2, round(6 * scale))
    height, width = text_height + below + 2 * pad, text_width + 2 * pad
    left, top = _place(instance.box, occupied, height=height, width=width)
    occupied[top : top + height, left : left + width] += 1
    far = (left + width - 1, top + height - 1)
    cv2.rectangle(canvas, (left, top), far, instance.colour, cv2.FILLED)
    red, green, blue = instance.colour
    is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 140
    ink = (16, 16, 16) if is_light else (255, 255, 255)
    origin = (left + pad, top + pad + text_height)
    cv2.putText(canvas, instance.text, origin, FONT, scale, ink, _stroke(scale), cv2.LINE_AA)


def _place(
    box: tuple[int, int, int, int], occupied: NDArray[np.int64], *, height: int, width: int
) -> tuple[int, int]:
    """Return left and top for a tag, inside the image, that cover the least of earlier tags.

    In order of preference: above the box, inside its top, below it, inside its bottom; at its
    left, then at its right. Where all are occupied, further down along the box, then away from it.
    """
    left, top, right, bottom = box
    rows = [top - height, top, bottom, bottom - height]
    rows += list(range(top + height, max(top + height + 1, bottom), height))
    rows += [row for n in range(2, 7) for row in (top - n * height, bottom + (n - 1) * height)]
    lowest, rightmost = occupied.shape[0] - height, occupied.shape[1] - width
    places = [
        (max(0, min(column, rightmost)), max(0, min(row, lowest)))
        for row in rows
        for column in (left, right - width)
    ]
    return min(places, key=lambda at: occupied[at[1] : at[1] + height, at[0] : at[0] + width].sum())


def _text_size(text: str, scale: float) -> tuple[int, int, int]:
    """Return width, height above the baseline and depth below it."""
    (width, height), below = cv2.getTextSize(text, FONT, scale, _stroke(scale))
    return width, height, below // 2


def _stroke(scale: float) -> int:
    return max(1, round(1.2 * scale))
