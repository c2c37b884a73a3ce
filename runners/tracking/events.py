"""What an execution reports to MLflow, as records that a journal keeps and a backfill repeats."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from yolact_bench.errors import SpecError
from yolact_bench.results.serialise import from_plain, plain_fields

# What an execution did for an arm: with "reuse", its records existed already.
Phase = Literal["train+evaluate", "evaluate", "latency", "reuse"]
Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionStart:
    """An execution began: the parent run."""

    time_ms: int  # since 1970, as MLflow has it; so with all events
    execution: str  # of all executions of all ablations, only this one has it
    ablation: str
    question: str
    command: str
    baseline: str  # the arm that differences refer to
    tags: Mapping[str, str]  # of the parent run and of every child
    spec_text: str  # "" where it is no longer known


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmStart:
    """Work on an arm with one seed began: a child run."""

    time_ms: int
    arm: str
    seed: int
    phase: Phase
    train_digest: str
    detect_digest: str
    run: Mapping[str, object]  # the resolved choices of its slots; may be empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """One point for each of some metrics of an arm."""

    time_ms: int
    arm: str
    seed: int
    step: int
    values: Mapping[str, float]
    proxy: bool = False  # of a shortened training
    tags: Mapping[str, str] = field(default_factory=dict)  # additional, of the arm's run


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFailure:
    """An arm failed."""

    time_ms: int
    arm: str
    seed: int
    kind: str
    message: str
    traceback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifacts:
    """A folder of reports was written."""

    time_ms: int
    folder: str  # relative to the work directory


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionEnd:
    """The execution ended."""

    time_ms: int
    status: Status


Event = ExecutionStart | ArmStart | Points | ArmFailure | Artifacts | ExecutionEnd

_KINDS: Mapping[str, type[Event]] = {  # by the name in a journal
    "Started": ExecutionStart,
    "ArmStarted": ArmStart,
    "Points": Points,
    "Failed": ArmFailure,
    "Artifacts": Artifacts,
    "Finished": ExecutionEnd,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def event_to_plain(event: Event) -> dict[str, object]:
    """Return the event as data that JSON can hold."""
    return {"event": _NAMES[type(event)], **plain_fields(event)}


def event_from_plain(data: object) -> Event:
    """Return the event that `event_to_plain` gave as `data`.

    Raises:
        SpecError: the data are not an event of this version.
    """
    if not isinstance(data, dict) or str(data.get("event")) not in _KINDS:
        raise SpecError(f"this version has no such event: {str(data)[:100]}")
    fields = {key: value for key, value in data.items() if key != "event"}
    return from_plain(_KINDS[data["event"]], fields)
