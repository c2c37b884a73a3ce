"""Times of arms against one quantity that is varied: detections in an image, or image size."""

from dataclasses import dataclass

from yolact_bench.text import ms_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One arm at one value."""

    arm: str
    value: int
    median_ms: float
    interval_ms: tuple[float, ...]  # 95 %, low and high; empty with too few rounds
    detections: float | None  # mean in a call; None where no masks are made
    stages_ms: dict[str, float]  # medians
    samples_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyCurve:
    """All points of one session: arms and values alternate."""

    varied: str  # "detections" or "image_size"
    scenario: str
    device: str
    device_type: str
    threads: int
    timer: str
    batch_size: int
    points: tuple[CurvePoint, ...]
    notes: tuple[str, ...]  # what a reader must know
    invalid: str = ""  # why no time of the session counts

    @property
    def arms(self) -> tuple[str, ...]:
        """Names, in the order of the spec."""
        return tuple(dict.fromkeys(point.arm for point in self.points))

    @property
    def values(self) -> tuple[int, ...]:
        """All values, ascending."""
        return tuple(sorted({point.value for point in self.points}))

    @property
    def unit(self) -> str:
        return ms_unit(self.device_type)

    def at(self, arm: str, value: int) -> CurvePoint | None:
        """Return a point; None where that arm was not timed."""
        return next((p for p in self.points if (p.arm, p.value) == (arm, value)), None)
