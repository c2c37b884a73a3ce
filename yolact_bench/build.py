"""From a run to the things it names: network, detector, losses, schedule, training data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from yolact_bench.catalog import components
from yolact_bench.data import Dataset
from yolact_bench.data.batch import TrainingLoader, training_loader
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import level_sizes
from yolact_bench.loss.total import Losses
from yolact_bench.model.network import Yolact
from yolact_bench.resolve import resolve_architecture
from yolact_bench.schedule import Schedule
from yolact_bench.slots import Choice, pick
from yolact_bench.spec.ablation import read_run
from yolact_bench.spec.run import Run

_BELOW_P3 = 2  # prototypes have twice the side of P3


def load_detector(
    name: str, weights: str | Path | None = None, device: str = "cpu", **slots: object
) -> Detector:
    """Return the detector of a preset, or of the path of a resolved run.yaml.

    `weights` is a checkpoint of yolact-bench (final.pt); without it the network is initialised
    as its `init` slot says, where ImageNet weights are replaced by none. Every further keyword
    replaces a slot: `nms={"name": "sequential"}`.

    Raises:
        SpecError: an unknown name or option, or weights that do not fit.
    """
    run = resolve_architecture(read_run(name, relative_to=Path()).changed(slots))
    network = build_network(run, initial=False)
    if weights is not None:
        load_weights(network, Path(weights))
    return build_detector(run, network, device=device)


def build_losses(detector: Detector) -> Losses:
    """Return the losses of the detector's own run, with its mask-IoU network."""
    assert isinstance(detector.network, Yolact)
    assert detector.run is not None, "built by build_detector"
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
        rescore_net=_pick(run, "rescore_net")(num_classes, prototype_size(run)),
        anchors=anchors,
        image_size=run.image_size,
        num_classes=num_classes,
    )
    if initial:
        _pick(run, "init")(network.backbone)
    return network


def build_detector(run: Run, network: nn.Module, *, device: str) -> Detector:
    """Return the detector around a network, which moves to `device` in evaluation mode."""
    runtime = _pick(run, "runtime")()
    rescore_net = network.rescore_net
    assert rescore_net is None or isinstance(rescore_net, nn.Module)
    return Detector(
        runtime.prepare(network),
        nms=_pick(run, "nms"),
        assembly=_pick(run, "assembly")(),
        rescorer=_pick(run, "rescore"),
        rescore_net=rescore_net,
        image_size=run.image_size,
        classes=run.classes,
        device=device,
        precision=runtime.precision,
        run=run,
    )


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


def freezes_batch_norm(run: Run, *, devices: int = 1) -> bool:
    """Return whether batch norm stands still when the batch is split over `devices`."""
    frozen: bool = _pick(run, "batch_norm")(build_schedule(run).batch_size // devices)
    return frozen


def build_training_loader(
    run: Run, network: Yolact, dataset: Dataset, *, start_iteration: int, workers: int
) -> TrainingLoader:
    """Return the loader that yields the batches of a run from `start_iteration` to its end."""
    schedule = build_schedule(run)
    return training_loader(
        dataset,
        _pick(run, "augment"),
        size=run.image_size,
        mask_size=prototype_size(run),
        fill=network.mean,
        batch_size=schedule.batch_size,
        seed=run.seed,
        start_iteration=start_iteration,
        num_iterations=schedule.iterations,
        workers=workers,
        pin_memory=torch.cuda.is_available(),
    )


def prototype_size(run: Run) -> int:
    """Return the side of the prototypes: twice that of P3."""
    return _BELOW_P3 * level_sizes(run.image_size)[0]


def load_weights(network: Yolact, path: Path) -> None:
    """Load the weights of a checkpoint of yolact-bench (final.pt or last.pt), strictly.

    Raises:
        SpecError: no such file, no checkpoint, or other keys or shapes than the network's.
    """
    if not path.is_file():
        raise SpecError(f"weights: there is no file at {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for what is not a checkpoint
        raise SpecError(f"weights: {path} is not a PyTorch checkpoint ({error})") from error
    if not isinstance(state, dict) or not isinstance(state.get("network"), dict):
        raise SpecError(f"weights: {path} is not a checkpoint of yolact-bench")
    try:
        network.load_state_dict(state["network"])
    except RuntimeError as error:
        raise SpecError(f"weights: {path} does not fit this run: {error}") from error


def _pick(run: Run, slot: str) -> Callable[..., Any]:
    choice: Choice = getattr(run, slot)
    return pick(slot, components(slot), choice)
