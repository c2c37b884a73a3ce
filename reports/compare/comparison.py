"""What changed from one ablation to another, as data."""

from dataclasses import dataclass

from reports.compare.times import LatencyChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change in words."""

    what: str
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmChange:
    """An option that differs in some arms in the same way."""

    arms: tuple[str, ...]
    what: str  # slot or slot.option
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberChange:
    """A metric that differs, in percentage points."""

    arm: str
    seed: int
    metric: str
    a: float | None
    b: float | None
    delta: float | None
    same_digest: bool  # the same choices on the same data: then code or hardware made it


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What changed from one ablation to another."""

    title: str
    settings: tuple[Change, ...]
    arms_added: tuple[str, ...]
    arms_removed: tuple[str, ...]
    arms_renamed: tuple[Change, ...]  # equal digests under another name
    arm_settings: tuple[ArmChange, ...]
    numbers: tuple[NumberChange, ...]
    records: tuple[ArmChange, ...]  # other facts, and records that only one side has
    failures: tuple[Change, ...]
    provenance: tuple[Change, ...]  # commits, devices, versions
    latencies: tuple[LatencyChange, ...]
    latency_refused: str | None

    @property
    def differs(self) -> bool:
        """Whether anything but provenance and times differs."""
        changes = (self.settings, self.arms_added, self.arms_removed, self.arms_renamed)
        return any((*changes, self.arm_settings, self.numbers, self.records, self.failures))
