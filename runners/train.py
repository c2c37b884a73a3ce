"""The training loop: one loop, one file. Resumes where it stopped; stops on a non-finite loss."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from runners.checkpoint import load_training, save_final, save_training, seed_generators
from runners.interrupt import Stopped
from runners.progress import losses_text, progress
from runners.stop_file import StopFileWatch
from runners.training_log import TrainingLog
from yolact_bench.build import (
    build_losses_for,
    build_network,
    build_schedule,
    build_training_loader,
    freezes_batch_norm,
)
from yolact_bench.data import Dataset
from yolact_bench.data.batch import Batch, TrainingLoader
from yolact_bench.detect.compiler import with_whole_libraries
from yolact_bench.detect.runtime import HALF
from yolact_bench.errors import ArmError
from yolact_bench.geometry.pixels import normalise
from yolact_bench.loss.total import Losses
from yolact_bench.model.batch_norm import set_training_mode
from yolact_bench.model.network import Yolact
from yolact_bench.schedule import Schedule
from yolact_bench.shapes import Predictions
from yolact_bench.spec.run import Run

log = logging.getLogger(__name__)

LOG_EVERY = 10  # iterations; the only places where the loop waits for the device

# A validation looks at the network after some iterations and returns numbers such as mask_ap.
Validate = Callable[[Yolact], Mapping[str, float]]
Logged = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a finished training is known by."""

    weights: Path
    iterations: int
    seconds: float
    images_per_second: float
    skipped_annotations: int
    peak_memory_mb: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How a training is carried out; nothing here changes its result beyond rounding.

    `compile_network` has inductor compile the training step's forward and backward pass. Weights
    and checkpoints are those of the network itself: a training may go on with or without it.
    """

    device: str
    workers: int
    validate: Validate | None = None
    validate_every: int = 0  # iterations; 0: never
    checkpoint_seconds: float = 120.0
    compile_network: bool = False
    on_log: Logged | None = None
    should_stop: Callable[[], bool] = lambda: False


def train(run: Run, folder: Path, dataset: Dataset, *, title: str, how: TrainingOptions) -> Trained:
    """Train `run` in `folder` (work/checkpoints/<train_digest>) and return what came of it.

    A last.pt there is continued from: on a CPU the result is the one of an unbroken training.

    Raises:
        ArmError: a loss is not finite, or an image cannot be read.
        KeyboardInterrupt: `how.should_stop` said so; a checkpoint has been written.
        Stopped: a stop file said so, likewise.
    """
    _warn_of_slow_bf16(run, how.device)
    seed_generators(run.seed)
    network = build_network(run).to(torch.device(how.device))
    network = network.to(memory_format=torch.channels_last)
    schedule = build_schedule(run)
    loop = _Loop(run, network, schedule, build_losses_for(run, network), folder, how)
    last = folder / "last.pt"
    if last.is_file():
        loop.resume(last)
        log.info("%s: goes on from iteration %d", title, loop.iteration)
    loop.log.cut(loop.iteration)
    loader = build_training_loader(
        run, network, dataset, start_iteration=loop.iteration, workers=how.workers
    )
    with progress(title, schedule.iterations, loop.iteration) as bar:
        loop.run_all(loader, bar.advance)
    trained = Trained(
        weights=folder / "final.pt",
        iterations=schedule.iterations,
        seconds=loop.seconds,
        images_per_second=schedule.iterations * schedule.batch_size / max(loop.seconds, 1e-9),
        skipped_annotations=sum(dataset.skipped.values()),
        peak_memory_mb=_peak_memory_mb(how.device),
    )
    facts = {
        "train_digest": run.train_digest,
        "iterations": trained.iterations,
        "seconds": trained.seconds,
        "images_per_second": trained.images_per_second,
        "skipped_annotations": trained.skipped_annotations,
        "peak_memory_mb": trained.peak_memory_mb,
    }
    save_final(trained.weights, facts=facts, network=network)
    last.unlink(missing_ok=True)
    return trained


class _Loop:
    """The state of a training, and one step of it."""

    def __init__(
        self,
        run: Run,
        network: Yolact,
        schedule: Schedule,
        losses: Losses,
        folder: Path,
        how: TrainingOptions,
    ) -> None:
        self.run, self.network, self.schedule = run, network, schedule
        self.losses, self.folder, self.how = losses, folder, how
        # Beside the network, not in its place: validation and checkpoints use the network itself.
        self.forward = _compiled(network) if how.compile_network else network
        self.log = TrainingLog(folder / "log.jsonl")
        self.frozen = freezes_batch_norm(run)
        set_training_mode(network, frozen_batch_norm=self.frozen)
        self.optimizer = _optimizer(network, schedule)
        self.scaler = torch.amp.GradScaler(how.device, enabled=run.precision == "fp16")
        self.generator = torch.Generator(how.device)
        self.iteration = 0
        self.seconds = 0.0
        self.window: list[dict[str, Tensor]] = []  # losses since the last log line
        self.asked_by_file = StopFileWatch(folder)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint."""
        self.iteration, self.seconds, window = load_training(
            path,
            train_digest=self.run.train_digest,
            network=self.network,
            optimizer=self.optimizer,
            scaler=self.scaler,
        )
        device = self.how.device
        self.window = [{name: loss.to(device) for name, loss in w.items()} for w in window]

    def run_all(self, loader: TrainingLoader, advance: Callable[[int, str], None]) -> None:
        """Train to the end of the schedule."""
        if self.validation_due() and not self.log.validated(self.iteration):
            self.validate()  # it came after the checkpoint, and was cut short
        began = written = time.monotonic()
        before = self.seconds
        for batch in loader:
            self.step(batch)
            self.iteration += 1
            self.seconds = before + time.monotonic() - began
            done = self.iteration == self.schedule.iterations
            if self.iteration % LOG_EVERY == 0 or done:
                advance(self.iteration, self.write_log())
            due = time.monotonic() - written > self.how.checkpoint_seconds
            stop = self.how.should_stop()  # asked once: the answer may change at any time
            asked = not done and self.asked_by_file()
            if stop or asked or (due and not done):
                self.checkpoint()
                written = time.monotonic()
            if stop or asked:
                raise KeyboardInterrupt if stop else Stopped
            if self.validation_due():
                pause = time.monotonic()
                self.validate()
                began += time.monotonic() - pause  # validation is no training time

    def step(self, batch: Batch) -> None:
        """One optimiser step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.lr_at(self.iteration)
        device = self.how.device
        batch = batch.to(device)
        x = normalise(batch.images, self.network.mean, self.network.std)
        # Keyed to the iteration, so that a resumed training draws the same subsets.
        self.generator.manual_seed(self.run.seed * 1_000_003 + self.iteration)
        dtype = HALF.get(self.run.precision)
        with torch.autocast(torch.device(device).type, dtype=dtype, enabled=dtype is not None):
            raw = self.forward(x)
        losses = self.losses(raw, batch.targets, self.generator)
        total = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        if self.schedule.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.window.append({name: loss.detach() for name, loss in losses.items()})

    def write_log(self) -> str:
        """Check, log and clear the losses since the last line; return them as text."""
        values = {name: torch.stack([w[name] for w in self.window]) for name in self.window[0]}
        self.check_finite()
        means = {name: float(value.mean()) for name, value in values.items()}
        self.window.clear()
        done = self.iteration * self.schedule.batch_size
        line = {
            "iteration": self.iteration,
            "losses": means,
            "total": sum(means.values()),
            "lr": self.schedule.lr_at(self.iteration - 1),
            "images_per_second": done / max(self.seconds, 1e-9),
            "seconds": self.seconds,
        }
        self.log.append(line)
        if self.how.on_log:
            rates = {"lr": line["lr"], "images_per_second": line["images_per_second"]}
            curves = {f"loss_{name}": value for name, value in means.items()}
            self.how.on_log(self.iteration, {**curves, "loss": line["total"], **rates})  # type: ignore[dict-item]
        return f"{losses_text(means)}  {line['images_per_second']:.1f} images/s"

    def check_finite(self) -> None:
        """Raise ArmError for the first iteration of the window whose loss is not finite."""
        first = self.iteration - len(self.window)
        for offset, losses in enumerate(self.window):
            bad = [name for name, value in losses.items() if not bool(torch.isfinite(value))]
            if bad:
                raise ArmError(
                    "non_finite_loss",
                    f"the {', '.join(bad)} loss is not finite at iteration {first + offset} "
                    f"(learning rate {self.schedule.lr_at(first + offset):.3g}); lower "
                    "schedule.lr, lengthen schedule.warmup, or set schedule.clip_norm",
                )

    def checkpoint(self) -> None:
        """Write last.pt, unless the losses since the last look are not finite."""
        self.check_finite()
        self.log.sync()
        save_training(
            self.folder / "last.pt",
            train_digest=self.run.train_digest,
            iteration=self.iteration,
            seconds=self.seconds,
            network=self.network,
            optimizer=self.optimizer,
            scaler=self.scaler,
            window=self.window,
        )

    def validation_due(self) -> bool:
        """Return whether a validation follows the last iteration; the end has an evaluation."""
        every, last = self.how.validate_every, self.schedule.iterations
        return bool(every) and 0 < self.iteration < last and self.iteration % every == 0

    def validate(self) -> None:
        """Look at the network in evaluation mode, log it, and go on as before."""
        if self.how.validate is None:
            return
        self.network.eval()
        metrics = dict(self.how.validate(self.network))
        set_training_mode(self.network, frozen_batch_norm=self.frozen)
        self.log.append({"iteration": self.iteration, "validation": metrics})
        if self.how.on_log:
            self.how.on_log(self.iteration, {f"val/{k}": v for k, v in metrics.items()})


def _compiled(network: Yolact) -> Callable[[Tensor], Predictions]:
    program = torch.compile(network, dynamic=False)
    return lambda x: with_whole_libraries(lambda: program(x))


def _optimizer(network: Yolact, schedule: Schedule) -> torch.optim.Optimizer:
    parameters = [p for p in network.parameters() if p.requires_grad]
    lr, weight_decay = schedule.lr_at(0), schedule.weight_decay
    if schedule.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay, fused=True)
    return torch.optim.SGD(parameters, lr=lr, momentum=schedule.momentum, weight_decay=weight_decay)


def _warn_of_slow_bf16(run: Run, device: str) -> None:
    """Say so before hours are spent: the result is right, but float32 may be there earlier."""
    fast: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if run.precision == "bf16" and torch.device(device).type == "cpu" and not fast:
        log.warning("PyTorch has no fast bf16 for this CPU; --set precision=fp32 may train faster")


def _peak_memory_mb(device: str) -> float | None:
    if torch.device(device).type != "cuda":
        return None
    return torch.cuda.max_memory_allocated(device) / 2**20
