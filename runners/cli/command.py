"""Commands as classes: what a class declares are its options, declared once and passed on whole."""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, get_type_hints

from runners.cli.options import WORK
from yolact_bench.spec.budget_names import BUDGETS, FULL

if TYPE_CHECKING:
    from runners.timing.records import TimingLimits
    from runners.units.workplace import Workplace


class Command(Protocol):
    """A dataclass with one field for each option; its docstring is the help text."""

    def execute(self) -> None:
        """Do what the command is for. It imports what it needs, so that --help is fast."""


def callback(command: type[Command]) -> Callable[..., None]:
    """Return the function that typer calls for a command.

    Its parameters are the fields that the class itself declares, in their order. A field of a
    base class alone is no option: there, each command has the base's value.
    """
    hints = get_type_hints(command, include_extras=True)
    defaults = {field.name: field.default for field in fields(command)}  # type: ignore[arg-type]
    own = list(command.__annotations__)

    def execute(**options: object) -> None:
        command(**options).execute()

    execute.__doc__ = command.__doc__
    execute.__annotations__ = {name: hints[name] for name in own}
    execute.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                default=Parameter.empty if defaults[name] is MISSING else defaults[name],
                annotation=hints[name],
            )
            for name in own
        ]
    )
    return execute


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """Where and on what a command works."""

    work_dir: Path = WORK
    data_root: Path | None = None
    device: str | None = None
    workers: int | None = None
    validate_every: int | None = None
    max_store_gb: float = 100.0
    scoring: str = "pycocotools"
    eval_batch: int = 1
    compile_network: bool = False
    devices: int = 1

    @cached_property
    def place(self) -> "Workplace":
        """The workplace that the options describe.

        Raises:
            SpecError: an unknown device or scoring engine, or one that this machine lacks.
        """
        from runners.cli import workplace

        return workplace.make_workplace(self)


@dataclass(frozen=True, kw_only=True)
class SpecOptions(PlaceOptions):
    """What a command changes in a spec."""

    settings: Sequence[str] | None = None  # PATH=VALUE
    only: Sequence[str] | None = None
    seeds: int | None = None
    budget: str = FULL
    rounds: int | None = None
    retry_failed: bool = False

    @property
    def timing(self) -> "TimingLimits":
        """The limits on the rounds in which arms are timed."""
        from runners.timing.records import SMOKE_LIMITS, TimingLimits

        rehearsal = BUDGETS[self.budget].rehearsal
        return SMOKE_LIMITS if rehearsal else TimingLimits(rounds=self.rounds)


@dataclass(frozen=True, kw_only=True)
class ExecutorOptions(PlaceOptions):
    """Where the jobs of a command run."""

    executor: str | None = None
    slots: int | None = None
    address: str | None = None
