"""Which executor a command gets, and what its workers see of the machine."""

from pathlib import Path

import pytest
import torch

from runners.executors import ExecutorSettings, make_executor, slot_environments
from runners.executors.local import LocalExecutor
from yolact_bench.errors import SpecError


@pytest.fixture
def four_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def on_cpu(settings: ExecutorSettings, *, workers: bool = False) -> object:
    return make_executor(settings, work_dir=Path(), device="cpu", alone=False, workers=workers)


def devices(settings: ExecutorSettings, *, device: str = "cuda", alone: bool = False) -> list[str]:
    environments = slot_environments(settings, device=device, alone=alone, num_cuda=4)
    return [one["CUDA_VISIBLE_DEVICES"] for one in environments]


def test_one_slot_is_this_process_and_two_are_workers() -> None:
    assert on_cpu(ExecutorSettings()) is None
    assert on_cpu(ExecutorSettings(executor="here")) is None
    assert isinstance(on_cpu(ExecutorSettings(slots=2)), LocalExecutor)
    assert isinstance(on_cpu(ExecutorSettings(executor="local")), LocalExecutor)
    assert isinstance(on_cpu(ExecutorSettings(), workers=True), LocalExecutor)


@pytest.mark.parametrize(("slots", "threads"), [(1, "4"), (2, "2"), (3, "1"), (8, "1")])
def test_slots_of_a_cpu_share_its_threads(slots: int, threads: str, four_threads: object) -> None:
    environments = slot_environments(ExecutorSettings(slots=slots), device="cpu", alone=False)
    assert [one["OMP_NUM_THREADS"] for one in environments] == [threads] * slots


def test_each_arm_gets_devices_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices(ExecutorSettings()) == ["0", "1", "2", "3"]
    assert devices(ExecutorSettings(devices=2)) == ["0,1", "2,3"]
    assert devices(ExecutorSettings(devices=3)) == ["0,1,2"]
    assert devices(ExecutorSettings(slots=2)) == ["0", "1"]


def test_devices_hidden_from_this_process_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,5,GPU-8c1b,2")
    assert devices(ExecutorSettings(devices=2)) == ["7,5", "GPU-8c1b,2"]
    assert devices(ExecutorSettings(slots=1), device="cuda:1", alone=True) == ["5"]


def test_a_named_device_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices(ExecutorSettings(), alone=True) == ["0"]
    assert devices(ExecutorSettings(), device="cuda:2", alone=True) == ["2"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ExecutorSettings(executor="loca"), "did you mean 'local'"),
        (ExecutorSettings(slots=0), "--slots 0: expected 1 or more"),
        (ExecutorSettings(devices=0), "--devices 0: expected 1 or more"),
        (ExecutorSettings(executor="here", slots=2), "omit --slots or --executor"),
        (ExecutorSettings(address="10.0.0.1:6379"), "only valid with --executor ray"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(
    settings: ExecutorSettings, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        on_cpu(settings)


def test_more_devices_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(SpecError, match="need 6 CUDA devices; there are 4"):
        devices(ExecutorSettings(slots=3, devices=2))
    with pytest.raises(SpecError, match="need 8 CUDA devices; there are 4"):
        devices(ExecutorSettings(devices=8))
