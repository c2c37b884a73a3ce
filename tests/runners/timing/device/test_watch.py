"""A watched session counts, unless its GPU was throttled or shared."""

import os
from pathlib import Path

import pytest
import torch

from runners.timing.device.host import HostReading, host_facts, host_warnings, read_host
from runners.timing.device.nvml import REASONS, is_own_process, open_gpu, reason_words
from runners.timing.device.watch import DeviceWatch, watch
from tests.support.fake_nvml import SLICE, UUID, FakeNvml
from yolact_bench.results.device_facts import (
    CAPPED,
    SLOWED,
    DeviceFacts,
    HostFacts,
    read_device_facts,
)
from yolact_bench.results.serialise import to_plain

ME = os.getpid()
STRANGER = 2**22 + 1  # above the largest process number of Linux
STRANGERS = {STRANGER: "/opt/tools/bin/train"}


def watched(nvml: FakeNvml, *rounds: dict[str, object]) -> DeviceFacts:
    """The facts of a session in which the GPU changes before each sample as `rounds` say."""
    seconds = [0.0]
    with DeviceWatch(UUID, nvml=nvml, now=lambda: seconds[0], sleep=lambda _: None) as session:
        for changes in rounds:
            for name, value in changes.items():
                setattr(nvml, name, value)
            seconds[0] += 1.0
            session.look()
    assert nvml.open == 0
    return session.facts()


def test_a_quiet_session_counts_and_its_samples_are_summed_up() -> None:
    nvml = FakeNvml(pids=(ME,))
    facts = watched(
        nvml,
        {"sm_mhz": 1900, "celsius": 50},
        {"sm_mhz": 1980, "celsius": 52, "milliwatt": 400_000},
        {"sm_mhz": 1950, "celsius": 51},
    )
    gpu = facts.gpu
    assert facts.invalid == ""
    assert gpu is not None
    assert (gpu.name, gpu.driver, gpu.memory_gib, gpu.mig) == ("NVIDIA H200", "570.1", 140, "off")
    assert (gpu.max_sm_mhz, gpu.power_limit_w, gpu.samples) == (1980, 700, 3)
    assert gpu.sm_mhz is not None
    assert (gpu.sm_mhz.low, gpu.sm_mhz.median, gpu.sm_mhz.high) == (1900, 1950, 1980)
    assert gpu.power_w is not None
    assert (gpu.power_w.low, gpu.power_w.high) == (300, 400)
    assert (gpu.before.temperature_c, gpu.after.temperature_c) == (45, 51)


def test_facts_survive_being_stored() -> None:
    facts = watched(FakeNvml(pids=(ME,)), {"reasons": 0x4})
    plain = to_plain(facts)
    assert isinstance(plain, dict)
    assert read_device_facts(plain) == facts
    assert read_device_facts(None) is None


@pytest.mark.parametrize(
    ("bit", "word"),
    [
        (0x8, "hardware slowdown"),
        (0x20, "software thermal slowdown"),
        (0x40, "hardware thermal slowdown"),
        (0x80, "power brake"),
    ],
)
def test_one_throttled_sample_makes_the_session_invalid(bit: int, word: str) -> None:
    facts = watched(FakeNvml(pids=(ME,)), {}, {"reasons": bit}, {"reasons": 0})
    assert facts.invalid == f"throttled: {word} in 1 of 3 samples"


@pytest.mark.parametrize("bits", [0x1, 0x2, 0x100, 0x1 | 0x2])
def test_an_idle_gpu_and_clocks_set_by_the_owner_are_no_throttling(bits: int) -> None:
    assert watched(FakeNvml(pids=(ME,)), {"reasons": bits}).invalid == ""


@pytest.mark.parametrize(("sm_mhz", "counts"), [(1882, True), (1880, False)])
def test_the_power_cap_throttles_where_the_clock_fell_by_a_twentieth(
    sm_mhz: int, counts: bool
) -> None:
    """0.95 × 1980 MHz = 1881 MHz."""
    facts = watched(FakeNvml(pids=(ME,)), {}, {"reasons": 0x4, "sm_mhz": sm_mhz})
    assert (facts.invalid == "") is counts
    assert facts.gpu is not None
    assert facts.gpu.reasons == {"power cap": 1}


def test_a_low_clock_without_a_reason_is_none() -> None:
    assert watched(FakeNvml(pids=(ME,)), {"sm_mhz": 600}, {"sm_mhz": 1980}).invalid == ""


def test_throttling_between_two_samples_shows_in_the_gpus_own_count() -> None:
    facts = watched(FakeNvml(pids=(ME,), thermal_ns=7_000_000), {"thermal_ns": 12_000_000})
    assert facts.gpu is not None
    assert facts.gpu.thermal_ms == 5.0
    assert facts.invalid == "throttled: heat held the clocks back for 5 ms"


def test_another_process_on_the_gpu_makes_it_shared_and_is_named_without_its_path() -> None:
    nvml = FakeNvml(pids=(ME,), names=STRANGERS)
    facts = watched(nvml, {}, {"pids": (ME, STRANGER)}, {"pids": (ME,)})
    assert facts.invalid == "shared: the GPU was in use by train as well"
    assert facts.gpu is not None
    assert facts.gpu.others == {"train": 1}


def test_in_a_container_one_unknown_number_is_this_process() -> None:
    assert watched(FakeNvml(pids=(STRANGER,)), {}).invalid == ""
    both = watched(FakeNvml(pids=(STRANGER, STRANGER + 1)), {})
    assert both.invalid == "shared: the GPU was in use by a process without a name as well"


def test_where_no_process_is_listed_a_gpu_that_works_while_this_one_rests_is_shared() -> None:
    assert watched(FakeNvml(used_percent=2), {}).invalid == ""
    facts = watched(FakeNvml(used_percent=80), {})
    assert "shared: the GPU was in use by a process that NVML does not list" in facts.invalid


def test_without_a_list_of_processes_or_utilization_there_is_a_warning() -> None:
    facts = watched(FakeNvml(missing=frozenset({"processes", "utilization"})), {})
    assert facts.invalid == ""
    assert any("use of the GPU by others is unknown" in text for text in facts.warnings)


@pytest.mark.parametrize(
    "nvml", [FakeNvml(missing=frozenset({"nvmlInit"})), FakeNvml(uuids={})], ids=["init", "uuid"]
)
def test_a_gpu_that_nvml_does_not_have_is_timed_with_a_warning(nvml: FakeNvml) -> None:
    facts = watched(nvml, {})
    assert (facts.gpu, facts.invalid) == (None, "")
    assert any(text.startswith("NVML ") for text in facts.warnings)


def test_what_a_gpu_does_not_support_is_none() -> None:
    lacks = frozenset({"clock", "power", "temperature", "violations", "event reasons", "energy"})
    nvml = FakeNvml(pids=(ME,), missing=lacks, reasons=0x20)
    facts = watched(nvml, {})
    assert facts.gpu is not None
    assert facts.gpu.before.sm_mhz is facts.gpu.power_w is facts.gpu.thermal_ms is None
    # The reasons come under their old name.
    assert facts.invalid == "throttled: software thermal slowdown in 1 of 1 samples"


def test_a_slice_is_named_by_its_profile_and_read_through_its_gpu() -> None:
    nvml = FakeNvml(uuids={f"MIG-{UUID}": SLICE}, pids=(ME,), mig_mode=1)
    facts = watched(nvml, {})
    assert facts.gpu is not None
    assert (facts.gpu.name, facts.gpu.mig) == ("NVIDIA H200", "1g.18gb")
    assert facts.gpu.memory_gib == 18
    with open_gpu(UUID, nvml=nvml) as gpu:
        assert gpu.energy_mj is None  # the counter is the whole GPU's


def test_samples_are_taken_at_a_low_rate() -> None:
    """Looks at 0.1, 0.2, …, 2.0 s with half a second between samples: at 0.5, 1.0, 1.5, 2.0 s."""
    nvml, tenths = FakeNvml(pids=(ME,)), [0]
    session = DeviceWatch(UUID, nvml=nvml, now=lambda: tenths[0] / 10, sleep=lambda _: None)
    with session:
        for _ in range(20):
            tenths[0] += 1
            session.look()
    facts = session.facts()
    assert facts.gpu is not None
    assert facts.gpu.samples == 4


def test_nvml_is_closed_after_an_error_and_nothing_is_ever_set() -> None:
    nvml = FakeNvml(pids=(ME,))
    with pytest.raises(RuntimeError), DeviceWatch(UUID, nvml=nvml):
        raise RuntimeError
    assert nvml.open == 0


def test_bits_become_words_and_an_unknown_bit_its_number() -> None:
    assert reason_words(0) == ()
    assert reason_words(0x1 | 0x40) == ("idle", "hardware thermal slowdown")
    assert reason_words(0x8000) == ("reason 0x8000",)
    assert {word for _, word in REASONS} > SLOWED | CAPPED  # or a rule would wait for ever


def test_own_processes_are_this_one_and_its_children() -> None:
    assert is_own_process(ME)
    assert not is_own_process(os.getppid())
    assert not is_own_process(STRANGER)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(read, 1)
        os._exit(0)
    try:
        assert is_own_process(child)
    finally:
        os.write(write, b".")
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)


def stat(folder: Path, user: int, steal: int) -> Path:
    file = folder / f"stat-{user}-{steal}"
    file.write_text(f"cpu  {user} 0 0 1000 0 0 0 {steal} 0 0\ncpu0 1 2 3\n", encoding="utf-8")
    return file


def reading(at: float, **values: float | None) -> HostReading:
    counters: dict[str, float | None] = {
        **{"busy": 0.0, "total": 0.0, "steal": 0.0},
        **{"own": 0.0, "load": 0.0, "quota_wait": None},
        **values,
    }
    return HostReading(at=at, **counters)  # type: ignore[arg-type]


def test_load_of_others_is_the_busy_time_less_the_own() -> None:
    """10 s: 18 s of CPU time were busy, 8 of them here: others kept one core busy."""
    after = reading(10.0, busy=18.0, total=20.0, steal=1.0, own=8.0)
    facts = host_facts(reading(0.0), after)
    assert facts.others_cores == pytest.approx(1.0)
    assert facts.own_cores == pytest.approx(0.8)
    assert facts.steal == pytest.approx(0.05)  # 1 of 20 s


def test_counters_of_the_kernel_are_read_in_seconds(tmp_path: Path) -> None:
    hertz = os.sysconf("SC_CLK_TCK")
    quota = tmp_path / "cpu.stat"
    quota.write_text("usage_usec 5\nthrottled_usec 2500000\n", encoding="utf-8")
    found = read_host(stat=stat(tmp_path, 3 * hertz, 2 * hertz), quota=quota)
    assert (found.busy, found.steal, found.quota_wait) == (3.0, 2.0, 2.5)


def test_a_system_without_these_counters_is_unknown(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    found = read_host(stat=nowhere, quota=nowhere)
    assert (found.busy, found.total, found.steal, found.quota_wait) == (None, None, None, None)
    facts = host_facts(found, found, governor=nowhere)
    assert (facts.others_cores, facts.steal, facts.governor) == (None, None, "")
    assert host_warnings(facts) == ()


def host(**changes: float | int | None) -> HostFacts:
    values: dict[str, object] = {
        **{"seconds": 100.0, "cores": 2, "governor": "", "load_before": 0.0, "load_after": 0.0},
        **{"own_cores": 1.0, "others_cores": 0.0, "steal": 0.0, "quota_wait_s": 0.0},
        **changes,
    }
    return HostFacts(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"others_cores": 0.24}, ""),
        ({"others_cores": 0.6}, "other programs kept 0.6 of 2 CPU cores busy"),
        ({"others_cores": 3.0, "cores": 64}, ""),  # a twentieth of 64 is 3.2
        ({"steal": 0.1}, "the hypervisor gave 10% of the CPU time to other machines"),
        ({"quota_wait_s": 3.0}, "a CPU quota kept the threads waiting for 3.0 s"),
    ],
)
def test_a_busy_host_is_a_warning(change: dict[str, float], warning: str) -> None:
    assert host_warnings(host(**change)) == ((warning,) if warning else ())


def test_a_session_on_the_cpu_has_facts_of_the_host_and_is_never_invalid() -> None:
    with watch("cpu") as session:
        session.look()
        inside = session.facts()
    facts = session.facts()
    assert facts.gpu is inside.gpu is None
    assert facts.invalid == ""
    assert facts.host.cores >= 1
    assert facts.host.seconds > 0
    assert session.energy_mj is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_real_gpu_reports_its_clocks_power_and_heat() -> None:
    ones = torch.ones(256, 256, device="cuda")
    with watch("cuda") as session:
        for _ in range(200):
            ones = (ones @ ones).clamp(max=1)
            torch.cuda.synchronize()
            session.look()
    gpu = session.facts().gpu
    assert gpu is not None
    assert gpu.name in torch.cuda.get_device_name()
    assert gpu.before.sm_mhz is not None
    assert gpu.before.power_w is not None
    assert gpu.before.temperature_c is not None
