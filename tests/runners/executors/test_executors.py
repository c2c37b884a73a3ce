"""Which executor a command gets, and what its workers see of the machine."""

from pathlib import Path

import pytest
import torch

from runners.executors import Placement, make_executor, slot_environments
from runners.executors.local import LocalExecutor
from yolact_bench.errors import SpecError


@pytest.fixture
def four_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def on_cpu(placement: Placement, *, workers: bool = False) -> object:
    return make_executor(placement, work_dir=Path(), device="cpu", alone=False, workers=workers)


def devices(placement: Placement, *, device: str = "cuda", alone: bool = False) -> list[str]:
    environments = slot_environments(placement, device=device, alone=alone, num_cuda=4)
    return [one["CUDA_VISIBLE_DEVICES"] for one in environments]


def test_one_slot_is_this_process_and_two_are_workers() -> None:
    assert on_cpu(Placement()) is None
    assert on_cpu(Placement(executor="here")) is None
    assert isinstance(on_cpu(Placement(slots=2)), LocalExecutor)
    assert isinstance(on_cpu(Placement(executor="local")), LocalExecutor)
    assert isinstance(on_cpu(Placement(), workers=True), LocalExecutor)


@pytest.mark.parametrize(("slots", "threads"), [(1, "4"), (2, "2"), (3, "1"), (8, "1")])
def test_slots_of_a_cpu_share_its_threads(slots: int, threads: str, four_threads: object) -> None:
    environments = slot_environments(Placement(slots=slots), device="cpu", alone=False)
    assert [one["OMP_NUM_THREADS"] for one in environments] == [threads] * slots


def test_each_arm_gets_devices_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices(Placement()) == ["0", "1", "2", "3"]
    assert devices(Placement(devices=2)) == ["0,1", "2,3"]
    assert devices(Placement(devices=3)) == ["0,1,2"]
    assert devices(Placement(slots=2)) == ["0", "1"]


def test_devices_hidden_from_this_process_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,5,GPU-8c1b,2")
    assert devices(Placement(devices=2)) == ["7,5", "GPU-8c1b,2"]
    assert devices(Placement(slots=1), device="cuda:1", alone=True) == ["5"]


def test_a_named_device_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices(Placement(), alone=True) == ["0"]
    assert devices(Placement(), device="cuda:2", alone=True) == ["2"]


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        (Placement(executor="loca"), "did you mean 'local'"),
        (Placement(slots=0), "--slots 0: expected 1 or more"),
        (Placement(devices=0), "--devices 0: expected 1 or more"),
        (Placement(executor="here", slots=2), "omit --slots or --executor"),
        (Placement(address="10.0.0.1:6379"), "only valid with --executor ray"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(placement: Placement, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        on_cpu(placement)


def test_more_devices_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(SpecError, match="need 6 CUDA devices; there are 4"):
        devices(Placement(slots=3, devices=2))
    with pytest.raises(SpecError, match="need 8 CUDA devices; there are 4"):
        devices(Placement(devices=8))
