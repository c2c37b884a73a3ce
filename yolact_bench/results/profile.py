"""The profile of one arm: what each stage costs and takes, beside what the device can do."""

from dataclasses import dataclass

from yolact_bench.results.record import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProfile:
    """One stage of one call, a call being one batch of images."""

    stage: str
    parameters: int
    macs: int
    operations: int  # on single values, besides the MACs
    moved_bytes: int  # that operators read and write, an estimate
    ms: float | None  # median; None: not timed, as a part of another stage

    @property
    def flop(self) -> int:
        """Floating-point operations: two for a MAC, one for each value otherwise."""
        return 2 * self.macs + self.operations

    @property
    def gflops(self) -> float | None:
        """Billions of them a second, as achieved."""
        return None if not self.ms or not self.flop else self.flop / self.ms / 1e6

    @property
    def intensity(self) -> float | None:
        """Operations for each byte moved."""
        return self.flop / self.moved_bytes if self.moved_bytes else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """What the device was measured to do at most."""

    gflops: float
    gflops_by: str  # the probe that reached it
    gigabytes_per_second: float

    def at(self, intensity: float) -> float:
        """Return the highest GFLOP/s at this number of operations per byte moved."""
        return min(self.gflops, intensity * self.gigabytes_per_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Where the milliseconds of one arm go."""

    arm: str
    weights: str  # "trained", "untrained"
    scenario: str
    runtime: str  # with its precision
    batch_size: int
    load: str  # the declared detection load; "": the arm's own detections
    images: str  # what was timed on
    samples: int
    median_ms: float  # of a whole call
    stages: tuple[StageProfile, ...]
    ceiling: Ceiling
    bytes_are: str  # how traffic was estimated
    peak_memory_mb: float | None
    energy_mj: float | None  # an image
    environment: Environment
    time: str
    invalid: str = ""  # why its times do not count

    @property
    def parameters(self) -> int:
        """Of all stages."""
        return sum(stage.parameters for stage in self.stages)

    @property
    def macs(self) -> int:
        """Of all stages."""
        return sum(stage.macs for stage in self.stages)

    @property
    def stages_ms(self) -> float:
        """The sum over timed stages, which need not be the median of a call."""
        return sum(stage.ms or 0.0 for stage in self.stages)
