"""From a run to the things it names: network, detector, losses, schedule, training data."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from yolact_bench.catalog import components
from yolact_bench.data import Dataset
from yolact_bench.data.batch import (
    IterationSampler,
    TrainingData,
    TrainingLoader,
    training_loader,
)
from yolact_bench.detect.pipeline import DetectionHead
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import level_sizes
from yolact_bench.loss.total import Losses
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.model.network import Yolact
from yolact_bench.model.weights.released import preset_named, recognise, signature_of, to_ours
from yolact_bench.model.weights.state_file import counters_of, load_exactly, read_state, tensors_of
from yolact_bench.recorded import recorded_forms
from yolact_bench.resolve import resolve_architecture
from yolact_bench.runtime import Program, Runtime
from yolact_bench.schedule import Schedule
from yolact_bench.slots import fact, pick
from yolact_bench.spec.base_run import read_run
from yolact_bench.spec.presets import PRESETS
from yolact_bench.spec.run import Run

log = logging.getLogger(__name__)

# How a run is defined to be computed, whatever it is timed with.
PLAIN = {"runtime": {"name": "eager"}, "deform": {"name": "torchvision"}}


def load_detector(
    name: str, weights: str | Path | None = None, device: str = "cpu", **slots: object
) -> Detector:
    """Return the detector of a preset, or of the path of a resolved run.yaml.

    `weights` is a checkpoint of yolact-bench (final.pt) or a released YOLACT .pth; without it the
    network is initialised as its `init` slot says, where ImageNet weights are replaced by none.
    Every further keyword replaces a slot: `nms={"name": "sequential"}`.

    Raises:
        SpecError: an unknown name or option, or weights that do not fit.
    """
    run = resolve_architecture(read_run(name, relative_to=Path()).changed(slots))
    network = build_network(run, initial=False)
    if weights is not None:
        load_weights(network, Path(weights))
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
    deform = _pick(run, "deform")
    backbone = _pick(run, "backbone")(_pick(run, "dcn"), deform)
    anchors = _pick(run, "anchors")()
    fpn = _pick(run, "fpn")(backbone.channels)
    protonet = _pick(run, "protonet")(fpn.channels)
    num_classes = len(run.classes)
    head = _pick(run, "head")(fpn.channels, len(anchors[0]), num_classes, protonet.k)
    network = Yolact(
        backbone=backbone,
        fpn=fpn,
        protonet=protonet,
        head=head,
        rescore_net=_pick(run, "rescore_net")(
            num_classes, prototype_size(run), fpn.channels, run.image_size
        ),
        anchors=anchors,
        image_size=run.image_size,
        num_classes=num_classes,
    )
    if initial:
        _pick(run, "init")(network.backbone)
    return network


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
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    if isinstance(network, Yolact):  # otherwise another detector's, already prepared
        if runtime.inference_copy:
            network = InferenceNetwork(network, dtype=runtime.dtype, device=device)
        network = runtime.prepare(network)
    head = DetectionHead(
        nms=_pick(run, "nms"),
        assembly=_pick(run, "assembly")(),
        rescorer=_pick(run, "rescore"),
        rescore_net=network.rescore_net,
    )
    forms = recorded_forms(run, head, runtime, device)
    return Detector(
        network,
        head=head,
        image_size=run.image_size,
        classes=run.classes,
        device=device,
        runtime=runtime,
        num_parameters=num_parameters,
        fixed=forms[0],
        photos=forms[1],
        run=run,
    )


def runtime_of(run: Run) -> Runtime:
    """Return the runtime of a run."""
    runtime: Runtime = _pick(run, "runtime")()
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
    fault: Callable[[str], str] | None = fact(_pick(run, "deform"), "fault")
    return "" if fault is None else fault(torch.device(device).type)


def build_losses_for(run: Run, network: Yolact) -> Losses:
    """Return the losses of a run over a network."""
    return Losses(
        matcher=_pick(run, "matcher"),
        class_loss=_pick(run, "class_loss"),
        box_loss=_pick(run, "box_loss"),
        mask_loss=_pick(run, "mask_loss"),
        semantic_loss=_pick(run, "semantic_loss"),
        mask_iou_loss=_pick(run, "mask_iou_loss"),
        rescore_net=network.rescore_net,
    )


def build_schedule(run: Run) -> Schedule:
    """Return the schedule of a run."""
    schedule: Schedule = _pick(run, "schedule")()
    return schedule


def freezes_batch_norm(run: Run) -> bool:
    """Return whether batch norm stands still in training.

    The joint batch decides, as statistics are those of all devices' images together: the number
    of devices never changes a training.
    """
    frozen: bool = _pick(run, "batch_norm")(build_schedule(run).batch_size)
    return frozen


def build_training_loader(
    run: Run,
    network: Yolact,
    dataset: Dataset,
    *,
    start_iteration: int,
    workers: int,
    rank: int = 0,
    world_size: int = 1,
) -> TrainingLoader:
    """Return the loader that yields the batches of a run from `start_iteration` to its end.

    Of several ranks each gets its share of every batch.
    """
    schedule = build_schedule(run)
    data = TrainingData(
        dataset,
        _pick(run, "augment"),
        size=run.image_size,
        mask_size=prototype_size(run),
        fill=network.mean,
        seed=run.seed,
    )
    batches = IterationSampler(
        len(dataset),
        batch_size=schedule.batch_size,
        seed=run.seed,
        start_iteration=start_iteration,
        num_iterations=schedule.iterations,
        rank=rank,
        world_size=world_size,
    )
    return training_loader(data, batches, workers=workers)


def prototype_size(run: Run) -> int:
    """Return the side of the prototypes: twice that of P3."""
    return 2 * level_sizes(run.image_size)[0]


def load_weights(network: Yolact, path: Path) -> None:
    """Load a checkpoint of yolact-bench (final.pt, last.pt) or a released YOLACT .pth, strictly.

    Raises:
        SpecError: no such file, neither of the two, or other keys or shapes than the network's.
    """
    state = read_state(path, where="weights")
    own = state.get("network")
    if isinstance(own, Mapping):
        fault = load_exactly(network, tensors_of(own, source=path, where="weights"))
    else:
        released = tensors_of(state, source=path, where="weights")
        tensors = to_ours(released, source=path)
        fault = load_exactly(network, tensors, may_miss=counters_of(network))
        fault += f"; it holds {signature_of(released, source=path)}" if fault else ""
        _warn_of_size(network, path)
    if fault:
        raise SpecError(f"weights: {path} does not fit this run: {fault}")


def recognise_weights(path: Path) -> str:
    """Return the preset that a released YOLACT .pth is for.

    Raises:
        SpecError: not a released file, or its keys fit several presets and its name none.
    """
    state = read_state(path, where="weights")
    return recognise(tensors_of(state, source=path, where="weights"), file_name=path.name)


def _warn_of_size(network: Yolact, path: Path) -> None:
    """Equal keys hide it when the 700 px weights are given to the 550 px network."""
    name = preset_named(path.name)
    if name is not None and PRESETS[name].image_size != network.image_size:
        log.warning(
            "%s is by its name for %d px (%s), but runs at %d px",
            *(path, PRESETS[name].image_size, name, network.image_size),
        )


def _pick(run: Run, slot: str) -> Callable[..., Any]:
    return pick(slot, components(slot), getattr(run, slot))
