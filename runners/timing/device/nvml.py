"""Read one GPU through NVML: clocks, power, heat, throttling, other processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

from yolact_bench.results.device_facts import GpuSample

Nvml = Any  # the module pynvml, of which only functions that set nothing are called

# Source: NVML API reference, group nvmlClocksEventReasons. A GPU that idles, or whose owner
# set its clocks, is not throttled.
REASONS: tuple[tuple[int, str], ...] = (
    (0x1, "idle"),
    (0x2, "clocks set by the owner"),
    (0x4, "power cap"),
    (0x8, "hardware slowdown"),
    (0x10, "sync boost"),
    (0x20, "software thermal slowdown"),
    (0x40, "hardware thermal slowdown"),
    (0x80, "power brake"),
    (0x100, "clocks set for a display"),
)
_POWER, _THERMAL = 0, 1  # of nvmlPerfPolicyType_t
_TEMPERATURE_GPU = 0
_CLOCK_SM, _CLOCK_MEMORY = 1, 2


class Gpu:
    """A GPU, or a MIG slice of one, while NVML is open. None is a value that NVML does not have."""

    def __init__(self, nvml: Nvml, handle: object) -> None:
        self._nvml, self._handle, self._whole = nvml, handle, handle
        self.is_slice = bool(self._read("IsMigDeviceHandle"))
        if self.is_slice:  # which has no clocks, power or heat of its own
            self._whole = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)

    def constants(self) -> dict[str, Any]:
        """Return what does not change during a session, by the names of `GpuFacts`."""
        memory = self._read("GetMemoryInfo")
        return {
            "name": self._read_whole("GetName") or "unknown",
            "driver": self._query("nvmlSystemGetDriverVersion") or "unknown",
            "memory_gib": 0.0 if memory is None else memory.total / 2**30,
            "mig": self._mig(),
            "max_sm_mhz": self._number("GetMaxClockInfo", _CLOCK_SM),
            "power_limit_w": self._number("GetEnforcedPowerLimit", per=1000),
        }

    def _mig(self) -> str:
        if self.is_slice:  # the name of the GPU, then MIG and the profile
            return (self._read("GetName") or "").rpartition("MIG ")[2] or "a slice"
        mode = self._read("GetMigMode")
        return "" if mode is None else "on" if mode[0] else "off"

    @property
    def utilization(self) -> float | None:
        """The share of the last second or so in which something ran on it, in percent."""
        rates = self._read("GetUtilizationRates")
        return None if rates is None else float(rates.gpu)

    @property
    def energy_mj(self) -> float | None:
        """The energy drawn since the driver was loaded; of the whole GPU, so None of a slice."""
        return None if self.is_slice else self._number("GetTotalEnergyConsumption")

    @property
    def lists_processes(self) -> bool:
        """Whether NVML lists any process here; inside some containers it lists none."""
        return bool(self._processes())

    def throttled_ms(self) -> tuple[float | None, float | None]:
        """Return for how long heat and the power limit have lowered its clocks so far."""
        states = [self._read_whole("GetViolationStatus", p) for p in (_THERMAL, _POWER)]
        heat, power = (None if s is None else s.violationTime / 1e6 for s in states)  # from ns
        return heat, power

    def sample(self) -> GpuSample:
        reasons = self._read_whole("GetCurrentClocksEventReasons")
        if reasons is None:  # a driver from before the name was changed
            reasons = self._read_whole("GetCurrentClocksThrottleReasons")
        return GpuSample(
            sm_mhz=self._number("GetClockInfo", _CLOCK_SM),
            memory_mhz=self._number("GetClockInfo", _CLOCK_MEMORY),
            power_w=self._number("GetPowerUsage", per=1000),
            temperature_c=self._number("GetTemperature", _TEMPERATURE_GPU),
            reasons=reason_words(reasons or 0),
            others=self._others(),
        )

    def _processes(self) -> list[int]:
        return [process.pid for process in self._read("GetComputeRunningProcesses") or ()]

    def _others(self) -> tuple[str, ...]:
        """Names of other processes that hold a context here.

        This process holds one. Where its number is not listed, the numbers are those outside
        of its container, and one of them is its own.
        """
        pids = self._processes()
        others = [pid for pid in pids if not is_own_process(pid)]
        if len(others) == len(pids):
            others = others[1:]
        paths = (self._query("nvmlSystemGetProcessName", pid) for pid in others)
        return tuple(PurePath(p).name if p else "a process without a name" for p in paths)

    def _read(self, query: str) -> Any:  # noqa: ANN401
        return self._query(f"nvmlDevice{query}", self._handle)

    def _read_whole(self, query: str, *arguments: object) -> Any:  # noqa: ANN401
        return self._query(f"nvmlDevice{query}", self._whole, *arguments)

    def _number(self, query: str, *arguments: object, per: int = 1) -> float | None:
        value = self._read_whole(query, *arguments)
        return None if value is None else float(value / per)

    def _query(self, function: str, *arguments: object) -> Any:  # noqa: ANN401
        try:
            return getattr(self._nvml, function)(*arguments)
        except self._nvml.NVMLError:
            return None


@contextmanager
def open_gpu(uuid: str, *, nvml: Nvml = None) -> Iterator[Gpu]:
    """Open NVML and yield the GPU or MIG slice with that UUID, as torch writes it.

    Raises:
        LookupError: NVML is not available, or has no such GPU.
    """
    if nvml is None:
        import pynvml  # here: a machine without a GPU never needs it

        nvml = pynvml
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise LookupError(f"NVML is not available: {error}") from error
    try:
        yield Gpu(nvml, _handle(nvml, uuid))
    finally:
        nvml.nvmlShutdown()


def reason_words(bits: int) -> tuple[str, ...]:
    """Return the reasons that the bits stand for; a bit of a later driver by its number."""
    words = [word for bit, word in REASONS if bits & bit]
    unknown = bits & ~sum(bit for bit, _ in REASONS)
    return (*words, f"reason {unknown:#x}") if unknown else tuple(words)


def is_own_process(pid: int) -> bool:
    """Return whether it is this process or a descendant of it."""
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = _parent(pid)
    return False


def _parent(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])  # a name may hold spaces and brackets


def _handle(nvml: Nvml, uuid: str) -> object:
    bare = uuid.removeprefix("GPU-").removeprefix("MIG-")
    for kind in ("GPU", "MIG"):
        try:
            return nvml.nvmlDeviceGetHandleByUUID(f"{kind}-{bare}")
        except nvml.NVMLError:
            continue
    raise LookupError(f"NVML has no GPU {uuid}")
