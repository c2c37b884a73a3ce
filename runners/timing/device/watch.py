"""Watch the machine between timed calls."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from statistics import median
from typing import Any

import torch

from runners.timing.device.host import host_facts, host_warnings, read_host
from runners.timing.device.nvml import Gpu, Nvml, open_gpu
from yolact_bench.results.device_facts import DeviceFacts, Extent, GpuFacts, GpuSample, gpu_fault

# Utilization is averaged over up to a second.
_REST_S, _RESTING_PERCENT = 1.2, 5.0
_UNSEEN = "a process that NVML does not list"


class DeviceWatch:
    """Samples of a device between rounds; `facts` during the block are those until then.

    A sample is some ten queries of NVML, milliseconds in all. The timing thread takes it between
    timed calls, at most every `interval_s`: another thread would take the interpreter from them.
    """

    def __init__(
        self,
        uuid: str | None,
        *,
        nvml: Nvml | None = None,
        interval_s: float = 0.5,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Watch the GPU with that UUID; None watches the CPU alone."""
        self._uuid, self._nvml, self._interval_s = uuid, nvml, interval_s
        self._now, self._sleep = now, sleep
        self._stack = ExitStack()
        self._gpu: Gpu | None = None
        self._unknown = ""  # reason why the GPU is not watched
        self._unseen = 0  # times that it was busy while this process rested
        self._during: list[GpuSample] = []
        self._facts: DeviceFacts | None = None

    def __enter__(self) -> "DeviceWatch":
        if self._uuid is not None:
            try:
                self._gpu = self._stack.enter_context(open_gpu(self._uuid, nvml=self._nvml))
            except LookupError as error:
                self._unknown = str(error)
        self._rest()
        self._before = self._gpu.sample() if self._gpu else None
        self._throttled_before = self._gpu.throttled_ms() if self._gpu else (None, None)
        self._host_before = read_host()
        self._last = self._now()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._facts = self._collect()
        finally:
            self._gpu = None
            self._stack.close()

    def look(self, number: int = 0) -> None:
        """Take a sample if the last is old enough; not while a call is timed.

        Number 0 is the first round: earlier work of the host, such as compiling, is discarded.
        """
        if number == 0 and not self._during:
            self._host_before = read_host()
        if self._gpu is None or self._now() < self._last + self._interval_s:
            return
        self._during.append(self._gpu.sample())
        self._last = self._now()

    def facts(self) -> DeviceFacts:
        return self._facts if self._facts is not None else self._collect()

    @property
    def energy_mj(self) -> float | None:
        """The energy that the GPU has drawn so far; None without a counter."""
        return self._gpu.energy_mj if self._gpu else None

    def _rest(self) -> None:
        """Check whether the GPU works while this process does not, where processes are hidden."""
        if self._gpu is None or self._gpu.lists_processes:
            return
        self._sleep(_REST_S)
        used = self._gpu.utilization
        if used is None:
            self._unknown = "NVML lists no processes here, so use of the GPU by others is unknown"
        elif used > _RESTING_PERCENT:
            self._unseen += 1

    def _collect(self) -> DeviceFacts:
        host = host_facts(self._host_before, read_host())
        gpu = None
        if self._gpu is not None and self._before is not None:
            gpu = self._gpu_facts(self._gpu, self._before)
        unknown = (self._unknown,) if self._unknown else ()
        return DeviceFacts(
            host=host,
            gpu=gpu,
            invalid="" if gpu is None else gpu_fault(gpu, self._during),
            warnings=(*host_warnings(host), *unknown),
        )

    def _gpu_facts(self, gpu: Gpu, before: GpuSample) -> GpuFacts:
        after = gpu.sample()
        heat_ms, power_ms = (
            None if new is None or old is None else new - old
            for old, new in zip(self._throttled_before, gpu.throttled_ms(), strict=True)
        )
        self._rest()
        every = [before, *self._during, after]
        others = Counter(name for sample in every for name in set(sample.others))
        if self._unseen:
            others[_UNSEEN] = self._unseen
        varying = ("sm_mhz", "memory_mhz", "power_w", "temperature_c")
        extents: dict[str, Any] = {k: _extent(getattr(s, k) for s in self._during) for k in varying}
        return GpuFacts(
            **gpu.constants(),
            **extents,
            samples=len(self._during),
            before=before,
            after=after,
            reasons=dict(Counter(word for sample in self._during for word in sample.reasons)),
            others=dict(others),
            thermal_ms=heat_ms,
            power_ms=power_ms,
        )


def watch(device: torch.device | str) -> DeviceWatch:
    """Return a watch of a torch device; for "cpu" of the CPU alone."""
    if torch.device(device).type != "cuda":
        return DeviceWatch(None)
    return DeviceWatch(str(torch.cuda.get_device_properties(device).uuid))


def _extent(values: Iterable[float | None]) -> Extent | None:
    known = [value for value in values if value is not None]
    return Extent(low=min(known), median=median(known), high=max(known)) if known else None
