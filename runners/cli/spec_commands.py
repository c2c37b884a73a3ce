"""The commands of a spec: run, plan, check, sweep."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from runners.cli import options
from runners.cli.command import ExecutorOptions, PlaceOptions, SpecOptions, command_text
from yolact_bench import ranges
from yolact_bench.spec.budget_names import FULL


@dataclass(frozen=True, kw_only=True)
class RunCommand(SpecOptions, ExecutorOptions):
    """Train what is missing, evaluate, time all arms together and write the report."""

    spec: Annotated[
        Path,
        typer.Argument(
            help="YAML file of an ablation.", metavar="SPEC", callback=options.require_files
        ),
    ]
    images_per_second: Annotated[
        float | None,
        options.number(
            ranges.Positive,
            "--images-per-second",
            help="Training throughput for the estimate, images per second. "
            "Default: measured rates.",
        ),
    ] = None
    validate_every: options.ValidateEvery = None
    max_store_gb: options.MaxStore = 100.0
    scoring: options.Scoring = "pycocotools"
    eval_batch: options.EvalBatch = 1
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Intervals for small, medium and large objects as well.")
    ] = False
    retry_failed: Annotated[
        bool, typer.Option(help="Another attempt at arms that failed before.")
    ] = False
    latency_first: Annotated[
        bool,
        typer.Option(
            "--latency-first",
            help="Latency check before training; arms over latency.budget_ms are skipped.",
        ),
    ] = False
    verbose: options.Verbose = False
    strict: options.Strict = None

    @property
    def text(self) -> str:
        """The command as a reader would repeat it."""
        return command_text("run", self, self.spec)


@dataclass(frozen=True, kw_only=True)
class PlanCommand(SpecOptions, PlaceOptions):
    """Print what `run` would do and cost; for several specs, what they share and how they scale."""

    specs: options.Specs
    rates: Annotated[
        list[str] | None,
        typer.Option(
            "--images-per-second",
            metavar="RATE|PRESET=RATE",
            help="Training throughput of one device, images per second: 50 for every arm, "
            "yolact_r101=45 for that preset's network and precision, scaled by image area. "
            "Repeatable. Default: measured rates.",
        ),
    ] = None
    evaluation_rate: Annotated[
        float | None,
        options.number(
            ranges.Positive,
            "--evaluation-images-per-second",
            help="Throughput of network and detection on one device, images per second. "
            "Default: measured rates.",
        ),
    ] = None
    rates_file: Annotated[
        Path | None,
        typer.Option("--rates", help="YAML file with throughputs: every, presets, evaluation."),
    ] = None
    slots: Annotated[int, options.number(ranges.Threads, help="Arms side by side.")] = 1
    devices: options.Devices = 1
    efficiency: Annotated[
        float | None,
        options.number(
            ranges.Efficiency,
            "--scaling-efficiency",
            help="Fraction of the ideal speed-up on several devices, 0 to 1. Default: 1.",
        ),
    ] = None
    gpus: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,…",
            help="Numbers of devices to plan the suite for. Default: 8,64,512 for several SPECs.",
        ),
    ] = None
    price_per_hour: Annotated[
        float | None,
        options.number(
            ranges.NotNegative,
            "--price-per-hour",
            help="Price per device-hour. Default: none.",
        ),
    ] = None
    hash_images: options.HashImages = False
    rounds: options.Rounds = None
    max_store_gb: options.MaxStore = 100.0
    as_json: options.AsJson = False


@dataclass(frozen=True, kw_only=True)
class CheckCommand:
    """Check ablations and sweeps without running them: names, options, networks, data."""

    specs: options.Specs
    budget: options.Budget = FULL
    data_root: options.DataRoot = None


@dataclass(frozen=True, kw_only=True)
class SweepCommand(ExecutorOptions):
    """Search a space of slots and options; the same command resumes an interrupted search."""

    spec: Annotated[
        Path,
        typer.Argument(
            help="YAML file of a sweep.", metavar="SPEC", callback=options.require_files
        ),
    ]
    settings: options.Set = None
    trials: Annotated[
        int | None,
        options.number(ranges.Trials, help="Number of trials. Default: the number in the file."),
    ] = None
    budget: options.Budget = FULL
    storage: Annotated[
        str | None,
        typer.Option(
            envvar="OPTUNA_STORAGE",
            help="Database URL of the study, for several machines. Default: work/optuna.db.",
        ),
    ] = None
    confirm: Annotated[
        int | None,
        options.number(
            ranges.NumSeeds,
            help="Number of seeds for another run of the best trial, or of the front, and the "
            "base. Default: no such run.",
        ),
    ] = None

    @property
    def text(self) -> str:
        """The command as a reader would repeat it."""
        return command_text("sweep", self, self.spec)
