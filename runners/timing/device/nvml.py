"""Read one GPU through NVML: clocks, power, heat, throttling, other processes."""

# ruff: noqa: N802 (the names are NVML's)

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Protocol, TypeVar, cast

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


class _Process(Protocol):
    pid: int


class _Memory(Protocol):
    total: int


class _Utilization(Protocol):
    gpu: int


class _Violation(Protocol):
    violationTime: int  # noqa: N815 (NVML's name), nanoseconds


class Nvml(Protocol):
    """Every function of NVML that is called. None of them sets anything."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...
    def nvmlShutdown(self) -> None: ...
    def nvmlSystemGetDriverVersion(self) -> str: ...
    def nvmlSystemGetProcessName(self, pid: int, /) -> str: ...
    def nvmlDeviceGetHandleByUUID(self, uuid: str, /) -> object: ...
    def nvmlDeviceGetName(self, handle: object, /) -> str: ...
    def nvmlDeviceGetMemoryInfo(self, handle: object, /) -> _Memory: ...
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
    def nvmlDeviceGetViolationStatus(self, handle: object, policy: int, /) -> _Violation: ...
    def nvmlDeviceGetComputeRunningProcesses(self, handle: object, /) -> Sequence[_Process]: ...
    def nvmlDeviceGetUtilizationRates(self, handle: object, /) -> _Utilization: ...
    def nvmlDeviceGetTotalEnergyConsumption(self, handle: object, /) -> int: ...


class Gpu:
    """A GPU, or a MIG slice of one, while NVML is open. None is a value that NVML does not have."""

    def __init__(self, nvml: Nvml, handle: object, *, own_pids: Callable[[int], bool]) -> None:
        self._nvml, self._handle, self._is_own = nvml, handle, own_pids
        sliced = self._query(lambda: nvml.nvmlDeviceIsMigDeviceHandle(handle))
        self.is_slice = bool(sliced)
        # A slice has no clocks, power or heat of its own.
        self._whole = (
            nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle) if sliced else handle
        )

    @property
    def name(self) -> str:
        """The product."""
        return self._query(lambda: self._nvml.nvmlDeviceGetName(self._whole)) or "unknown"

    @property
    def driver(self) -> str:
        """The version of the driver."""
        return self._query(self._nvml.nvmlSystemGetDriverVersion) or "unknown"

    @property
    def memory_gib(self) -> float:
        """The memory of the GPU or slice; 0 if unknown."""
        memory = self._query(lambda: self._nvml.nvmlDeviceGetMemoryInfo(self._handle))
        return memory.total / 2**30 if memory is not None else 0.0

    @property
    def mig(self) -> str:
        """Whether it is sliced: off, the profile of the slice, or "" if unknown."""
        if self.is_slice:  # the name of the GPU, then MIG and the profile
            name = self._query(lambda: self._nvml.nvmlDeviceGetName(self._handle)) or ""
            return name.rpartition("MIG ")[2] or "a slice"
        mode = self._query(lambda: self._nvml.nvmlDeviceGetMigMode(self._handle))
        return "" if mode is None else "on" if mode[0] else "off"

    @property
    def max_sm_mhz(self) -> float | None:
        """The highest clock of its processors."""
        value = self._query(lambda: self._nvml.nvmlDeviceGetMaxClockInfo(self._whole, _CLOCK_SM))
        return None if value is None else float(value)

    @property
    def power_limit_w(self) -> float | None:
        """The power that it may draw."""
        return _thousandth(
            self._query(lambda: self._nvml.nvmlDeviceGetEnforcedPowerLimit(self._whole))
        )

    @property
    def utilization(self) -> float | None:
        """The share of the last second or so in which something ran on it, in percent."""
        rates = self._query(lambda: self._nvml.nvmlDeviceGetUtilizationRates(self._handle))
        return None if rates is None else float(rates.gpu)

    @property
    def energy_mj(self) -> float | None:
        """The energy drawn since the driver was loaded; of the whole GPU, so None of a slice."""
        if self.is_slice:
            return None
        value = self._query(lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        return None if value is None else float(value)

    @property
    def lists_processes(self) -> bool:
        """Whether NVML lists any process here; inside some containers it lists none."""
        return bool(self._processes())

    def throttled_ms(self) -> tuple[float | None, float | None]:
        """Return for how long heat and the power limit have lowered its clocks, ever."""
        return self._violation_ms(_THERMAL_POLICY), self._violation_ms(_POWER_POLICY)

    def sample(self) -> GpuSample:
        """Return its state now."""
        nvml, whole = self._nvml, self._whole
        sm = self._query(lambda: nvml.nvmlDeviceGetClockInfo(whole, _CLOCK_SM))
        memory = self._query(lambda: nvml.nvmlDeviceGetClockInfo(whole, _CLOCK_MEMORY))
        heat = self._query(lambda: nvml.nvmlDeviceGetTemperature(whole, _TEMPERATURE_GPU))
        return GpuSample(
            sm_mhz=None if sm is None else float(sm),
            memory_mhz=None if memory is None else float(memory),
            power_w=_thousandth(self._query(lambda: nvml.nvmlDeviceGetPowerUsage(whole))),
            temperature_c=None if heat is None else float(heat),
            reasons=reason_words(self._reasons()),
            others=self._others(),
        )

    def _violation_ms(self, policy: int) -> float | None:
        value = self._query(lambda: self._nvml.nvmlDeviceGetViolationStatus(self._whole, policy))
        return None if value is None else value.violationTime / 1e6

    def _reasons(self) -> int:
        bits = self._query(lambda: self._nvml.nvmlDeviceGetCurrentClocksEventReasons(self._whole))
        if bits is None:  # a driver from before the name was changed
            bits = self._query(
                lambda: self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._whole)
            )
        return bits or 0

    def _processes(self) -> list[int]:
        listed = self._query(lambda: self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle))
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
        return tuple(self._process_name(pid) for pid in others)

    def _process_name(self, pid: int) -> str:
        path = self._query(lambda: self._nvml.nvmlSystemGetProcessName(pid))
        return PurePath(path).name if path else "a process without a name"

    def _query(self, ask: Callable[[], T]) -> T | None:
        try:
            return ask()
        except self._nvml.NVMLError:
            return None


@contextmanager
def open_gpu(uuid: str, *, nvml: Nvml | None = None) -> Iterator[Gpu]:
    """Open NVML and yield the GPU or MIG slice with that UUID, as torch writes it.

    Raises:
        LookupError: NVML is not available, or has no such GPU.
    """
    library = nvml if nvml is not None else _pynvml()
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        raise LookupError(f"NVML is not available: {error}") from error
    try:
        yield Gpu(library, _handle(library, uuid), own_pids=is_own_process)
    finally:
        library.nvmlShutdown()


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


def _pynvml() -> Nvml:
    # Imported here: a machine without a GPU never needs it.
    import pynvml

    return cast(Nvml, pynvml)


def _thousandth(milli: int | None) -> float | None:
    return None if milli is None else milli / 1000
