"""A GPU that is not there: a stand-in for NVML that answers what a test puts in."""

# ruff: noqa: N802 (the names are NVML's)

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace

UUID = "01234567-89ab-cdef-0123-456789abcdef"
WHOLE, SLICE = "handle of the GPU", "handle of a slice"


class FakeNvmlError(Exception):
    """What NVML raises."""


@dataclass
class FakeNvml:
    """One H200 at rest. Functions named in `missing` are not supported."""

    NVMLError: type[Exception] = FakeNvmlError
    uuids: Mapping[str, str] = field(default_factory=lambda: {f"GPU-{UUID}": WHOLE})
    missing: frozenset[str] = frozenset()
    sm_mhz: int = 1980
    memory_mhz: int = 3201
    milliwatt: int = 300_000
    celsius: int = 45
    reasons: int = 0
    pids: tuple[int, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    mig_mode: int = 0
    used_percent: int = 0
    millijoule: float = 1000.0
    thermal_ns: int = 0
    power_ns: int = 0
    open: int = 0  # how often it was opened more than closed
    asked: list[str] = field(default_factory=list)

    def _ask(self, function: str) -> None:
        assert self.open > 0, f"{function} before nvmlInit"
        self.asked.append(function)
        if function in self.missing:
            raise FakeNvmlError("Not Supported")

    def nvmlInit(self) -> None:
        if "nvmlInit" in self.missing:
            raise FakeNvmlError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlSystemGetDriverVersion(self) -> str:
        self._ask("driver")
        return "570.1"

    def nvmlSystemGetProcessName(self, pid: int) -> str:
        self._ask("process name")
        if pid not in self.names:
            raise FakeNvmlError("Not Found")
        return self.names[pid]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> object:
        self._ask("handle")
        if uuid not in self.uuids:
            raise FakeNvmlError("Not Found")
        return self.uuids[uuid]

    def nvmlDeviceGetName(self, handle: object) -> str:
        self._ask("name")
        return "NVIDIA H200" if handle == WHOLE else "NVIDIA H200 MIG 1g.18gb"

    def nvmlDeviceGetMemoryInfo(self, handle: object) -> SimpleNamespace:
        self._ask("memory")
        return SimpleNamespace(total=140 * 2**30 if handle == WHOLE else 18 * 2**30)

    def nvmlDeviceIsMigDeviceHandle(self, handle: object) -> int:
        return int(handle == SLICE)

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: object) -> object:
        assert handle == SLICE
        return WHOLE

    def nvmlDeviceGetMigMode(self, handle: object) -> list[int]:
        self._ask("MIG")
        return [self.mig_mode, self.mig_mode]

    def nvmlDeviceGetClockInfo(self, handle: object, kind: int) -> int:
        self._ask("clock")
        assert handle == WHOLE, "a slice has no clocks"
        return {1: self.sm_mhz, 2: self.memory_mhz}[kind]

    def nvmlDeviceGetMaxClockInfo(self, handle: object, kind: int) -> int:
        self._ask("highest clock")
        return {1: 1980}[kind]

    def nvmlDeviceGetPowerUsage(self, handle: object) -> int:
        self._ask("power")
        return self.milliwatt

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: object) -> int:
        self._ask("power limit")
        return 700_000

    def nvmlDeviceGetTemperature(self, handle: object, sensor: int) -> int:
        self._ask("temperature")
        assert sensor == 0
        return self.celsius

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: object) -> int:
        self._ask("event reasons")
        return self.reasons

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: object) -> int:
        self._ask("throttle reasons")
        return self.reasons

    def nvmlDeviceGetViolationStatus(self, handle: object, policy: int) -> SimpleNamespace:
        self._ask("violations")
        return SimpleNamespace(violationTime={0: self.power_ns, 1: self.thermal_ns}[policy])

    def nvmlDeviceGetComputeRunningProcesses(self, handle: object) -> list[SimpleNamespace]:
        self._ask("processes")
        return [SimpleNamespace(pid=pid) for pid in self.pids]

    def nvmlDeviceGetUtilizationRates(self, handle: object) -> SimpleNamespace:
        self._ask("utilization")
        return SimpleNamespace(gpu=self.used_percent)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: object) -> float:
        self._ask("energy")
        return self.millijoule
