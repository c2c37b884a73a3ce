"""NMS: which boxes stand for an object, as a slot.

Public: `NMS`, `kernel_form`.
"""

import logging
from collections.abc import Mapping

from yolact_bench.detect.graph.choice import KernelNms
from yolact_bench.detect.nms.cluster import cluster_nms
from yolact_bench.detect.nms.cross_class_fast import cross_class_fast_nms
from yolact_bench.detect.nms.diou import diou_nms
from yolact_bench.detect.nms.fast import fast_nms
from yolact_bench.detect.nms.matrix import matrix_nms
from yolact_bench.detect.nms.sequential import sequential_nms
from yolact_bench.detect.nms.soft import soft_nms
from yolact_bench.detect.protocols import Nms
from yolact_bench.slots import fact, form_of

log = logging.getLogger(__name__)

NMS: Mapping[str, Nms] = {
    "fast": fast_nms,
    "cross_class_fast": cross_class_fast_nms,
    "sequential": sequential_nms,
    "soft": soft_nms,
    "matrix": matrix_nms,
    "cluster": cluster_nms,
    "diou": diou_nms,
}


def kernel_form(nms: Nms, device_type: str, num_anchors: int, num_classes: int) -> KernelNms | None:
    """Return the form of an NMS by kernels, bound to its options.

    None, with a note in the log, where there is none or where it does not run.
    """
    form: KernelNms | None = form_of(nms, "kernels")
    fault = "it has no kernels of its own"
    if form is not None:
        fault = fact(form, "fault")(device_type, num_anchors, num_classes)
    if fault:
        name = getattr(getattr(nms, "func", nms), "__name__", "nms")
        log.warning("%s runs as compiled operators: %s", name, fault)
        return None
    return form
