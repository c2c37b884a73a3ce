"""SSD's augmentation as the reference does it: step after step, on floats and whole masks."""

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from yolact_bench.data.augment.ssd import _crop, _expand
from yolact_bench.data.augment.view import whole_image
from yolact_bench.data.objects import Objects
from yolact_bench.shapes import Sample, Target

Pixels = NDArray[np.float32]


def plain_ssd(
    image: NDArray[np.uint8],
    objects: Objects,
    rng: np.random.Generator,
    size: int,
    mask_size: int,
    fill: tuple[float, float, float],
) -> Sample:
    """Return a sample made in the reference's order; its masks are of the network's size.

    Source: dbolya/yolact@902073d utils/augmentations.py, `SSDAugmentation`.
    """
    pixels = _distorted(image.astype(np.float32), rng)
    masks = np.stack([*_whole_masks(objects), np.zeros(image.shape[:2], np.float32)])
    view = whole_image(*image.shape[:2])
    if rng.random() < 0.5:
        view = _expand(view, rng, 4.0)
    left, top = -int(view.left), -int(view.top)
    canvas = np.empty((int(view.height), int(view.width), 3), np.float32)
    canvas[:] = fill
    place = slice(top, top + image.shape[0]), slice(left, left + image.shape[1])
    canvas[place] = pixels
    wide = np.zeros((len(masks), *canvas.shape[:2]), np.float32)
    wide[(slice(None), *place)] = masks
    window, inside = _crop(view, objects, rng, 5 / 6)
    x, y = int(window.left) + left, int(window.top) + top
    across, down = slice(x, x + int(window.width)), slice(y, y + int(window.height))
    canvas, wide = canvas[down, across], wide[:, down, across]
    if rng.random() < 0.5:
        canvas, wide = canvas[:, ::-1], wide[:, :, ::-1]
    seen = cv2.resize(np.ascontiguousarray(canvas), (size, size))
    rows = np.flatnonzero(inside)
    small = [cv2.resize(np.ascontiguousarray(wide[row]), (size, size)) for row in rows]
    kept = np.stack([*small, np.zeros((size, size), np.float32)])[:-1]
    target = Target(
        boxes=torch.from_numpy(objects.boxes_px[rows].astype(np.float32)),
        labels=torch.from_numpy(objects.labels[rows]),
        masks=torch.from_numpy((kept > 0.5).astype(np.uint8)),
        is_crowd=torch.from_numpy(objects.is_crowd[rows]),
    )
    return Sample(image=torch.from_numpy(seen.clip(0, 255).astype(np.uint8)), target=target)


def _whole_masks(objects: Objects) -> list[Pixels]:
    masks = []
    for segment in objects.segments:
        mask = np.zeros((objects.height, objects.width), np.uint8)
        if isinstance(segment, tuple):
            for part in segment:
                cv2.fillPoly(mask, [np.rint(part).astype(np.int32)], (1,))
        else:
            mask = segment
        masks.append(mask.astype(np.float32))
    return masks


def _distorted(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    if rng.random() < 0.5:
        pixels = pixels + np.float32(rng.uniform(-32, 32))
    contrast_first = rng.random() < 0.5
    if contrast_first and rng.random() < 0.5:
        pixels = pixels * np.float32(rng.uniform(0.5, 1.5))
    hsv = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV), dtype=np.float32)
    if rng.random() < 0.5:
        hsv[..., 1] *= np.float32(rng.uniform(0.5, 1.5))
    if rng.random() < 0.5:
        hsv[..., 0] = (hsv[..., 0] + np.float32(rng.uniform(-18, 18))) % np.float32(360)
    pixels = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), dtype=np.float32)
    if not contrast_first and rng.random() < 0.5:
        pixels = pixels * np.float32(rng.uniform(0.5, 1.5))
    return pixels
