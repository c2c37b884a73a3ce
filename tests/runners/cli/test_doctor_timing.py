"""The doctor says whether times taken now would count."""

import os

import pytest

from runners.cli import doctor
from runners.cli.doctor import Check
from runners.timing.device.watch import DeviceWatch
from tests.support.fake_nvml import UUID, FakeNvml
from yolact_bench.results.device_facts import DeviceFacts, HostFacts


def timing_check(nvml: FakeNvml) -> Check:
    with DeviceWatch(UUID, nvml=nvml, interval_s=0.0, sleep=lambda _: None) as session:
        session.look()
    return doctor._would_count("timing on GPU 0", session.facts())


def test_a_free_and_cool_gpu_would_count() -> None:
    check = timing_check(FakeNvml(pids=(os.getpid(),)))
    state = "SM 1980 of 1980 MHz, 300 of 700 W, 45 °C, not throttled, MIG off"
    assert check.detail.startswith("times would count")
    assert check.detail.endswith(state)


@pytest.mark.parametrize(
    ("nvml", "reason"),
    [
        (FakeNvml(pids=(os.getpid(), 2**22 + 1)), "shared: the GPU was in use by a process"),
        (FakeNvml(pids=(os.getpid(),), reasons=0x40), "throttled: hardware thermal slowdown"),
    ],
)
def test_a_shared_or_throttled_gpu_would_not(nvml: FakeNvml, reason: str) -> None:
    check = timing_check(nvml)
    assert check.state == "warn"
    assert check.detail.startswith(f"times would not count now; {reason}")
    assert check.remedy


def test_a_busy_cpu_would_count_with_a_warning() -> None:
    host = HostFacts(
        seconds=1.0,
        cores=2,
        governor="performance",
        load_before=1.0,
        load_after=1.0,
        own_cores=0.0,
        others_cores=1.0,
        steal=None,
        quota_wait_s=None,
    )
    warning = "other programs kept 1.0 of 2 CPU cores busy"
    check = doctor._would_count("timing on the CPU", DeviceFacts(host=host, warnings=(warning,)))
    assert (check.state, check.remedy) == ("warn", "stop other programs before timing")
    assert check.detail == (
        f"times would count, with a warning; {warning}; CPU cores in use by other programs: 1.0 "
        "of 2, governor performance"
    )
