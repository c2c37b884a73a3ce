"""Which executor a command gets, and what its workers see of the machine."""

from pathlib import Path

import pytest
import torch

from runners.executors import ExecutorRequest, make_executor, make_workers, slot_environments
from runners.executors.local import LocalExecutor
from yolact_bench.errors import SpecError


@pytest.fixture
def four_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def on_cpu(name: str | None = None, **options: int) -> ExecutorRequest:
    return ExecutorRequest(name=name, work_dir=Path(), device="cpu", **options)  # type: ignore[arg-type]


def visible_devices(
    slots: int | None = None, devices: int = 1, *, named: str | None = None
) -> list[str]:
    request = ExecutorRequest(
        slots=slots, devices=devices, work_dir=Path(), device=named or "cuda", named=named
    )
    return [one["CUDA_VISIBLE_DEVICES"] for one in slot_environments(request, num_cuda=4)]


def test_one_slot_is_this_process_and_two_are_workers() -> None:
    assert make_executor(on_cpu()) is None
    assert make_executor(on_cpu("here")) is None
    assert isinstance(make_executor(on_cpu(slots=2)), LocalExecutor)
    assert isinstance(make_executor(on_cpu("local")), LocalExecutor)


@pytest.mark.parametrize("name", [None, "here", "local"])
def test_trials_of_a_sweep_have_workers_whatever_the_executor(name: str | None) -> None:
    assert isinstance(make_workers(on_cpu(name)), LocalExecutor)


@pytest.mark.parametrize(("slots", "threads"), [(1, "4"), (2, "2"), (3, "1"), (8, "1")])
def test_slots_of_a_cpu_share_its_threads(slots: int, threads: str, four_threads: object) -> None:
    environments = slot_environments(on_cpu(slots=slots))
    assert [one["OMP_NUM_THREADS"] for one in environments] == [threads] * slots


def test_each_arm_gets_devices_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_devices() == ["0", "1", "2", "3"]
    assert visible_devices(devices=2) == ["0,1", "2,3"]
    assert visible_devices(devices=3) == ["0,1,2"]
    assert visible_devices(slots=2) == ["0", "1"]


def test_devices_hidden_from_this_process_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,5,GPU-8c1b,2")
    assert visible_devices(devices=2) == ["7,5", "GPU-8c1b,2"]
    assert visible_devices(slots=1, named="cuda:1") == ["5"]


def test_a_named_device_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_devices(named="cuda") == ["0"]
    assert visible_devices(named="cuda:2") == ["2"]


@pytest.mark.parametrize(
    ("name", "slots", "message"),
    [("loca", 1, "did you mean 'local'"), ("here", 2, "omit --slots or --executor")],
)
def test_what_cannot_be_is_refused_with_what_to_write(name: str, slots: int, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make_executor(on_cpu(name, slots=slots))


def test_more_devices_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(SpecError, match="need 6 CUDA devices; there are 4"):
        visible_devices(slots=3, devices=2)
    with pytest.raises(SpecError, match="need 8 CUDA devices; there are 4"):
        visible_devices(devices=8)
