"""What the machine was doing while arms were timed, and whether their times count."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from yolact_bench.results.serialise import from_plain

# Slowed down by heat or by a failing supply: no time counts.
SLOWED = frozenset(
    {"hardware slowdown", "software thermal slowdown", "hardware thermal slowdown", "power brake"}
)
# Many GPUs touch their power cap under load and hardly slow down, so these count only where the
# clock fell by more than a twentieth of the highest of the session.
CAPPED = frozenset({"power cap", "sync boost"})
_FALLEN = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Lowest, median and highest of the samples of a session."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSample:
    """A GPU at one moment. None: not available."""

    sm_mhz: float | None
    memory_mhz: float | None
    power_w: float | None
    temperature_c: float | None
    reasons: tuple[str, ...]  # why the clocks are where they are, in words
    others: tuple[str, ...]  # names of other processes that hold a context on it


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """A GPU over a session: before, after, and all samples of it together."""

    name: str
    driver: str
    memory_gib: float
    mig: str  # "off", the profile of the slice such as "1g.18gb", "" where it is not available
    max_sm_mhz: float | None
    power_limit_w: float | None
    samples: int
    before: GpuSample
    after: GpuSample
    sm_mhz: Extent | None
    memory_mhz: Extent | None
    power_w: Extent | None
    temperature_c: Extent | None
    reasons: Mapping[str, int]  # → in how many samples
    others: Mapping[str, int]  # name of another process → in how many samples
    thermal_ms: float | None  # how long heat held the clocks back, by the GPU's own count
    power_ms: float | None  # how long the power limit did


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """The CPU over a session."""

    seconds: float
    cores: int
    governor: str  # of the frequency; "" where it cannot be read
    load_before: float  # average over one minute
    load_after: float
    own_cores: float | None  # kept busy by this process, on average; None: it cannot be read
    others_cores: float | None  # kept busy by everything else
    steal: float | None  # share of the CPU time that the hypervisor gave to other machines
    quota_wait_s: float | None  # how long a quota kept this process from running


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """A session's machine. `invalid` and `warnings` are sentences without a stop."""

    host: HostFacts
    gpu: GpuFacts | None = None
    invalid: str = ""  # why no time of the session counts
    warnings: tuple[str, ...] = ()  # what makes its times doubtful


def read_device_facts(data: Mapping[str, object] | None) -> DeviceFacts | None:
    """Return the facts that a record holds as plain data; None if it holds none.

    Raises:
        SpecError: not such facts.
    """
    return None if data is None else from_plain(DeviceFacts, data)


def twin_fault(arm: str, interval: Sequence[float], *, rounds: int) -> str:
    """What is wrong with an arm that was timed twice: its 95 % interval must contain 1."""
    if not interval:
        return f"too few rounds ({rounds}) to compare {arm} with itself"
    low, high = interval
    if low <= 1 <= high:
        return ""
    return f"{arm} timed twice differs from itself: ratio {low:.4f} to {high:.4f}"


def gpu_fault(gpu: GpuFacts, during: Sequence[GpuSample]) -> str:
    """Why no time on this GPU counts: throttled or shared. "" if they do.

    `during` are the samples between rounds. Those before and after reveal sharing only: what
    slowed the clocks down then did not slow down a timed call.
    """
    reasons = [*_throttling(gpu, during)]
    if gpu.others:
        names = ", ".join(gpu.others)
        reasons.append(f"shared: the GPU was in use by {names} as well")
    return "; ".join(reasons)


def _throttling(gpu: GpuFacts, during: Sequence[GpuSample]) -> Iterator[str]:
    slowed = Counter(word for sample in during for word in sample.reasons if word in SLOWED)
    for word, times in slowed.items():
        yield f"throttled: {word} in {times} of {len(during)} samples"
    if gpu.thermal_ms:
        yield f"throttled: heat held the clocks back for {gpu.thermal_ms:.0f} ms"
    highest = max((s.sm_mhz for s in during if s.sm_mhz is not None), default=0.0)
    fallen = [
        (sample.sm_mhz, word)
        for sample in during
        for word in sample.reasons
        if word in CAPPED and sample.sm_mhz is not None and sample.sm_mhz < _FALLEN * highest
    ]
    if fallen:
        lowest, word = min(fallen)
        yield f"throttled: {word} held the clock at {lowest:.0f} MHz, {highest:.0f} MHz before"
