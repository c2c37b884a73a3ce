"""What a recorded graph may do otherwise: cuDNN's choice of algorithms, two streams."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from tests.support.recorders import Event, Recorder
from tests.support.small_detector import empty_program, small_detector
from yolact_bench.catalog import components
from yolact_bench.clock import Clock
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.model.network import Yolact
from yolact_bench.resolve import resolve_architecture
from yolact_bench.runtime.cuda_graph import cuda_graph, record_cuda_graph
from yolact_bench.runtime.cudnn_choice import with_cudnn_benchmark
from yolact_bench.runtime.recording import RecordedStep, Replay
from yolact_bench.runtime.runtime import Program
from yolact_bench.runtime.two_streams import TwoStreams
from yolact_bench.slots import resolve
from yolact_bench.spec.presets import preset


@pytest.fixture
def flag() -> Iterator[None]:
    """Leave cuDNN's flag as it was."""
    before = torch.backends.cudnn.benchmark
    yield
    torch.backends.cudnn.benchmark = before


@pytest.mark.usefixtures("flag")
@pytest.mark.parametrize("before", [False, True])
def test_cudnn_times_its_algorithms_while_a_graph_is_recorded_and_not_after(before: bool) -> None:
    """In warming up and recording; a replay chooses nothing."""
    seen: list[bool] = []

    def step(program: Program, batch: Tensor, clock: Clock) -> Tensor:
        seen.append(torch.backends.cudnn.benchmark)
        return batch + 1

    torch.backends.cudnn.benchmark = before
    record = Recorder()
    recorded = RecordedStep(step, record=with_cudnn_benchmark(record), event=Event)
    found = recorded(empty_program(), torch.ones(2))
    assert torch.equal(found, torch.full((2,), 2.0))
    assert (record.warmed, record.recorded, record.replayed) == (1, 1, 1)
    assert seen == [True, True, before]
    assert torch.backends.cudnn.benchmark == before


@pytest.mark.usefixtures("flag")
def test_the_flag_is_restored_after_an_error() -> None:
    torch.backends.cudnn.benchmark = False

    def record(run: Callable[[], None], warm_up: Callable[[], None]) -> Replay:
        assert torch.backends.cudnn.benchmark
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        with_cudnn_benchmark(record)(_nothing, _nothing)
    assert not torch.backends.cudnn.benchmark


@pytest.mark.usefixtures("flag")
def test_algorithms_are_timed_in_one_thread_of_their_own_with_the_callers_modes() -> None:
    """What another thread has chosen, which stays for it, is not what is recorded."""
    seen = []

    def record(run: Callable[[], None], warm_up: Callable[[], None]) -> Replay:
        seen.append((threading.get_ident(), torch.is_inference_mode_enabled()))
        assert torch.is_grad_enabled() == (not torch.is_inference_mode_enabled())
        return run

    for is_inference in (True, False):
        with torch.inference_mode(is_inference):
            with_cudnn_benchmark(record)(_nothing, _nothing)
    assert [mode for _, mode in seen] == [True, False]
    assert len({thread for thread, _ in seen} - {threading.get_ident()}) == 1


class Stream:
    """Notes in one list what waits for what."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes

    def wait_stream(self, stream: "Stream") -> None:
        self.notes.append(f"{self.name} waits for {stream.name}")


def two_streams(notes: list[str]) -> TwoStreams:
    """Two fake streams, of which the current one is named in the notes of functions."""
    main = Stream("main", notes)
    current = [main]

    @contextmanager
    def on(stream: Stream) -> Iterator[None]:
        current.append(stream)
        yield
        current.pop()

    made = TwoStreams(lambda: Stream("side", notes), lambda: current[-1], on)
    made.note = lambda what: notes.append(f"{what} on {current[-1].name}")  # type: ignore[attr-defined]
    return made


def test_two_streams_part_before_both_functions_and_meet_after_them() -> None:
    """The second time on the same stream, which again waits for what came before."""
    notes: list[str] = []
    streams = two_streams(notes)
    note = streams.note  # type: ignore[attr-defined]
    for _ in range(2):
        assert streams(lambda: note("protonet") or 1, lambda: note("head") or 2) == (1, 2)
        note("nms")
    once = [
        "side waits for main",
        "protonet on side",
        "head on main",
        "main waits for side",
        "nms on main",
    ]
    assert notes == once * 2


def test_protonet_and_head_are_what_runs_side_by_side_and_only_untimed() -> None:
    """A clock's stages follow one another: else each would count the other's time."""
    trained = small_detector().network
    assert isinstance(trained, Yolact)
    network, notes = InferenceNetwork(trained), []
    x = torch.randn(1, 3, 72, 72, generator=torch.Generator().manual_seed(0))
    wanted = network(x)
    network.run_both = two_streams(notes)
    for name in ("backbone", "fpn", "protonet", "head"):
        part = getattr(network, name)
        part.register_forward_hook(lambda *_, n=name: network.run_both.note(n))  # type: ignore[union-attr]
    found = network(x)
    assert notes == [
        "backbone on main",
        "fpn on main",
        "side waits for main",
        "protonet on side",
        "head on main",
        "main waits for side",
    ]
    for name in ("boxes", "class_logits", "coefficients", "prototypes"):
        assert torch.equal(getattr(found, name), getattr(wanted, name))
    notes.clear()
    stages: list[str] = []

    @contextmanager
    def clock(stage: str) -> Iterator[None]:
        stages.append(stage)
        yield

    network(x, clock=clock)
    assert stages == ["backbone", "fpn", "protonet", "head"]
    assert notes == [f"{stage} on main" for stage in stages]


def test_the_options_change_a_digest_and_their_defaults_do_not() -> None:
    """An arm of before, with nothing but a precision and its tuning, is the same arm."""
    choice = resolve("runtime", components("runtime"), {"name": "cuda_graph"})
    assert choice == {"name": "cuda_graph", "precision": "fp32", "tuning": "default"}
    run = preset("yolact_tiny")
    digests = {
        resolve_architecture(run.changed({"runtime": {"name": "cuda_graph", **more}})).detect_digest
        for more in (
            {},
            {"epilogues": "separate", "cudnn": "heuristic", "streams": 1},
            {"epilogues": "fused"},
            {"cudnn": "benchmark"},
            {"streams": 2},
        )
    }
    assert len(digests) == 4


def test_a_graph_has_one_stream_unless_it_is_to_have_two() -> None:
    assert cuda_graph().prepare(empty_program()).run_both is None
    assert isinstance(cuda_graph(streams=2).prepare(empty_program()).run_both, TwoStreams)


def _nothing() -> None:
    """Stand for work."""


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("is_timed", [False, True])
def test_a_graph_with_two_streams_computes_what_one_does(is_timed: bool) -> None:
    """Of convolutions whose algorithms cuDNN has timed, or not; over several replays."""
    record = with_cudnn_benchmark(record_cuda_graph) if is_timed else record_cuda_graph
    weight = torch.randn(32, 32, 3, 3, device="cuda")
    x, streams, made = torch.empty(2, 32, 65, 65, device="cuda"), TwoStreams(), []

    def chain(count: int) -> Tensor:
        y = x
        for _ in range(count):
            y = torch.nn.functional.conv2d(y, weight, padding=1) / 17
        return y

    def run() -> None:
        one, other = streams(lambda: chain(3), lambda: chain(2))
        made.append(one + other)

    before = torch.backends.cudnn.benchmark
    with torch.inference_mode():
        replay = record(run, run)
        for seed in range(3):
            torch.manual_seed(seed)
            x.normal_()
            replay()
            assert torch.allclose(made[-1], chain(3) + chain(2), atol=1e-2)
    assert torch.backends.cudnn.benchmark == before
