"""A detector as one graph, with a recorder that runs what it is given: no GPU is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from runners.timing.clocks import StageClock
from tests.support.recorders import Event, Recorder
from tests.support.small_detector import noise, small_detector
from yolact_bench.build import build_detector, build_network, load_detector
from yolact_bench.clock import Clock, no_clock
from yolact_bench.detect.graph.fixed import (
    FixedDetection,
    FixedDetections,
    FixedProgram,
    ProgramOutput,
    call_directly,
    state_of,
)
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.model.network import Yolact
from yolact_bench.resolve import resolve_architecture
from yolact_bench.runtime.inductor import compile_function
from yolact_bench.runtime.recording import GraphClock, RecordedStep
from yolact_bench.runtime.runtime import GraphStep, Program
from yolact_bench.shapes import Predictions
from yolact_bench.slots import form_of
from yolact_bench.spec.presets import preset

RESCORED = {
    "rescore_net": {"name": "mask_iou", "channels": [8, 8]},
    "rescore": {"name": "mask_iou"},
}


def graphed(detector: Detector, record: Recorder, *, compiled: bool = False) -> Detector:
    """The same detector with everything behind resizing as one recorded function."""
    network = detector.network
    assert isinstance(network, Yolact) and detector.run is not None
    nms = form_of(detector.head.nms, "fixed")
    assert nms is not None
    compile_part = compile_function if compiled else call_directly
    detection = FixedDetection(detector.head, nms, compile_part)

    def make(mean: Tensor, std: Tensor) -> GraphStep:
        program = FixedProgram(detection=detection, mean=mean, std=std)
        return RecordedStep(program, record=record, event=Event)

    return Detector(
        InferenceNetwork(network),
        head=detector.head,
        image_size=detector.image_size,
        classes=detector.classes,
        fixed=make,
    )


@pytest.fixture(scope="module")
def pair() -> tuple[Detector, Detector, Recorder]:
    eager, record = small_detector(**RESCORED), Recorder()
    return eager, graphed(eager, record), record


def test_a_graph_finds_what_eager_finds(pair: tuple[Detector, Detector, Recorder]) -> None:
    """Two images of different sizes; boxes within 1/1000 px, the same labels in order."""
    eager, graph, _ = pair
    images = [noise(), noise(64, 120, seed=1)]
    for found, wanted in zip(graph.find(images), eager.find(images), strict=True):
        assert len(wanted) == 100
        assert torch.equal(found.labels, wanted.labels)
        assert torch.equal(found.boxes_px, wanted.boxes_px)
        assert float((found.boxes - wanted.boxes).abs().max()) * 120 < 1e-3
        for name in ("scores", "mask_scores", "soft_masks"):
            assert torch.allclose(getattr(found, name), getattr(wanted, name), atol=1e-5)
        assert (found.height, found.width) == (wanted.height, wanted.width)
        assert found.mask_threshold == wanted.mask_threshold
        assert found.exact


def test_a_shape_is_recorded_once_and_replayed_for_every_batch(
    pair: tuple[Detector, Detector, Recorder],
) -> None:
    eager, _, _ = pair
    record = Recorder()
    graph = graphed(eager, record)
    first = graph.find([noise()])[0]
    second = graph.find([noise(seed=1)])[0]
    graph.find([noise(), noise(seed=1)])
    assert (record.recorded, record.warmed, record.replayed) == (2, 2, 3)
    wanted = eager.find([noise()])[0], eager.find([noise(seed=1)])[0]
    for found, want in zip((first, second), wanted, strict=True):
        assert torch.equal(found.boxes_px, want.boxes_px)


def test_another_network_in_a_detector_is_recorded_anew(
    pair: tuple[Detector, Detector, Recorder],
) -> None:
    """As where a detection load is imposed: the old graph would find the old detections."""
    record = Recorder()
    graph = graphed(pair[0], record)
    before = graph.find([noise()])[0]

    class Silent(Program):
        def __init__(self, network: Program) -> None:
            super().__init__()
            self.network = network

        def forward(self, batch: Tensor, clock: Clock = no_clock) -> Predictions:
            raw: Predictions = self.network(batch, clock=clock)
            logits = torch.zeros_like(raw.class_logits)
            logits[..., 0] = 20.0  # the background
            return replace(raw, class_logits=logits)

    graph.network = Silent(graph.network)
    assert len(before) == 100
    assert len(graph.find([noise()])[0]) == 0
    assert record.recorded == 2


def test_what_is_taken_out_of_a_graph_is_its_own_memory() -> None:
    """A replay overwrites the graph's; detections of the image before must not change."""
    fixed = fixed_found(exact=[True])
    found = fixed.detections(0, 2, height=50, width=60, mask_threshold=0.5)
    for name in ("boxes", "scores", "mask_scores", "labels", "soft_masks"):
        before = getattr(found, name).clone()
        getattr(fixed, name).zero_()
        assert len(before) == 2
        assert torch.equal(getattr(found, name), before)


def test_the_host_learns_the_number_of_rows_and_the_flag_at_once() -> None:
    """Scores 0.9, 0.5, 0: the third row is empty."""
    fixed = fixed_found(exact=[True, False])
    assert state_of(fixed.scores, fixed.exact).tolist() == [[2, 1], [2, 0]]


def test_an_image_whose_flag_says_no_is_detected_again_and_counted(
    pair: tuple[Detector, Detector, Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two images: its fixed detections are all wrong, and none of them comes out."""
    eager, graph, _ = pair
    inner = graph._fixed
    assert inner is not None

    def doubtful(network: Program, pixels: Tensor, clock: Clock = no_clock) -> ProgramOutput:
        outcome = inner(network, pixels, clock)
        wrong = outcome.detections.scores.clone()
        wrong[1] = 0.123
        found = replace(outcome.detections, exact=torch.tensor([True, False]), scores=wrong)
        state = state_of(found.scores, found.exact)
        return ProgramOutput(predictions=outcome.predictions, detections=found, state=state)

    monkeypatch.setattr(graph, "_fixed", doubtful)
    images = [noise(), noise(seed=1)]
    results = graph.find(images)
    assert [found.exact for found in results] == [True, False]
    for found, wanted in zip(results, eager.find(images), strict=True):
        assert torch.equal(found.labels, wanted.labels)
        assert torch.allclose(found.scores, wanted.scores, atol=1e-5)


def test_stages_are_timed_in_a_graph_of_their_own(
    pair: tuple[Detector, Detector, Recorder],
) -> None:
    """Each stage lies between two marks 2 ms apart; the graph that is timed whole has none."""
    eager, _, _ = pair
    record, clock = Recorder(), StageClock("cpu")
    graph = graphed(eager, record)
    Event.recorded = 0
    graph.find([noise()])
    assert Event.recorded == 0
    graph.find([noise()], clock)
    taken = clock.take()
    assert record.recorded == 2
    inside = {name: taken[name] for name in ("backbone", "fpn", "protonet", "head", "nms")}
    assert set(inside.values()) == {2.0 * record.replayed}


def test_a_clock_of_a_graph_adds_up_a_stage_that_is_entered_twice() -> None:
    clock = GraphClock(Event)
    for _ in range(2):
        with clock("rescore"):
            pass
    assert clock.take() == {"rescore": 4.0}


def test_a_clock_that_takes_no_times_is_refused(pair: tuple[Detector, Detector, Recorder]) -> None:
    @contextmanager
    def stopwatch(stage: str) -> Iterator[None]:
        yield

    with pytest.raises(AssertionError, match="cannot time within a graph"):
        pair[1].find([noise()], stopwatch)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"nms": {"name": "soft"}},
            r"nms: soft has no form of fixed sizes.*cross_class_fast.*\{name: eager\}$",
        ),
        (
            {"rescore_net": {"name": "mask_scoring"}, "rescore": {"name": "mask_iou"}},
            r"rescore_net: .*maps.*name: mask_iou\}, or runtime: \{name: compiled\} or",
        ),
    ],
)
def test_what_does_not_work_in_fixed_sizes_is_refused_before_anything_runs(
    changes: dict[str, object], words: str
) -> None:
    run = preset("yolact_tiny").changed({"runtime": {"name": "cuda_graph"}, **changes})
    resolved = resolve_architecture(run)
    with torch.device("meta"):
        network = build_network(resolved, initial=False)
    with pytest.raises(SpecError, match=words):
        build_detector(resolved, network, device="meta")


@pytest.mark.slow
def test_compiled_detection_in_fixed_sizes_finds_what_eager_finds() -> None:
    eager = small_detector(**RESCORED)
    graph = graphed(eager, Recorder(), compiled=True)
    found, wanted = graph.find([noise()])[0], eager.find([noise()])[0]
    assert torch.equal(found.labels, wanted.labels)
    assert torch.equal(found.boxes_px, wanted.boxes_px)
    for name in ("scores", "mask_scores", "soft_masks"):
        assert torch.allclose(getattr(found, name), getattr(wanted, name), atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_cuda_graph_finds_what_the_compiled_network_finds(precision: str) -> None:
    """Over several images, so that a graph that forgot to read its input would be seen."""
    made = {}
    for name in ("compiled", "cuda_graph"):
        torch.manual_seed(0)
        made[name] = load_detector(
            "yolact_tiny", device="cuda", runtime={"name": name, "precision": precision}, **RESCORED
        )
    for seed in range(3):
        found, wanted = (made[name].find([noise(seed=seed)])[0] for name in made)
        assert len(found) == len(wanted) == 100
        assert float((found.boxes_px - wanted.boxes_px).abs().mean()) < 0.1
        assert torch.allclose(found.scores, wanted.scores, atol=1e-3)


def fixed_found(exact: list[bool]) -> FixedDetections:
    count = len(exact)
    return FixedDetections(
        boxes=torch.rand(count, 3, 4),
        scores=torch.tensor([[0.9, 0.5, 0.0]]).repeat(count, 1),
        mask_scores=torch.rand(count, 3),
        labels=torch.ones(count, 3, dtype=torch.int64),
        soft_masks=torch.rand(count, 3, 5, 5),
        exact=torch.tensor(exact),
    )
