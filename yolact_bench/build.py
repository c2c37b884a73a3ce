"""From a run to its network and detector, and whether this machine can execute them."""

from collections.abc import Callable
from pathlib import Path

import torch

from yolact_bench.detect.pipeline import DetectionHead
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import prototype_size
from yolact_bench.loss.total import Losses
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.model.network import Yolact
from yolact_bench.recorded import recorded_forms
from yolact_bench.resolve import component_of, fact_of, resolve_architecture
from yolact_bench.runtime.runtime import Program, Runtime
from yolact_bench.slots import fact
from yolact_bench.spec.base_run import read_run
from yolact_bench.spec.run import Run
from yolact_bench.training_parts import build_losses_for
from yolact_bench.weights.labels import with_classes_of
from yolact_bench.weights.load import load_weights

# How a run is defined to be computed, whatever it is timed with.
PLAIN = {"runtime": {"name": "eager"}, "deform": {"name": "torchvision"}}


def load_detector(
    name: str, weights: str | Path | None = None, device: str = "cpu", **slots: object
) -> Detector:
    """Return the detector of a preset, or of the path of a resolved run.yaml.

    `weights` is a checkpoint of yolact-bench (final.pt) or a released YOLACT .pth; without it the
    network is initialised as its `init` slot says, where ImageNet weights are replaced by none.
    Its classes are those that the weights name, in their order, unless the slot `classes` is given.
    Every further keyword replaces a slot: `nms={"name": "sequential"}`.

    Raises:
        SpecError: an unknown name or option, or weights that do not fit.
    """
    run = resolve_architecture(read_run(name, relative_to=Path()).changed(slots))
    if weights is not None and "classes" not in slots:
        run = with_classes_of(Path(weights), run)
    network = build_network(run, initial=False)
    if weights is not None:
        load_weights(network, Path(weights), classes=run.classes)
    return build_detector(run, network, device=device)


def build_losses(detector: Detector) -> Losses:
    """Return the losses of the detector's own run, with its mask-IoU network.

    Raises:
        SpecError: a detector without a run, or whose network is a copy that cannot be trained.
    """
    if detector.run is None:
        raise SpecError("losses: the detector has no run; make it with load_detector")
    if not isinstance(detector.network, Yolact):
        raise SpecError(
            f"runtime: the network of {detector.run.runtime['name']} is a copy for inference "
            "alone; for losses write runtime: {name: eager}"
        )
    return build_losses_for(detector.run, detector.network)


def build_network(run: Run, *, initial: bool = True) -> Yolact:
    """Return the network of a run, initialised; with `initial` its backbone by the init slot.

    Raises:
        SpecError: components that do not fit together.
    """
    deform = component_of(run, "deform")
    backbone = component_of(run, "backbone")(component_of(run, "dcn"), deform)
    anchors = component_of(run, "anchors")()
    fpn = component_of(run, "fpn")(backbone.channels)
    protonet = component_of(run, "protonet")(fpn.channels)
    num_classes = len(run.classes)
    head = component_of(run, "head")(fpn.channels, len(anchors[0]), num_classes, protonet.k)
    network = Yolact(
        backbone=backbone,
        fpn=fpn,
        protonet=protonet,
        head=head,
        rescore_net=component_of(run, "rescore_net")(
            num_classes, prototype_size(run.image_size), fpn.channels, run.image_size
        ),
        anchors=anchors,
        image_size=run.image_size,
        num_classes=num_classes,
    )
    if initial:
        initialise(network, run)
    return network


def initialise(network: Yolact, run: Run) -> None:
    """Fill the weights that the init slot of a run decides; on "meta" see whether they fit.

    Raises:
        SpecError: weights that are not there, or do not fit.
    """
    init = component_of(run, "init")
    if fact_of(run, "init", "fills_network"):
        init(network, run.classes)
    else:
        init(network.backbone)


def build_detector(run: Run, network: Program, *, device: str) -> Detector:
    """Return the detector around a network, which moves to `device` in evaluation mode.

    The network of another detector with the same runtime is taken as it is prepared there. On the
    device "meta" the detector is built as for any, to see whether its parts fit together.

    Raises:
        SpecError: the runtime cannot run on the device, or with another choice of the run.
    """
    runtime = runtime_of(run)
    if fault := device_fault(run, device):
        raise SpecError(f"runtime: {fault}")
    fresh = isinstance(network, Yolact)  # otherwise another detector's, already prepared
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    if isinstance(network, Yolact):
        if runtime.inference_copy:
            network = InferenceNetwork(network, dtype=runtime.dtype, device=device)
        network = runtime.prepare(network)
    head = DetectionHead(
        nms=component_of(run, "nms"),
        assembly=component_of(run, "assembly")(),
        rescorer=component_of(run, "rescore"),
        rescore_net=network.rescore_net,
    )
    forms = recorded_forms(run, head, runtime, device)
    if fresh and forms.reads_rows and isinstance(network, InferenceNetwork):
        network.leave_rows()
    return Detector(
        network,
        head=head,
        image_size=run.image_size,
        classes=run.classes,
        device=device,
        runtime=runtime,
        num_parameters=num_parameters,
        fixed=forms.fixed,
        photos=forms.photos,
        run=run,
    )


def runtime_of(run: Run) -> Runtime:
    """Return the runtime of a run."""
    runtime: Runtime = component_of(run, "runtime")()
    return runtime


def device_fault(run: Run, device: str) -> str:
    """Return why the runtime of a run cannot run on this device, or nothing."""
    kind = torch.device(device).type
    return "" if kind == "meta" else runtime_of(run).fault(kind)


def program_fault(run: Run, device: str) -> str:
    """Return why the runtime of a run builds no program on this machine, or nothing.

    It builds a small one, which takes seconds for the first time. A device that cannot run the
    runtime at all is not asked: see `device_fault`.
    """
    runtime, kind = runtime_of(run), torch.device(device).type
    return "" if runtime.fault(kind) else runtime.probe(kind)


def deform_fault(run: Run, device: str) -> str:
    """Return why the deformable layers of a run cannot be computed on this device, or nothing."""
    fault: Callable[[str], str] | None = fact(component_of(run, "deform"), "fault")
    return "" if fault is None else fault(torch.device(device).type)
