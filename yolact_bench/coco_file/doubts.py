"""The boxes and areas of a file against its masks: what is refused, replaced or noted."""

import math
from collections.abc import Sequence

import numpy as np

from yolact_bench.coco_file.columns import Columns, Floats
from yolact_bench.coco_file.entry import box_around
from yolact_bench.coco_file.images import ImageEntry
from yolact_bench.coco_file.plausibility import Geometry, doubts_of, mistaken_coordinates
from yolact_bench.errors import Mistakes
from yolact_bench.findings import AREA_DIFFERS, BOX, BOX_DIFFERS, Findings


def compare_with_masks(
    columns: Columns, images: Sequence[ImageEntry], mistakes: Mistakes, findings: Findings
) -> None:
    """Replace the boxes that have nothing in common with masks, and note what is doubtful."""
    single = np.flatnonzero(~columns.is_crowd)
    sizes = np.array([(one.width, one.height) for one in images], np.float64).reshape(-1, 2)
    geometry = Geometry(
        columns.raw_boxes[single], columns.extents[single], sizes[columns.rows[single]]
    )
    if text := mistaken_coordinates(geometry):
        mistakes.add(text)
        return

    def place(at: int) -> str:
        return f"image {images[columns.rows[at]].id}: annotation {columns.ids[at]}"

    doubts = doubts_of(geometry, columns.areas[single], columns.mask_areas[single])
    for rows, kind in ((doubts.apart, BOX), (doubts.far, BOX_DIFFERS)):
        for at in single[rows].tolist():
            if (columns.boxes[at] != columns.raw_boxes[at]).any():  # it has been replaced already
                continue
            left, top, right, bottom = columns.extents[at].tolist()
            around = np.array(box_around((left, top, right, bottom)))
            text = f"bbox {_numbers(columns.boxes[at])}, where the mask is in {_numbers(around)}"
            findings.add(kind, place(at), text)
            if kind == BOX:
                columns.boxes[at] = around
    for at in single[doubts.areas].tolist():
        area, mask_area = columns.areas[at], columns.mask_areas[at]
        is_of_box = math.isclose(area, columns.boxes[at, 2] * columns.boxes[at, 3])
        of_box = " (that of the box)" if is_of_box else ""
        text = f"area {area:g}{of_box}, where the mask has {mask_area:g}"
        findings.add(AREA_DIFFERS, place(at), text)


def _numbers(values: Floats) -> str:
    return f"[{', '.join(f'{value:.5g}' for value in values)}]"
