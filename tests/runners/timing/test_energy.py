"""Millijoules of an image, from a counter that all arms share."""

from types import SimpleNamespace

import pytest
import torch

from runners.timing.device.watch import watch
from runners.timing.footprint import energy_per_image, peak_memory_mb


class Bench:
    """A fake clock and counter: arm → (seconds, watts) of a call."""

    def __init__(self, **arms: tuple[float, float]) -> None:
        self.seconds, self.millijoule, self.calls = 0.0, 0.0, list[str]()
        self.arms = arms

    def steps(self) -> dict[str, object]:
        return {name: self._step(name) for name in self.arms}

    def _step(self, name: str) -> object:
        seconds, watts = self.arms[name]

        def step(_: int) -> None:
            self.calls.append(name)
            self.seconds += seconds
            self.millijoule += 1000 * watts * seconds

        return step

    def measure(self, **options: float | int) -> dict[str, float | None]:
        return energy_per_image(
            self.steps(),  # type: ignore[arg-type]
            lambda: self.millijoule,
            now=lambda: self.seconds,
            **options,  # type: ignore[arg-type]
        )


def test_energy_is_power_times_time_of_a_call() -> None:
    """10 ms at 300 W are 3000 mJ; 20 ms at 100 W are 2000 mJ."""
    found = Bench(quick=(0.010, 300.0), slow=(0.020, 100.0)).measure()
    assert found == {"quick": pytest.approx(3000.0), "slow": pytest.approx(2000.0)}


def test_the_energy_of_a_batch_is_divided_by_its_images() -> None:
    found = Bench(eight=(0.010, 400.0)).measure(batch_size=8)
    assert found == {"eight": pytest.approx(500.0)}  # 4000 mJ / 8


def test_arms_take_turns() -> None:
    bench = Bench(a=(0.1, 1.0), b=(0.1, 1.0))
    bench.measure()
    turns = [n for n, name in enumerate(bench.calls) if n == 0 or bench.calls[n - 1] != name]
    assert len(turns) >= 4  # three blocks each, of which neighbours may join


def test_without_a_counter_there_is_no_energy_and_no_call() -> None:
    calls: list[int] = []
    found = energy_per_image({"a": calls.append}, lambda: None)
    assert found == {"a": None}
    assert calls == []


def test_too_little_time_for_the_counter_gives_none() -> None:
    """3 s for 3 blocks of one arm leave a second each, of which 0.3 s settle."""
    bench = Bench(a=(0.01, 100.0))
    assert bench.measure(max_seconds=3.0) == {"a": None}
    assert bench.calls == []


def test_a_counter_that_stands_still_gives_none() -> None:
    bench = Bench(a=(0.01, 0.0))
    assert bench.measure() == {"a": None}


class Arm:
    """A call that makes 64 MiB beside weights of 4 MiB."""

    def __init__(self, device: str) -> None:
        network = torch.nn.Linear(1024, 1024, bias=False, device=device)
        self.detector = SimpleNamespace(network=network)
        self.device, self.calls = device, 0

    def prepare(self, number: int) -> None:
        """Nothing is prepared."""

    def call(self, number: int) -> object:
        self.calls += 1
        return torch.ones(64 * 2**20, dtype=torch.uint8, device=self.device)


def test_memory_is_not_measured_on_a_cpu_and_nothing_is_called() -> None:
    arm = Arm("cpu")
    assert peak_memory_mb(arm, torch.device("cpu")) is None
    assert arm.calls == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_gpu_counts_memory_and_draws_power() -> None:
    """No GPU idles below 1 W."""
    device, arm = torch.device("cuda"), Arm("cuda")
    assert peak_memory_mb(arm, device) == pytest.approx(68.0, rel=0.05)
    with watch(device) as session:
        counted = session.energy_mj is not None
        energy = energy_per_image(
            {"a": arm.call}, lambda: session.energy_mj, max_seconds=8.0, wait=torch.cuda.synchronize
        )
    assert (energy["a"] is not None) == counted
