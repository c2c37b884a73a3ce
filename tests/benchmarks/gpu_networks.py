"""The detector in every runtime: decoded images to masks at prototype size, and its stages."""

import copy
import logging
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, TypeAlias
from unittest import mock

import torch

from runners.timing.calls import TimingError
from runners.timing.images import Picture, draw_pictures
from runners.timing.session import ArmTimes, time_session
from runners.units.macs import count_stages
from runners.units.operator_cost import total
from tests.benchmarks.gpu_size import Part, Size
from yolact_bench.build import build_detector, build_network
from yolact_bench.detector import Detector
from yolact_bench.loads import find_load
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.model.network import Yolact
from yolact_bench.resolve import resolve_architecture
from yolact_bench.results.serialise import plain_fields
from yolact_bench.results.sessions import why_invalid
from yolact_bench.runtime.two_streams import TwoStreams
from yolact_bench.spec.base_run import read_run
from yolact_bench.spec.latency import LatencyPlan
from yolact_bench.spec.run import Run
from yolact_bench.statistics.timing import median_interval, paired_ratio, period_of

log = logging.getLogger(__name__)

LOAD = "crowded_100"
REFERENCE = "eager fp32"
COMPILED = "compiled bf16"
GRAPH = "cuda_graph bf16"
Kind: TypeAlias = Literal["find", "compiled", "options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchArm:
    """A runtime, and the deformable layers that go with it."""

    runtime: Mapping[str, object]
    deform: str
    kind: Kind = "find"  # of the parts in which it is timed
    shares: str = ""  # the arm whose compiled network it has, so that it need not be compiled again
    image_by_image: bool = False  # detection follows the network as in eager
    rows_in_order: bool = False  # the head puts its levels behind one another


def _arm(name: str, precision: str, deform: str, **more: Any) -> BenchArm:  # noqa: ANN401 - options and fields
    names = ("kind", "shares", "image_by_image", "rows_in_order")
    fields = {key: more.pop(key) for key in names if key in more}
    return BenchArm(runtime={"name": name, "precision": precision, **more}, deform=deform, **fields)


# The reference comes first.
_GPU_ARMS: Mapping[str, BenchArm] = {
    REFERENCE: _arm("eager", "fp32", "torchvision"),
    "eager AMP": _arm("eager", "bf16", "torchvision"),
    COMPILED: _arm("compiled", "bf16", "triton", kind="compiled"),
    f"{COMPILED}, image by image": _arm(
        "compiled", "bf16", "triton", kind="compiled", shares=COMPILED, image_by_image=True
    ),
    GRAPH: _arm("cuda_graph", "bf16", "triton"),
    f"{GRAPH}, cuDNN's benchmark": _arm(
        "cuda_graph", "bf16", "triton", cudnn="benchmark", kind="options", shares=GRAPH
    ),
    f"{GRAPH}, two streams": _arm(
        "cuda_graph", "bf16", "triton", streams=2, kind="options", shares=GRAPH
    ),
    f"{GRAPH}, rows in order": _arm(
        "cuda_graph", "bf16", "triton", kind="options", rows_in_order=True
    ),
    f"{GRAPH}, fused epilogues": _arm(
        "cuda_graph", "bf16", "triton", epilogues="fused", kind="options"
    ),
}
_CPU_ARMS: Mapping[str, BenchArm] = {
    REFERENCE: _arm("eager", "fp32", "torchvision"),
    "eager AMP": _arm("eager", "bf16", "torchvision"),
    COMPILED: _arm("compiled", "bf16", "gather", kind="compiled"),
    f"{COMPILED}, image by image": _arm(
        "compiled", "bf16", "gather", kind="options", shares=COMPILED, image_by_image=True
    ),
}


def networks_part(
    preset: str,
    batch: int,
    size: Size,
    device: torch.device,
    *,
    scenario: str = "detector",
    kind: Kind = "find",
) -> Part:
    """Return the times of one preset with one batch size, in every runtime of a kind of part.

    Compilation takes a minute: it is left to parts of its own, at the end of a session. So are
    options of runtimes, which are timed beside the arm whose network they have.
    """
    images = draw_pictures()
    arms = {name: arm for name, arm in arms_of(device).items() if arm.kind == kind}
    bases = [arm.shares for arm in arms.values() if arm.shares]
    names = dict.fromkeys((REFERENCE, *bases, *arms))
    detectors, failed = detectors_of(preset, batch, size, device, names)
    plan = LatencyPlan(
        scenarios=(scenario,),
        rel_ci=0.005,
        max_s=size.seconds,
        batch_size=batch,
        load=LOAD,
        twin=True,
    )
    measured: Mapping[str, ArmTimes] = {}
    while detectors and not measured:
        try:
            measured = time_session(
                detectors,
                images,
                scenario=scenario,
                plan=plan,
                loads=dict.fromkeys(detectors, find_load(LOAD)),
                rounds=size.rounds,
            )
        except TimingError as error:
            log.exception("one arm less")
            failed[error.arm] = f"{type(error.__cause__).__name__}: {error.__cause__}"
            del detectors[error.arm]
    reference = measured.get(REFERENCE)
    return {
        "kind": "network",
        "preset": preset,
        "batch": batch,
        "scenario": scenario,
        "load": LOAD,
        "gmac": total(count_stages(_run(preset, size, arms_of(device)[REFERENCE]))).macs / 1e9,
        "twin": {} if reference is None else _twin(reference),
        "invalid": why_invalid(measured.values()),
        "arms": {name: _facts(m, reference, batch) for name, m in measured.items()},
        "failed": failed,
    }


def arms_of(device: torch.device) -> Mapping[str, BenchArm]:
    """Return all arms by name, on this kind of device."""
    return _GPU_ARMS if device.type == "cuda" else _CPU_ARMS


def detectors_of(
    preset: str, batch: int, size: Size, device: torch.device, names: Iterable[str]
) -> tuple[dict[str, Detector], dict[str, str]]:
    """Return the detectors of these arms with the same random weights, each called once.

    An arm that shares another's network comes after it.
    """
    weights: dict[str, torch.Tensor] | None = None
    found: dict[str, Detector] = {}
    failed: dict[str, str] = {}
    images = [picture.decoded for picture in _first(draw_pictures(), batch)]
    for name in names:
        arm = arms_of(device)[name]
        run = _run(preset, size, arm)
        torch.manual_seed(0)
        network = build_network(run, initial=False)
        if weights is None:
            weights = network.state_dict()
        network.load_state_dict(weights)
        try:
            if arm.shares:
                detector = _beside(found[arm.shares], run, arm, device)
            else:
                detector = build_arm(run, network, arm, device)
            detector.predict(detector.preprocess(images))
        except Exception as error:  # the other arms are timed without it
            log.exception("%s %s", preset, name)
            failed[name] = f"{type(error).__name__}: {error}"
            continue
        found[name] = detector
    return found, failed


def build_arm(run: Run, network: Yolact, arm: BenchArm, device: torch.device) -> Detector:
    """Return the detector of an arm with this network."""
    leave_rows = mock.patch.object(InferenceNetwork, "leave_rows")
    with leave_rows if arm.rows_in_order else nullcontext():
        return build_detector(run, network, device=str(device))


def _first(images: list[Picture], batch: int) -> list[Picture]:
    return [images[place % len(images)] for place in range(batch)]


def _beside(other: Detector, run: Run, arm: BenchArm, device: torch.device) -> Detector:
    """Return a detector with the stages of another, and streams of its own."""
    network = copy.copy(other.network)  # which has the same stages
    network.run_both = TwoStreams() if arm.runtime.get("streams") == 2 else None
    if not arm.image_by_image:
        return build_detector(run, network, device=str(device))
    return Detector(
        network,
        head=other.head,
        image_size=other.image_size,
        classes=other.classes,
        device=device,
        runtime=other.runtime,
        run=run,
    )


def _run(preset: str, size: Size, arm: BenchArm) -> Run:
    slots: dict[str, object] = {"runtime": dict(arm.runtime), "deform": {"name": arm.deform}}
    if size.image_size is not None:
        slots["image_size"] = size.image_size
    return resolve_architecture(read_run(preset, relative_to=Path()).changed(slots))


def _twin(reference: ArmTimes) -> dict[str, object]:
    protocol = reference.protocol
    return {"ratio": protocol.twin_ratio, "interval": protocol.twin_interval or None}


def _facts(measured: ArmTimes, reference: ArmTimes | None, batch: int) -> dict[str, object]:
    calls, period = measured.protocol.calls_per_round, period_of(measured.image_ids)
    how = {"period": period, "calls": calls}
    ms = median(measured.samples_ms)
    facts: dict[str, object] = {
        "median_ms": ms,
        "interval_ms": median_interval(measured.samples_ms, **how),
        "images_per_second": 1000 * batch / ms,
        "stages_ms": {stage: median(taken) for stage, taken in measured.stages_ms.items()},
        "enqueue_ms": median(measured.enqueue_ms) if measured.enqueue_ms else None,
        "peak_memory_mb": measured.peak_memory_mb,
        "samples_ms": measured.samples_ms,
        "protocol": {
            k: v for k, v in plain_fields(measured.protocol).items() if k != "twin_samples_ms"
        },
    }
    if reference is not None:
        ratio, interval = paired_ratio(reference.samples_ms, measured.samples_ms, **how)
        facts |= {"times_as_fast": ratio, "times_as_fast_interval": interval}
    return facts
