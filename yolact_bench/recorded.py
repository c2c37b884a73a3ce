"""The detector of a run as recorded programs: in fixed sizes, and from photos on."""

import logging
from functools import partial

import torch
from torch import Tensor

from yolact_bench.catalog import alternatives, components
from yolact_bench.detect.graph.choice import Assemble
from yolact_bench.detect.graph.fixed import FixedDetection, FixedProgram
from yolact_bench.detect.graph.pairs import FixedNms
from yolact_bench.detect.graph.photos import PhotoDetection
from yolact_bench.detect.graph.staging import resize_by_kernel
from yolact_bench.detect.nms import kernel_form
from yolact_bench.detect.pipeline import DetectionHead
from yolact_bench.detector import MakeFixed, MakePhotoDetection
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import num_anchors
from yolact_bench.runtime.runtime import FixedShapes, GraphStep, Runtime
from yolact_bench.shapes import needs_features
from yolact_bench.slots import fact, form_of, pick
from yolact_bench.spec.run import Run
from yolact_bench.triton_kernel import kernels_fault

log = logging.getLogger(__name__)


def recorded_forms(
    run: Run, head: DetectionHead, runtime: Runtime, device: str
) -> tuple[MakeFixed | None, MakePhotoDetection | None]:
    """Return how to make programs of a detector, of resized images and of photos.

    None where the runtime records none; none of photos, with a note, where its kernel cannot run.

    Raises:
        SpecError: an NMS or re-scoring network that does not work in fixed sizes.
    """
    shapes = runtime.fixed_shapes
    if shapes is None:
        return None, None
    kind = torch.device(device).type
    detection = _detection_of(run, head, shapes, kind)

    def fixed(mean: Tensor, std: Tensor) -> GraphStep:
        return shapes.record(FixedProgram(detection=detection, mean=mean, std=std))

    if fault := kernels_fault(kind):
        log.warning("images are resized one by one, before what is recorded: %s", fault)
        return fixed, None
    return fixed, partial(
        PhotoDetection,
        *(detection, resize_by_kernel, shapes.record_in_place),
        side=run.image_size,
        dtype=runtime.dtype,
        compile_part=shapes.compile_part,
    )


def _detection_of(
    run: Run, head: DetectionHead, shapes: FixedShapes, device_type: str
) -> FixedDetection:
    nms: FixedNms | None = form_of(head.nms, "fixed")
    runtimes = alternatives("runtime", lambda make: make().fixed_shapes is None)
    if nms is None:
        raise SpecError(
            f"nms: {run.nms['name']} has no form of fixed sizes, which the runtime "
            f"{run.runtime['name']} needs; write "
            f"{alternatives('nms', lambda one: fact(one, 'fixed'))}, or {runtimes}"
        )
    if needs_features(head.rescore_net):
        others = ("makes_nothing", "needs_features")
        nets = alternatives("rescore_net", lambda one: not any(fact(one, name) for name in others))
        raise SpecError(
            f"rescore_net: {run.rescore_net['name']} looks at feature maps, which does not work "
            f"in the fixed sizes of the runtime {run.runtime['name']}; write {nets}, or {runtimes}"
        )
    shapes_of_anchors = pick("anchors", components("anchors"), run.anchors)()
    sizes = num_anchors(shapes_of_anchors, run.image_size), len(run.classes)
    kernels = kernel_form(head.nms, device_type, *sizes)
    assemble: Assemble | None = fact(head.assembly, "kernels")
    fault = kernels_fault(device_type) or ("" if assemble else "it has no kernels of its own")
    if fault:
        log.warning("assembly: %s runs as compiled operators: %s", run.assembly["name"], fault)
        assemble = None
    return FixedDetection(head, nms, shapes.compile_part, kernels, assemble)
