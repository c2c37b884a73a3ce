"""NMS: which boxes stand for an object, as a slot."""

from collections.abc import Mapping
from functools import partial
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from yolact_bench.detect.graph.pairs import FixedNms
from yolact_bench.detect.nms.cluster import cluster_nms
from yolact_bench.detect.nms.cross_class_fast import cross_class_fast_nms
from yolact_bench.detect.nms.diou import diou_nms
from yolact_bench.detect.nms.fast import fast_nms
from yolact_bench.detect.nms.matrix import matrix_nms
from yolact_bench.detect.nms.sequential import sequential_nms
from yolact_bench.detect.nms.soft import soft_nms
from yolact_bench.shapes import Kept
from yolact_bench.slots import fact


@runtime_checkable
class Nms(Protocol):
    """Choose detections in one image. Returns row numbers, so it never sees masks.

    Boxes are decoded corners, not clipped; scores are probabilities without background. Every
    entry has the options `min_score` and `max_detections`.

    Facts: `fixed`, its form of fixed sizes, a `FixedNms` with the same options and perhaps more;
    `image_size_option`, the option that is the side of the input unless the run says otherwise.
    """

    def __call__(self, boxes: Float[Tensor, "A 4"], scores: Float[Tensor, "A C"]) -> Kept:
        """Return the kept boxes, best first."""


NMS: Mapping[str, Nms] = {
    "fast": fast_nms,
    "cross_class_fast": cross_class_fast_nms,
    "sequential": sequential_nms,
    "soft": soft_nms,
    "matrix": matrix_nms,
    "cluster": cluster_nms,
    "diou": diou_nms,
}


def fixed_form(nms: Nms) -> FixedNms | None:
    """Return the form of fixed sizes of an NMS, bound to its options; None where it has none."""
    form = fact(nms, "fixed")
    return None if form is None else partial(form, **getattr(nms, "keywords", {}))
