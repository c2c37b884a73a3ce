"""A recorded step trains as the step itself does, whatever the batch."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from runners.training.held_batch import HeldBatch, Room
from runners.training.loop import Loop
from runners.training.options import TrainingOptions
from runners.training.step_graph import StepGraph, StepRecorder, recording_fault
from tests.support.loss_cases import as_on_a_device, objects
from tests.support.tape import TapeRecorder
from yolact_bench.build import build_network
from yolact_bench.data.batch import normalise
from yolact_bench.data.collate import Batch, collate
from yolact_bench.errors import ArmError
from yolact_bench.geometry.anchors import prototype_size
from yolact_bench.loss.match import ssd_match
from yolact_bench.loss.padded import pad_objects
from yolact_bench.runtime.cuda_graph import record_cuda_graph
from yolact_bench.runtime.recording import Replay
from yolact_bench.schedule import OPTIMIZERS
from yolact_bench.schedule.curves import Steps
from yolact_bench.schedule.optimizers import OptimizerName
from yolact_bench.shapes import Sample
from yolact_bench.spec.presets import preset
from yolact_bench.spec.run import Run
from yolact_bench.training_parts import build_losses_for, build_schedule

Step = Callable[[Batch], dict[str, Tensor]]
SIDE = 72
# The graph has room for 64 objects of an image, and of two images for as many in all.
COUNTS = [(5, 0), (0, 0), (65, 0), (3, 9), (1, 63)]
STOP = 4
RESCORING = {
    "rescore_net": {"name": "mask_iou", "channels": [4, 8]},
    "mask_iou_loss": {"name": "smooth_l1"},
}


def run_of(**changes: object) -> Run:
    """yolact_tiny with a rate that changes with every step."""
    run = preset("yolact_tiny").changed({"image_size": SIDE, "precision": "fp32"})
    return run.changed({"schedule.warmup": 50, "schedule.clip_norm": 1.0, **changes})


def loop_of(run: Run, folder: Path, recorder: StepRecorder | None, device: str = "cpu") -> Loop:
    torch.manual_seed(0)
    network = build_network(run, initial=False).to(torch.device(device))
    how = TrainingOptions(device=device, workers=0, recorder=recorder)
    return Loop(run, network, build_schedule(run), build_losses_for(run, network), folder, how)


def batch_of(counts: Sequence[int]) -> Batch:
    """Images of noise with so many objects, a third of them crowds."""
    size, random = prototype_size(SIDE), torch.Generator().manual_seed(sum(counts))
    images = torch.randint(256, (2, SIDE, SIDE, 3), dtype=torch.uint8, generator=random)
    targets = [objects(number, number // 3, size, number) for number in counts]
    pairs = zip(images, targets, strict=True)
    return collate([Sample(image=image, target=target) for image, target in pairs])


def batches() -> list[Batch]:
    return [batch_of(counts) for counts in COUNTS]


def train(loop: Loop, steps: Sequence[Batch]) -> None:
    for batch in steps:
        loop.step(batch)
        loop.iteration += 1


def state_of(loop: Loop) -> dict[str, Tensor]:
    """Weights, statistics and moments."""
    moments = loop.optimizer.state_dict()["state"]
    return {
        **loop.network.state_dict(),
        **{f"{row}.{name}": value for row, each in moments.items() for name, value in each.items()},
    }


def assert_equal(loop: Loop, other: Loop) -> None:
    ours, theirs = state_of(loop), state_of(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    for one, two in zip(loop.window, other.window, strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{"schedule.optimizer": "sgd", **RESCORING}, {"schedule.optimizer": "adamw"}]
)
def test_a_replay_trains_as_the_step_does_also_beside_batches_without_room(
    changes: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Bit for bit, and so does a training that stops and goes on with a graph of its own."""
    as_on_a_device(monkeypatch)
    run, recorder, every = run_of(**changes), TapeRecorder(), batches()
    plain, first = loop_of(run, tmp_path, None), loop_of(run, tmp_path, recorder)
    train(plain, every)
    with caplog.at_level(logging.WARNING):
        train(first, every[:STOP])
    first.save()
    second = loop_of(run, tmp_path, recorder)
    second.resume(tmp_path / "last.pt")
    train(second, every[STOP:])

    assert (recorder.recorded, recorder.replayed) == (2, len(COUNTS) - 1)
    assert first.graph is not None
    assert first.graph.num_unrecorded == 1
    assert [m for m in caplog.messages if "graph" in m] == [
        "--graph: 65 objects in an image are more than 64, so such steps are not replayed; "
        "the log counts them"
    ]
    assert len({float(losses["box"]) for losses in plain.window}) > 3  # else this shows little
    assert_equal(second, plain)


def small_step(name: OptimizerName) -> tuple[nn.Module, Optimizer, torch.Generator, Step]:
    """A step with everything that a graph must keep: statistics, moments, objects and draws."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    optimizer = Steps(optimizer=name, momentum=0.5).build_optimizer(network.parameters())
    generator = torch.Generator()

    def step(batch: Batch) -> dict[str, Tensor]:
        optimizer.zero_grad()
        x = normalise(batch.images, (0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
        table = pad_objects(batch.targets)
        seen = table.boxes.sum() + (~table.is_crowd).sum()
        drawn = torch.rand((), generator=generator)
        losses = {"a": network(x).square().mean() * drawn, "b": seen * network[0].weight.sum()}
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    return network, optimizer, generator, step


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_recording_changes_nothing_and_a_replay_reads_what_is_there_now(
    name: OptimizerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rate, the draws, the objects; of the batch that it was recorded with, only the sizes."""
    as_on_a_device(monkeypatch)
    schedule, outcomes = Steps(warmup=4), []
    for recorder in (None, TapeRecorder()):
        network, optimizer, generator, step = small_step(name)
        if recorder is not None:
            step = StepGraph(step, network, optimizer, generator, record=recorder)
        losses = []
        for number, batch in enumerate(batches()):
            schedule.set_lr(optimizer, number)
            generator.manual_seed(number)
            losses.append(step(batch))
        state = network.state_dict(), *losses, *optimizer.state.values()
        outcomes.append([value for part in state for value in part.values()])
    assert all(torch.equal(one, two) for one, two in zip(*outcomes, strict=True))


def test_one_place_in_tables_for_every_object_there_may_be() -> None:
    """Otherwise a crowd that fills up could take the place of an object."""
    static = HeldBatch(batches()[0], Room.for_images(2), torch.device("cpu"))
    for batch in batches():
        if not static.fault(batch):
            static.take(batch)
            image, row = static.batch.targets.places
            places = set(zip(image.tolist(), row.tolist(), strict=True))
            assert len(places) == len(image) == 64
            assert int(image.max()) < 2 and int(row.max()) < 64
            number = sum(batch.targets.counts)
            assert torch.equal(static.batch.targets.places[:, :number], batch.targets.places)
            assert static.batch.targets.objects.is_crowd[number:].all()


def test_other_sizes_of_images_are_no_part_of_a_graph() -> None:
    batch = batches()[0]
    static = HeldBatch(batch, Room.for_images(2), torch.device("cpu"))
    assert static.fault(batch) == ""
    smaller = replace(batch, images=batch.images[:, 1:, 1:])
    assert static.fault(smaller) == "images or masks are of another size"
    assert static.fault(batch_of((40, 30))) == "70 objects in a batch are more than 64"


def test_what_cannot_be_recorded_is_said_and_trained_as_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_of()
    losses = build_losses_for(run, build_network(run, initial=False))
    assert recording_fault(losses, ranks=1, precision="bf16") == ""
    assert recording_fault(losses, ranks=2, precision="bf16").startswith("several devices")
    losses.matcher = lambda *given: ssd_match(*given)  # noqa: PLW0108 - states no form
    fault = recording_fault(losses, ranks=1, precision="bf16")
    assert fault == "the component of matcher takes one image at a time"
    loop = loop_of(run_of(precision="fp16"), tmp_path, TapeRecorder())
    assert loop.graph is None and not loop.ways["record_step"]
    assert "--graph: in fp16 the host reads" in caplog.text


def test_a_step_that_a_device_refuses_to_record_ends_the_arm() -> None:
    network, optimizer, generator, step = small_step("sgd")

    def refuse(*_: object) -> Replay:
        raise RuntimeError("operation not permitted when stream is capturing")

    graph = StepGraph(step, network, optimizer, generator, record=refuse)
    with pytest.raises(ArmError, match=r"cannot be recorded: operation not permitted.*; train"):
        graph(batches()[0])


def test_cudnn_times_its_algorithms_in_a_step_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, seen = loop_of(run_of(), tmp_path, None), []
    monkeypatch.setattr(loop, "update", lambda _: seen.append(torch.backends.cudnn.benchmark) or {})
    for wanted in (False, True):
        loop.how = replace(loop.how, cudnn_benchmark=wanted)
        loop.step(batches()[0])
    assert seen == [False, True]
    assert not torch.backends.cudnn.benchmark


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(
    "changes", [{"schedule.optimizer": "sgd", **RESCORING}, {"schedule.optimizer": "adamw"}]
)
def test_on_a_gpu_a_graph_trains_as_the_step_does(
    changes: dict[str, object], tmp_path: Path
) -> None:
    """Sums by atomics round otherwise each time, which batch norm amplifies from step to step."""
    run, every = run_of(**changes), [batch.pin_memory() for batch in batches()]
    plain = loop_of(run, tmp_path, None, "cuda")
    recorded = loop_of(run, tmp_path, record_cuda_graph, "cuda")
    train(plain, every)
    train(recorded, every)

    assert recorded.graph is not None
    assert recorded.graph.num_unrecorded == 1
    for number, (one, two) in enumerate(zip(recorded.window, plain.window, strict=True)):
        for name in two:
            limit = 1e-4 if number < 2 else 0.05
            torch.testing.assert_close(one[name], two[name], rtol=limit, atol=limit)
    counters = [name for name in plain.network.state_dict() if name.endswith("num_batches_tracked")]
    ours, theirs = state_of(recorded), state_of(plain)
    assert counters and all(torch.equal(ours[name], theirs[name]) for name in counters)
