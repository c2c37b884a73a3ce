"""Read one GPU through NVML: clocks, power, heat, throttling, other processes."""

# ruff: noqa: ANN401, N802 (the names and the structures are NVML's)

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, Protocol, TypeVar, cast

from yolact_bench.results.device_facts import GpuSample

T = TypeVar("T")

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
_POWER_POLICY, _THERMAL_POLICY = 0, 1  # of nvmlPerfPolicyType_t
_TEMPERATURE_GPU = 0
_CLOCK_SM, _CLOCK_MEMORY = 1, 2


class Nvml(Protocol):
    """Every function of NVML that is called. None of them sets anything."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlSystemGetDriverVersion(self) -> str: ...
    def nvmlSystemGetProcessName(self, pid: int, /) -> str: ...
    def nvmlDeviceGetHandleByUUID(self, uuid: str, /) -> object: ...
    def nvmlDeviceGetName(self, handle: object, /) -> str: ...
    def nvmlDeviceGetMemoryInfo(self, handle: object, /) -> Any: ...
    def nvmlDeviceIsMigDeviceHandle(self, handle: object, /) -> int: ...
    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: object, /) -> object: ...
    def nvmlDeviceGetMigMode(self, handle: object, /) -> Sequence[int]: ...
    def nvmlDeviceGetClockInfo(self, handle: object, kind: int, /) -> int: ...
    def nvmlDeviceGetMaxClockInfo(self, handle: object, kind: int, /) -> int: ...
    def nvmlDeviceGetPowerUsage(self, handle: object, /) -> int: ...
    def nvmlDeviceGetEnforcedPowerLimit(self, handle: object, /) -> int: ...
    def nvmlDeviceGetTemperature(self, handle: object, sensor: int, /) -> int: ...
    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: object, /) -> int: ...
    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: object, /) -> int: ...
    def nvmlDeviceGetViolationStatus(self, handle: object, policy: int, /) -> Any: ...
    def nvmlDeviceGetComputeRunningProcesses(self, handle: object, /) -> Sequence[Any]: ...
    def nvmlDeviceGetUtilizationRates(self, handle: object, /) -> Any: ...
    def nvmlDeviceGetTotalEnergyConsumption(self, handle: object, /) -> int: ...


class Gpu:
    """A GPU, or a MIG slice of one, while NVML is open. None is a value that NVML does not have."""

    def __init__(self, nvml: Nvml, handle: object, *, own_pids: Callable[[int], bool]) -> None:
        self._nvml, self._handle, self._is_own = nvml, handle, own_pids
        sliced = self._query(nvml.nvmlDeviceIsMigDeviceHandle, handle)
        self.is_slice = bool(sliced)
        # A slice has no clocks, power or heat of its own.
        self._whole = (
            nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle) if sliced else handle
        )

    @property
    def name(self) -> str:
        return self._query(self._nvml.nvmlDeviceGetName, self._whole) or "unknown"

    @property
    def driver(self) -> str:
        return self._query(self._nvml.nvmlSystemGetDriverVersion) or "unknown"

    @property
    def memory_gib(self) -> float:
        """The memory of the GPU or slice; 0 if unknown."""
        memory = self._query(self._nvml.nvmlDeviceGetMemoryInfo, self._handle)
        return memory.total / 2**30 if memory is not None else 0.0

    @property
    def mig(self) -> str:
        """Whether it is sliced: off, the profile of the slice, or "" if unknown."""
        if self.is_slice:  # the name of the GPU, then MIG and the profile
            name = self._query(self._nvml.nvmlDeviceGetName, self._handle) or ""
            return name.rpartition("MIG ")[2] or "a slice"
        mode = self._query(self._nvml.nvmlDeviceGetMigMode, self._handle)
        return "" if mode is None else "on" if mode[0] else "off"

    @property
    def max_sm_mhz(self) -> float | None:
        return self._number(self._nvml.nvmlDeviceGetMaxClockInfo, self._whole, _CLOCK_SM)

    @property
    def power_limit_w(self) -> float | None:
        """The power that it may draw."""
        return self._number(self._nvml.nvmlDeviceGetEnforcedPowerLimit, self._whole, per=1000)

    @property
    def utilization(self) -> float | None:
        """The share of the last second or so in which something ran on it, in percent."""
        rates = self._query(self._nvml.nvmlDeviceGetUtilizationRates, self._handle)
        return None if rates is None else float(rates.gpu)

    @property
    def energy_mj(self) -> float | None:
        """The energy drawn since the driver was loaded; of the whole GPU, so None of a slice."""
        if self.is_slice:
            return None
        return self._number(self._nvml.nvmlDeviceGetTotalEnergyConsumption, self._handle)

    @property
    def lists_processes(self) -> bool:
        """Whether NVML lists any process here; inside some containers it lists none."""
        return bool(self._processes())

    def throttled_ms(self) -> tuple[float | None, float | None]:
        """Return for how long heat and the power limit have lowered its clocks, ever."""
        return self._violation_ms(_THERMAL_POLICY), self._violation_ms(_POWER_POLICY)

    def sample(self) -> GpuSample:
        nvml, whole = self._nvml, self._whole
        reasons = self._query(nvml.nvmlDeviceGetCurrentClocksEventReasons, whole)
        if reasons is None:  # a driver from before the name was changed
            reasons = self._query(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, whole)
        return GpuSample(
            sm_mhz=self._number(nvml.nvmlDeviceGetClockInfo, whole, _CLOCK_SM),
            memory_mhz=self._number(nvml.nvmlDeviceGetClockInfo, whole, _CLOCK_MEMORY),
            power_w=self._number(nvml.nvmlDeviceGetPowerUsage, whole, per=1000),
            temperature_c=self._number(nvml.nvmlDeviceGetTemperature, whole, _TEMPERATURE_GPU),
            reasons=reason_words(reasons or 0),
            others=self._others(),
        )

    def _violation_ms(self, policy: int) -> float | None:
        value = self._query(self._nvml.nvmlDeviceGetViolationStatus, self._whole, policy)
        return None if value is None else value.violationTime / 1e6  # nanoseconds

    def _processes(self) -> list[int]:
        listed = self._query(self._nvml.nvmlDeviceGetComputeRunningProcesses, self._handle)
        return [process.pid for process in listed or ()]

    def _others(self) -> tuple[str, ...]:
        """Names of other processes that hold a context here.

        This process holds one. Where its number is not listed, the numbers are those outside
        of its container, and one of them is its own.
        """
        pids = self._processes()
        others = [pid for pid in pids if not self._is_own(pid)]
        if len(others) == len(pids):
            others = others[1:]
        paths = (self._query(self._nvml.nvmlSystemGetProcessName, pid) for pid in others)
        return tuple(PurePath(p).name if p else "a process without a name" for p in paths)

    def _query(self, function: Callable[..., T], *arguments: object) -> T | None:
        try:
            return function(*arguments)
        except self._nvml.NVMLError:
            return None

    def _number(
        self, function: Callable[..., int], *arguments: object, per: int = 1
    ) -> float | None:
        value = self._query(function, *arguments)
        return None if value is None else value / per


@contextmanager
def open_gpu(uuid: str, *, nvml: Nvml | None = None) -> Iterator[Gpu]:
    """Open NVML and yield the GPU or MIG slice with that UUID, as torch writes it.

    Raises:
        LookupError: NVML is not available, or has no such GPU.
    """
    if nvml is None:
        import pynvml  # here: a machine without a GPU never needs it

        nvml = cast(Nvml, pynvml)
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise LookupError(f"NVML is not available: {error}") from error
    try:
        yield Gpu(nvml, _handle(nvml, uuid), own_pids=is_own_process)
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
