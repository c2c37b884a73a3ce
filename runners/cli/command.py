"""Commands as classes: what a class declares are its options, declared once and passed on whole."""

import logging
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_origin

import typer

from runners.cli import options
from yolact_bench import ranges
from yolact_bench.errors import SpecError
from yolact_bench.spec.budget_names import BUDGETS, FULL

if TYPE_CHECKING:
    from runners.timing.records import TimingLimits
    from runners.units.workplace import Workplace

log = logging.getLogger(__name__)

# Where a command works, how fast, and what it prints; its results do not depend on them.
_LOCAL = frozenset(
    [
        *("spec", "work_dir", "data_root", "device", "workers", "executor", "slots", "address"),
        *("hash_images", "strict", "storage", "max_store_gb", "images_per_second", "retry_failed"),
        *("dry_run", "as_json", "verbose"),
    ]
)


def callback(command: type, action: str) -> Callable[..., None]:
    """Return the function that typer calls for a command: `action` with the options.

    A field whose type carries a help text is an option, any other a fixed value. Options of the
    class itself come first. The action, "module:function" of this package, is imported when it is
    called, so that --help is fast.
    """
    module, _, name = action.partition(":")

    def execute(**values: object) -> None:
        log.info("loading torch")
        from runners.system.progress import scan_progress
        from yolact_bench.dataset_spec.images import look_once

        with look_once(scan_progress):
            getattr(import_module(f"runners.cli.{module}"), name)(command(**values))

    execute.__doc__ = command.__doc__
    names = [name for kind in command.__mro__ for name in getattr(kind, "__annotations__", ())]
    fields = [signature(command).parameters[name] for name in dict.fromkeys(names)]
    execute.__signature__ = Signature(  # type: ignore[attr-defined]
        [field for field in fields if get_origin(field.annotation) is Annotated]
    )
    return execute


def command_text(name: str, command: "ExecutorOptions", spec: Path) -> str:
    """Return the command as a reader would repeat it: with all options that shape its results.

    Left out are those of `_LOCAL`, and the folder of a spec with an absolute path.
    """
    words = ["yolact-bench", name, spec.name if spec.is_absolute() else str(spec)]
    own, *others = type(command).__mro__
    names = [field for kind in (*others, own) for field in getattr(kind, "__annotations__", ())]
    parameters = signature(type(command)).parameters
    for field in dict.fromkeys(names):
        value, parameter = getattr(command, field), parameters[field]
        if field in _LOCAL or value in (parameter.default, []):
            continue
        (declaration,) = parameter.annotation.__metadata__
        first = declaration.default  # typer's place for a name that the option is given
        option = first if isinstance(first, str) else f"--{field.replace('_', '-')}"
        for one in value if isinstance(value, list) else [value]:
            words += [option] if one is True else [option, str(one)]
    return shlex.join(words)


@dataclass(frozen=True, kw_only=True)
class PlaceOptions:
    """Where and on what a command works."""

    work_dir: options.WorkDir = options.WORK
    device: options.Device = None
    data_root: options.DataRoot = None
    workers: int | None = None
    validate_every: int | None = None
    max_store_gb: float = 100.0
    scoring: str = "pycocotools"
    eval_batch: int = 1
    compile_network: bool = False
    record_step: bool = False
    cudnn_benchmark: bool = False
    devices: int = 1
    budget: str = FULL
    rounds: int | None = None
    retry_failed: bool = False
    hash_images: bool = False
    strict: str | None = None

    @cached_property
    def place(self) -> "Workplace":
        """The workplace that the options describe.

        Raises:
            SpecError: an unknown device or scoring engine, or one that this machine lacks.
        """
        from runners.cli import workplace

        return workplace.make_workplace(self)

    @property
    def timing(self) -> "TimingLimits":
        """The limits on the rounds in which arms are timed."""
        from runners.timing.records import SMOKE_LIMITS, TimingLimits

        rehearsal = BUDGETS[self.budget].rehearsal
        return SMOKE_LIMITS if rehearsal else TimingLimits(rounds=self.rounds)


@dataclass(frozen=True, kw_only=True)
class SpecOptions:
    """What a command changes in the spec of an ablation."""

    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="ARM", help="Name of an arm to run alone. Repeatable."),
    ] = None
    settings: options.Set = None
    seeds: Annotated[
        int | None,
        options.number(
            ranges.NumSeeds,
            help="Number of seeds, 0 … N-1. Default: the seeds of the file.",
        ),
    ] = None
    budget: options.Budget = FULL


@dataclass(frozen=True, kw_only=True)
class ExecutorOptions(PlaceOptions):
    """Where the jobs of `run` and `sweep` run, and what they print."""

    workers: options.Workers = None
    rounds: options.Rounds = None
    compile_network: options.Compile = False
    record_step: options.Graph = False
    cudnn_benchmark: options.CudnnBenchmark = False
    executor: Annotated[
        str | None,
        typer.Option(
            "--executor",
            help="Where arms run: here (this process), local (a worker process per slot) or ray. "
            "Default: local with more than one slot, else here.",
        ),
    ] = None
    slots: Annotated[
        int | None,
        options.number(
            ranges.Threads, help="Arms side by side. Default: one per CUDA device; 1 on a CPU."
        ),
    ] = None
    devices: options.Devices = 1
    hash_images: options.HashImages = False
    address: Annotated[
        str | None,
        typer.Option(envvar="RAY_ADDRESS", help="Address of the Ray cluster (HOST:6379 or auto)."),
    ] = None
    dry_run: Annotated[bool, typer.Option(help="Plan only; nothing runs.")] = False
    as_json: options.AsJson = False

    def __post_init__(self) -> None:
        """Refuse an address, unless of the environment, without the executor that uses it.

        Raises:
            SpecError: naming both options.
        """
        if self.executor != "ray" and self.address not in (None, os.environ.get("RAY_ADDRESS")):
            raise SpecError(
                f"--address {self.address}: only --executor ray has one; write that too, or leave "
                "it out"
            )
