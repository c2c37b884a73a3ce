"""Runtimes: the same detections from a compiled network, and what each of them refuses."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from runners.arms.train import ensure_trained
from runners.units.check import check_possible
from tests.support.small_ablation import context, plan_spec, run_spec, write_spec
from yolact_bench.build import (
    build_detector,
    build_losses,
    build_network,
    deform_fault,
    device_fault,
    load_detector,
)
from yolact_bench.catalog import components
from yolact_bench.deform import DEFORM_IMPLEMENTATIONS
from yolact_bench.detector import Detector
from yolact_bench.errors import ArmError, SpecError
from yolact_bench.model.network import Yolact
from yolact_bench.resolve import resolve_architecture
from yolact_bench.results.record import Accuracy, Latency
from yolact_bench.runtime import RUNTIMES
from yolact_bench.runtime.compiler import compiler_fault
from yolact_bench.runtime.inductor import CompiledStage
from yolact_bench.runtime.runtime import Precision, Runtime
from yolact_bench.slots import fact
from yolact_bench.spec.presets import preset

SMALL: dict[str, object] = {"image_size": 72, "protonet.k": 4}


def detector() -> Detector:
    """Weights as a training leaves them: statistics that are not 0 and 1, and sure classes."""
    torch.manual_seed(0)
    made = load_detector("yolact_tiny", runtime={"name": "eager"}, **SMALL)
    for module in made.network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return made


def image(height: int = 96, width: int = 80) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def with_runtime(trained: Detector, **runtime: object) -> Detector:
    """The same weights under another runtime."""
    assert trained.run is not None
    assert isinstance(trained.network, Yolact)
    run = resolve_architecture(trained.run.changed({"runtime": runtime}))
    return build_detector(run, trained.network, device="cpu")


@pytest.fixture(scope="module")
def eager() -> Detector:
    return detector()


@pytest.fixture(scope="module")
def in_fp32(eager: Detector) -> Detector:
    """All compiled but the backbone, which takes longest; the runtime's contract compiles all."""
    made = with_runtime(eager, name="compiled")
    assert isinstance(made.network.backbone, CompiledStage)
    assert isinstance(made.network.backbone.stage, nn.Module)
    made.network.backbone = made.network.backbone.stage
    return made


def test_compiled_fp32_finds_what_eager_finds(eager: Detector, in_fp32: Detector) -> None:
    """Labels in the same order, boxes within 1/1000 px, scores and soft masks within 1e-5."""
    (found,), (wanted,) = in_fp32.find([image()]), eager.find([image()])
    assert len(wanted) == 100
    assert torch.equal(found.labels, wanted.labels)
    px = torch.tensor([80.0, 96.0, 80.0, 96.0])
    assert float(((found.boxes - wanted.boxes) * px).abs().max()) < 1e-3
    assert float((found.scores - wanted.scores).abs().max()) < 1e-5
    assert float((found.soft_masks - wanted.soft_masks).abs().max()) < 1e-5


def test_a_shape_is_compiled_once_whoever_asks(
    in_fp32: Detector, caplog: pytest.LogCaptureFixture
) -> None:
    """In inference mode, without gradients or with them: dynamo would compile anew for each."""
    caplog.set_level(logging.INFO)
    in_fp32.find([image()])
    x = in_fp32.preprocess([image(50, 60)])
    with torch.compiler.set_stance("fail_on_recompile"):
        first = in_fp32.network(x)
        with torch.no_grad():
            second = in_fp32.network(x.clone())
    assert torch.equal(first.class_logits, second.class_logits)
    assert not first.class_logits.is_inference()
    assert not [r for r in caplog.records if "compiling head" in r.message][1:]


def test_the_stages_of_a_compiled_network_can_be_timed(in_fp32: Detector) -> None:
    entered = []

    @contextmanager
    def clock(stage: str) -> Iterator[None]:
        entered.append(stage)
        yield

    in_fp32([image()], clock)
    assert set(entered) >= {"preprocess", "backbone", "fpn", "protonet", "head", "nms", "upsample"}


def test_an_inference_copy_has_the_parameters_of_its_training(
    eager: Detector, in_fp32: Detector
) -> None:
    """A table of arms that share a checkpoint shows one number, not how many were folded."""
    assert in_fp32.num_parameters == eager.num_parameters
    assert sum(p.numel() for p in in_fp32.network.parameters()) < eager.num_parameters


def test_losses_need_the_network_as_trained(in_fp32: Detector) -> None:
    with pytest.raises(SpecError, match=r"copy for inference alone.*name: eager"):
        build_losses(in_fp32)


def test_a_second_detector_takes_the_prepared_network_as_it_is(in_fp32: Detector) -> None:
    assert in_fp32.run is not None
    again = build_detector(in_fp32.run, in_fp32.network, device="cpu")
    assert again.network is in_fp32.network


def test_compiled_programs_belong_to_their_own_weights() -> None:
    """Equal architectures give equal programs, and weights are constants of a program."""
    first, second = (CompiledStage(nn.Conv2d(3, 4, 1), name="stage") for _ in range(2))
    x = torch.randn(1, 3, 8, 8)
    for stage in (first, second, first):
        assert torch.allclose(stage(x), stage.stage(x), atol=1e-6)  # type: ignore[arg-type]


def test_a_program_is_for_one_number_of_threads() -> None:
    """It is written into the program: compiled for one, it would leave the others idle."""
    stage, x = CompiledStage(nn.Conv2d(3, 4, 1), name="stage"), torch.randn(1, 3, 8, 8)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            stage(x)
    finally:
        torch.set_num_threads(before)
    assert len(stage._programs) == 2


@pytest.mark.slow
def test_compiled_bf16_is_as_close_to_fp32_as_autocast_is(eager: Detector) -> None:
    """Twice as far at most: weights are halves in both, but here batch norm is folded first."""
    x = eager.preprocess([image()])
    wanted = eager.predict(x)
    ours = with_runtime(eager, name="compiled", precision="bf16").predict(x)
    theirs = with_runtime(eager, name="eager", precision="bf16").predict(x)
    assert ours.class_logits.dtype == torch.float32
    for name in ("boxes", "class_logits", "coefficients", "prototypes"):
        far = (getattr(ours, name) - getattr(wanted, name)).abs().mean()
        usual = (getattr(theirs, name) - getattr(wanted, name)).abs().mean()
        assert 0 < far < 2 * usual


def test_a_machine_without_a_compiler_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no C++ compiler" in compiler_fault("cpu")
    with pytest.raises(SpecError, match=r"install g\+\+.*runtime: \{name: eager\}"):
        load_detector("yolact_tiny", runtime={"name": "compiled"}, **SMALL)
    stage = CompiledStage(nn.Conv2d(3, 4, 1), name="stage")
    with pytest.raises(ArmError, match="no C\\+\\+ compiler") as caught:
        stage(torch.rand(1, 3, 5, 7))
    assert caught.value.kind == "compiler"


def test_a_cuda_graph_is_refused_on_a_cpu_in_words() -> None:
    with pytest.raises(SpecError, match=r"runtime: cuda_graph needs a CUDA device.*name: compiled"):
        load_detector("yolact_tiny", runtime={"name": "cuda_graph"}, **SMALL)


def test_a_run_for_another_machine_can_be_checked_here() -> None:
    """On the meta device parts must fit together, whatever device is at hand."""
    run = resolve_architecture(preset("yolact_tiny").changed({"runtime": {"name": "cuda_graph"}}))
    assert "needs a CUDA device" in device_fault(run, "cpu")
    assert not device_fault(run, "cuda")
    with torch.device("meta"):
        network = build_network(run, initial=False)
    assert build_detector(run, network, device="meta").num_parameters > 0


def test_a_runtime_that_refuses_a_cpu_has_a_stand_in_there() -> None:
    refusing = {name for name, make in RUNTIMES.items() if make().fault("cpu")}
    stand_ins = {name: fact(RUNTIMES[name], "on_cpu") for name in refusing}
    assert all(stand_ins.values()), stand_ins
    assert not refusing & set(stand_ins.values())


def test_a_runtime_states_in_which_precision_a_device_cannot_run_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of torch refuse fp16 on a CPU; one that does not say so is not refused for them."""
    for make in RUNTIMES.values():
        assert make(precision="fp16").precision_fault("cpu").startswith("fp16 is for GPUs")
        assert not make(precision="fp16").precision_fault("cuda")
        assert not make(precision="bf16").precision_fault("cpu")
    run = preset("yolact_tiny").changed({"runtime.precision": "fp16", "batch_norm": "train"})
    with pytest.raises(SpecError, match=r"runtime\.precision: fp16 is for GPUs"):
        check_possible(run, "cpu")

    def in_half(*, precision: Precision = "fp32") -> Runtime:
        return Runtime(precision=precision, prepare=lambda network: network)

    monkeypatch.setitem(components("runtime"), "in_half", in_half)  # type: ignore[arg-type]
    check_possible(run.changed({"runtime": {"name": "in_half", "precision": "fp16"}}), "cpu")
    with pytest.raises(SpecError, match=r"^precision: fp16 is for GPUs"):
        check_possible(run.changed({"precision": "fp16"}), "cpu")


def test_deformable_layers_say_where_they_cannot_be_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    faults = {
        name: deform_fault(preset("yolact_tiny").changed({"deform": {"name": name}}), "cpu")
        for name in DEFORM_IMPLEMENTATIONS
    }
    assert {name for name, fault in faults.items() if fault} == {"triton"}
    assert "write deform: gather" in faults["triton"]


RUN = """\
# Does a runtime change AP?
schema: 1
name: small
base: yolact_tiny
set:
  image_size: 72
  precision: fp32
  batch_norm: train
  schedule: {name: steps, iterations: 3, batch_size: 2, lr: 0.003, warmup: 1, steps: [2]}
dataset: {name: shapes, train_images: 6, val_images: 3, size: 96}
baseline: eager
changes: [runtime]
arms:
  graph: {runtime: {name: cuda_graph}}
  eager: {}
  compiled: {runtime: {name: compiled, precision: bf16}}
"""


@pytest.mark.slow
def test_an_arm_for_another_device_fails_alone_and_its_training_is_not_begun(
    tmp_path: Path,
) -> None:
    """The graph comes first, so that its training would have been the one of all."""
    at = context(tmp_path)
    run_spec(write_spec(tmp_path, RUN), at)
    (failure,) = at.store.failures()
    assert (failure.arm, failure.phase, failure.kind) == ("graph", "evaluate", "unsuited_device")
    assert "needs a CUDA device" in failure.message
    accuracies = [r for r in at.store.records() if isinstance(r, Accuracy)]
    assert {r.arm for r in accuracies} == {"eager", "compiled"}
    assert len({r.train_digest for r in accuracies}) == 1
    assert len({r.parameters for r in accuracies}) == 1
    timed = [r for r in at.store.records() if isinstance(r, Latency)]
    assert {r.arm: r.precision for r in timed} == {"eager": "fp32", "compiled": "bf16"}
    stages = next(r for r in timed if r.arm == "compiled").stages_ms
    assert {"backbone", "fpn", "protonet", "head"} <= set(stages)


def test_a_look_in_training_is_eager_whatever_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights change before the next look: a program compiled for one would serve once."""
    at = context(tmp_path)
    place = replace(at.place, validate_every=1)
    (step,) = [
        s for s in plan_spec(write_spec(tmp_path, RUN), at).steps if s.unit.arm == "compiled"
    ]
    looked: list[Mapping[str, float]] = []
    monkeypatch.setattr(CompiledStage, "forward", _refuse)
    ensure_trained(step.unit, place, on_log=lambda _, metrics: looked.append(metrics))
    assert any("val/mask_ap" in metrics for metrics in looked)


def _refuse(*_: object) -> None:
    raise AssertionError("compiled")
