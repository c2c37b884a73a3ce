"""The detector of a run as programs of fixed sizes: of resized images, and from photos on."""

import logging
from functools import partial
from typing import NamedTuple

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


class RecordedForms(NamedTuple):
    """How to make programs of a detector, of resized images and of photos."""

    fixed: MakeFixed | None = None
    photos: MakePhotoDetection | None = None
    reads_rows: bool = False  # where the head left them


def recorded_forms(run: Run, head: DetectionHead, runtime: Runtime, device: str) -> RecordedForms:
    """Return the forms of a run's detector: none where the runtime has none.

    None of photos, with a note, where its kernel cannot run.

    Raises:
        SpecError: an NMS or re-scoring network that does not work in fixed sizes, where the
            runtime needs them. Another does without, with a note.
    """
    shapes, kind = runtime.fixed_shapes, torch.device(device).type
    if shapes is None or shapes.only_on not in {"", kind}:
        return RecordedForms()
    if (unfit := _form_fault(run, head)) is not None:
        what, others = unfit
        if not shapes.only_on:
            runtimes = alternatives("runtime", lambda make: not _needs_fixed_shapes(make()))
            raise SpecError(
                f"{what}, which the runtime {run.runtime['name']} needs; write {others}, or "
                f"{runtimes}"
            )
        log.warning("%s: detection follows the network image by image", what)
        return RecordedForms()
    detection = _detection_of(run, head, shapes, kind)

    def fixed(mean: Tensor, std: Tensor) -> GraphStep:
        return shapes.record(FixedProgram(detection=detection, mean=mean, std=std))

    if fault := kernels_fault(kind):
        log.warning("images are resized one by one, before what is recorded: %s", fault)
        return RecordedForms(fixed, None, detection.reads_rows)
    photos = partial(
        PhotoDetection,
        *(detection, resize_by_kernel, shapes.record_in_place),
        side=run.image_size,
        dtype=runtime.dtype,
        compile_part=shapes.compile_part,
    )
    return RecordedForms(fixed, photos, detection.reads_rows)


def _form_fault(run: Run, head: DetectionHead) -> tuple[str, str] | None:
    """Return why detection does not work in fixed sizes, and with what it does."""
    if form_of(head.nms, "fixed") is None:
        fits = alternatives("nms", lambda one: fact(one, "fixed"))
        return f"nms: {run.nms['name']} has no form of fixed sizes", fits
    if needs_features(head.rescore_net):
        others = ("makes_nothing", "needs_features")
        fits = alternatives("rescore_net", lambda one: not any(fact(one, name) for name in others))
        name = run.rescore_net["name"]
        return f"rescore_net: {name} looks at feature maps, so it has no form of fixed sizes", fits
    return None


def _needs_fixed_shapes(runtime: Runtime) -> bool:
    return runtime.fixed_shapes is not None and not runtime.fixed_shapes.only_on


def _detection_of(
    run: Run, head: DetectionHead, shapes: FixedShapes, device_type: str
) -> FixedDetection:
    nms: FixedNms = form_of(head.nms, "fixed")
    shapes_of_anchors = pick("anchors", components("anchors"), run.anchors)()
    sizes = num_anchors(shapes_of_anchors, run.image_size), len(run.classes)
    kernels = kernel_form(head.nms, device_type, *sizes)
    assemble: Assemble | None = fact(head.assembly, "kernels")
    fault = kernels_fault(device_type) or ("" if assemble else "it has no kernels of its own")
    if fault:
        log.warning("assembly: %s runs as compiled operators: %s", run.assembly["name"], fault)
        assemble = None
    return FixedDetection(head, nms, shapes.compile_part, kernels, assemble)
