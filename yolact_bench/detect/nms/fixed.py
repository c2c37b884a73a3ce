"""NMS in fixed sizes, by the name of the NMS that each is a form of."""

from collections.abc import Mapping

from yolact_bench.detect.graph.pairs import FixedKept, FixedNms
from yolact_bench.detect.nms.cross_class_fast import fixed_cross_class_fast_nms
from yolact_bench.detect.nms.fast import fixed_fast_nms
from yolact_bench.detect.nms.sequential import fixed_sequential_nms

__all__ = ["FIXED_NMS", "FixedKept", "FixedNms"]

FIXED_NMS: Mapping[str, FixedNms] = {
    "fast": fixed_fast_nms,
    "cross_class_fast": fixed_cross_class_fast_nms,
    "sequential": fixed_sequential_nms,
}
