"""Other load of the CPU while arms are timed. Only reads."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from yolact_bench.results.device_facts import HostFacts

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_STAT = Path("/proc/stat")
_QUOTA = Path("/sys/fs/cgroup/cpu.stat")  # version 2; version 1 is not read
# Allowed load of other programs: cores, or a share of all. A quiet system has that much.
_BUSY_CORES, _BUSY_SHARE = 0.25, 0.05
_MAX_STEAL = 0.02
_MAX_WAIT = 0.01  # of the session


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReading:
    """Counters at one moment, in seconds. None: not readable."""

    at: float
    busy: float | None  # of all cores together
    total: float | None
    steal: float | None
    own: float  # CPU time of this process and of children that have ended
    load: float
    quota_wait: float | None


def read_host(*, stat: Path = _STAT, quota: Path = _QUOTA) -> HostReading:
    """Return the counters now."""
    ticks = _cpu_ticks(stat)
    quota_facts = dict(line.partition(" ")[::2] for line in _text(quota).splitlines())
    waited = quota_facts.get("throttled_usec")
    times = os.times()
    return HostReading(
        at=time.perf_counter(),
        # user, nice, system, idle, iowait, irq, softirq, steal; a guest's time is in user's.
        busy=None if ticks is None else sum(ticks[:3]) + ticks[5] + ticks[6],
        total=None if ticks is None else sum(ticks),
        steal=None if ticks is None else ticks[7],
        own=times.user + times.system + times.children_user + times.children_system,
        load=os.getloadavg()[0],
        quota_wait=None if waited is None else int(waited) / 1e6,
    )


def host_facts(before: HostReading, after: HostReading, *, governor: Path = _GOVERNOR) -> HostFacts:
    """Return the load between two readings."""
    seconds = max(after.at - before.at, 1e-9)
    own = after.own - before.own

    def rise(counter: str) -> float | None:
        old, new = getattr(before, counter), getattr(after, counter)
        return None if old is None or new is None else new - old

    busy, steal, total = rise("busy"), rise("steal"), rise("total")
    return HostFacts(
        seconds=seconds,
        cores=os.cpu_count() or 1,
        governor=_text(governor).strip(),
        load_before=before.load,
        load_after=after.load,
        own_cores=own / seconds,
        others_cores=None if busy is None else max(0.0, busy - own) / seconds,
        steal=None if steal is None else steal / max(total or 0.0, 1e-9),
        quota_wait_s=rise("quota_wait"),
    )


def host_warnings(facts: HostFacts) -> tuple[str, ...]:
    """Return reasons to doubt the times, in words."""
    warnings = []
    others = facts.others_cores or 0.0
    if others > max(_BUSY_CORES, _BUSY_SHARE * facts.cores):
        warnings.append(f"other programs kept {others:.1f} of {facts.cores} CPU cores busy")
    if (facts.steal or 0.0) > _MAX_STEAL:
        warnings.append(f"the hypervisor gave {facts.steal:.0%} of the CPU time to other machines")
    if (facts.quota_wait_s or 0.0) > _MAX_WAIT * facts.seconds:
        warnings.append(f"a CPU quota kept the threads waiting for {facts.quota_wait_s:.1f} s")
    return tuple(warnings)


def _cpu_ticks(stat: Path) -> tuple[float, ...] | None:
    first = _text(stat).partition("\n")[0].split()
    if len(first) < 9 or first[0] != "cpu":
        return None
    per_second = os.sysconf("SC_CLK_TCK")
    return tuple(int(word) / per_second for word in first[1:9])


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
