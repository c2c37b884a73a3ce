"""Detection loads: the number of detections that is imposed on an untrained arm during timing.

The time of everything after the network depends on how many candidates there are and how many
survive; an untrained network has none, or thousands. A load states both, image by image.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from yolact_bench.errors import SpecError, brief, hint

MOST_DETECTIONS = 1000
UNTRAINED_LOAD = "coco_like"  # of arms without weights, unless another load is named
_CONSTANT = re.compile(r"constant_(\d{1,4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The detections in image 0, 1, 2, …, cyclically."""

    name: str
    detections: tuple[int, ...]  # after NMS
    candidates_per_detection: int = 14  # anchors above the score threshold, itself included
    source: str  # where the numbers come from

    def of(self, image: int) -> int:
        """Return the number of detections in the image with that place among the images."""
        return self.detections[image % len(self.detections)]


# Annotated objects, crowd regions left out, of 128 images of COCO val2017, in order of image ids:
# a sample of public copies of the set. 7.6 an image; all of val2017 has 7.3.
_COCO_OBJECTS = (
    *(20, 2, 1, 2, 16, 8, 3, 5, 4, 20, 14, 3, 0, 6, 14, 2, 16, 16, 8, 1, 10, 10, 2, 1, 8, 11, 8, 2),
    *(2, 9, 2, 3, 9, 9, 2, 4, 3, 12, 2, 16, 24, 1, 7, 5, 4, 4, 24, 4, 0, 10, 6, 15, 17, 10, 14, 3),
    *(7, 22, 2, 11, 5, 8, 9, 4, 25, 1, 18, 4, 3, 9, 2, 6, 2, 13, 2, 2, 2, 5, 8, 26, 1, 3, 5, 3, 4),
    *(2, 17, 19, 2, 2, 3, 3, 2, 2, 12, 9, 15, 3, 7, 5, 10, 4, 7, 21, 12, 13, 6, 12, 3, 4, 4, 4, 10),
    *(2, 1, 13, 23, 4, 2, 2, 11, 17, 2, 4, 10, 7, 10, 10),
)
_PER_OBJECT = 4  # an assumption: detections above a score of 0.05 for one annotated object

LOADS: Mapping[str, Load] = MappingProxyType(
    {
        "coco_like": Load(
            name="coco_like",
            detections=tuple(min(100, _PER_OBJECT * n) for n in _COCO_OBJECTS),
            source="object counts of 128 images of COCO val2017, 4 detections assumed for "
            "each object, at most 100; 14 candidates assumed for each detection",
        ),
        "crowded_100": Load(
            name="crowded_100",
            detections=(100,),
            source="the most that COCO's evaluation counts: 100 detections in every image; "
            "14 candidates assumed for each detection",
        ),
    }
)


def find_load(name: str) -> Load:
    """Return a load of the table, or `constant_<n>`: n detections in every image.

    Raises:
        SpecError: there is no such load.
    """
    if name in LOADS:
        return LOADS[name]
    constant = _CONSTANT.fullmatch(name)
    if constant and int(constant[1]) <= MOST_DETECTIONS:
        return constant_load(int(constant[1]))
    raise SpecError(
        f"no detection load is named {brief(name)}{hint(name, LOADS)}; or own (what the arm finds "
        f"itself), or constant_<n> with n up to {MOST_DETECTIONS}"
    )


def constant_load(detections: int) -> Load:
    """Return the load with the same number of detections in every image."""
    return Load(
        name=f"constant_{detections}",
        detections=(detections,),
        source=f"{detections} detections in every image; 14 candidates assumed for each",
    )
