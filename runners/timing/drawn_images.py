"""Drawn images of a photograph's size, where there is no data set to time an arm on."""

import numpy as np

from runners.timing.images import Picture, as_picture
from yolact_bench.data.scene import draw_scene

COUNT, HEIGHT, WIDTH = 8, 480, 640  # the most frequent size of COCO


def drawn_pictures() -> list[Picture]:
    """Return the pictures, the same each time."""
    top = (WIDTH - HEIGHT) // 2
    scenes = (draw_scene(np.random.default_rng(number), WIDTH)[0] for number in range(COUNT))
    return [
        as_picture(number, np.ascontiguousarray(scene[top : top + HEIGHT]))
        for number, scene in enumerate(scenes)
    ]
