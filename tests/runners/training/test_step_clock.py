"""The times in a training's log: of the last steps, of the loader, of host and device."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from runners.arms.train import ensure_trained
from runners.system.progress import losses_text, progress_line
from runners.training.checkpoint import seed_generators
from runners.training.loop import Loop
from runners.training.options import TrainingOptions
from runners.training.step_clock import DeviceTimes, StepClock, StepTimes, warm_up
from tests.runners.training.test_training import unit, weights
from tests.support.loss_cases import as_on_a_device
from yolact_bench.build import build_network
from yolact_bench.data.batch import TrainingLoader
from yolact_bench.data.collate import Batch
from yolact_bench.loss import match
from yolact_bench.loss.claims import claims
from yolact_bench.training_parts import build_losses_for, build_schedule, build_training_loader
from yolact_bench.triton_kernel import power_of_two


class Time:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Device:
    """A GPU with work in order: events that have been reached, at what millisecond."""

    def __init__(self) -> None:
        self.ms, self.reached = 0.0, 0
        self.events: list[Device.Event] = []

    class Event:
        def __init__(self, device: "Device") -> None:
            self.device, self.ms, self.number = device, 0.0, 0

        def record(self) -> None:
            self.device.events.append(self)
            self.ms, self.number = self.device.ms, len(self.device.events)

        def query(self) -> bool:
            return self.number <= self.device.reached

        def elapsed_time(self, end_event: "Device.Event") -> float:
            assert self.query() and end_event.query(), "that would wait"
            return end_event.ms - self.ms

    def event(self) -> "Device.Event":
        return Device.Event(self)


def test_an_interval_has_the_rate_of_its_own_steps() -> None:
    """2 steps of 8 images in 1 + 3 s, then 2 in 1 + 1 s: 4 and 8 images a second."""
    time = Time()
    clock = StepClock(now=time)
    clock.start(50.0)
    rates = []
    for seconds in ((1.0, 3.0), (1.0, 1.0)):
        for one in seconds:
            with clock.step():
                time.now += one
        rates.append(clock.end_interval(8).images_per_second)
    assert rates == pytest.approx([4.0, 8.0])
    assert clock.seconds() == pytest.approx(56.0)


def test_waiting_for_the_loader_and_work_of_the_host_are_means_of_a_step() -> None:
    """Two steps: 100 + 300 ms for batches, 50 + 150 ms in steps, 200 ms for a checkpoint."""
    time = Time()
    clock = StepClock(now=time)
    for wait, work in ((0.1, 0.05), (0.3, 0.15)):
        with clock.waiting():
            time.now += wait
        with clock.step():
            time.now += work
    time.now += 0.2
    got = clock.end_interval(4)
    assert (got.step_ms, got.loader_ms, got.host_ms) == pytest.approx((400.0, 200.0, 100.0))
    assert got.device_ms is None
    assert "device_ms" not in got.numbers()
    assert got.text() == "now 10.0  loader 50%"


def test_a_pause_is_in_no_time() -> None:
    time = Time()
    clock = StepClock(now=time)
    with clock.step():
        time.now += 1.0
    with clock.pause():
        time.now += 30.0
    assert clock.seconds() == pytest.approx(1.0)
    assert clock.end_interval(2).images_per_second == pytest.approx(2.0)


def test_steps_that_the_device_has_not_ended_count_in_the_next_interval() -> None:
    """Of three steps of 10, 20 and 60 ms it has ended two: 15 ms; then the third: 60 ms."""
    device = Device()
    clock = StepClock(DeviceTimes(device.event), now=Time())
    for ms in (10.0, 20.0, 60.0):
        with clock.step():
            device.ms += ms
        device.ms += 1000.0  # the device waits for the next
    device.reached = 4
    assert clock.end_interval(1).device_ms == pytest.approx(15.0)
    device.reached = 6
    assert clock.end_interval(1).device_ms == pytest.approx(60.0)
    assert clock.end_interval(1).device_ms is None


def test_shares_of_a_step_are_shown_and_the_line_stays_whole_at_60_columns() -> None:
    times = StepTimes(
        images_per_second=131.24, step_ms=250.0, loader_ms=5.0, host_ms=100.0, device_ms=240.0
    )
    assert times.text() == "now 131.2  loader 2%  host 40%  device 96%"
    losses = losses_text({"box": 1.2, "class": 3.4, "mask": 2.25, "semantic": 0.5})
    facts = f"{losses}  120.3 images/s  {times.text()}"
    for width in (60, 80, 120, 200):
        line = progress_line("train k_4", 30, 60, facts, left=90.0, width=width)
        assert len(line) <= width
        assert "  30/60  " in line
        assert line.endswith("  1 min 30 s left")
    assert facts in line


def test_warming_up_leaves_buffers_and_random_numbers_as_they_were() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    seen: list[Tensor] = []

    def backward() -> None:
        network(torch.rand(2, 3, 5, 5)).sum().backward()
        seen.append(network[1].running_mean.clone())  # type: ignore[union-attr, operator]

    assert warm_up(backward, network, "cpu") > 0
    assert not torch.equal(seen[0], before["1.running_mean"])  # otherwise this tests nothing
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.rand(4), expected)


def test_a_training_that_was_warmed_up_ends_bit_for_bit_as_one_that_was_not(
    tmp_path: Path,
) -> None:
    one, place = unit(tmp_path)
    plain = weights(ensure_trained(one, place).weights)
    seed_generators(one.run.seed)
    loop, loader = loop_of(tmp_path, TrainingOptions(device="cpu", workers=0))
    loop.is_warm = False
    loop.run_all(loader, lambda done, facts: None)
    assert loop.is_warm
    now = loop.network.state_dict()
    assert all(torch.equal(value, plain[name]) for name, value in now.items())


def loop_of(folder: Path, how: TrainingOptions) -> tuple[Loop, TrainingLoader]:
    """The small training, of three iterations of two images."""
    one, place = unit(folder)
    run, data = one.run, place.datasets.open(one.data, "train")
    network = build_network(run).to(memory_format=torch.channels_last)
    loop = Loop(run, network, build_schedule(run), build_losses_for(run, network), folder, how)
    return loop, build_training_loader(run, network, data, start_iteration=0, workers=0)


def test_neither_warm_up_nor_validation_is_in_a_rate_and_the_warm_up_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """20 s of warm-up, a validation of 500 s after each of the first two steps of 1 s."""
    time = Time()

    def validate(network: nn.Module) -> dict[str, float]:
        time.now += 500.0
        return {}

    how = TrainingOptions(device="cpu", workers=0, validate=validate, validate_every=1)
    loop, loader = loop_of(tmp_path, how)
    loop.clock, loop.is_warm = StepClock(now=time), False
    lasts, backward = iter([20.0, 1.0, 1.0, 1.0]), loop.backward

    def slow(batch: Batch) -> dict[str, Tensor]:
        time.now += next(lasts)
        return backward(batch)

    monkeypatch.setattr(loop, "backward", slow)
    with caplog.at_level("INFO"):
        loop.run_all(loader, lambda done, facts: None)
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert line["seconds"] == pytest.approx(3.0)
    size = loop.schedule.batch_size
    assert line["images_per_second"] == pytest.approx(size)
    assert line["interval"]["images_per_second"] == pytest.approx(size)
    assert line["interval"]["host_ms"] == pytest.approx(1000.0)
    assert sum("Kernels are ready" in one.getMessage() for one in caplog.records) == 1


@pytest.mark.parametrize("compile_network", [False, True])
def test_a_network_that_is_compiled_warms_up_on_a_cpu_too(
    tmp_path: Path, compile_network: bool
) -> None:
    how = TrainingOptions(device="cpu", workers=0, compile_network=compile_network)
    assert loop_of(tmp_path, how)[0].is_warm is not compile_network


def test_warming_up_compiles_the_matching_of_any_number_of_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1 to 64 objects; a kernel serves as many as the power of two that it is compiled for."""
    loop, loader = loop_of(tmp_path, TrainingOptions(device="cpu", workers=0))
    as_on_a_device(monkeypatch)
    blocks: set[int] = set()

    def of_batch(best: Tensor) -> tuple[Tensor, Tensor]:
        blocks.add(power_of_two(best.shape[1]))
        return claims(best)

    monkeypatch.setattr(match, "claims_of_batch", of_batch)
    loop.warm_up(next(iter(loader)))
    assert blocks == {power_of_two(objects) for objects in range(1, 65)}


def test_the_log_has_the_times_of_the_last_steps_beside_the_average(tmp_path: Path) -> None:
    one, place = unit(tmp_path)
    ensure_trained(one, place)
    log = place.checkpoint_folder(one.run) / "log.jsonl"
    line = json.loads(log.read_text().splitlines()[-1])
    times = line["interval"]
    assert set(times) == {"images_per_second", "step_ms", "loader_ms", "host_ms"}
    assert times["images_per_second"] == pytest.approx(line["images_per_second"], rel=0.5)
    assert 0 < times["loader_ms"] + times["host_ms"] <= times["step_ms"]
