"""The loop of a training: its state, one step of it, and what happens between steps.

One file: all of it is one state, which a checkpoint holds and a resumed training continues.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import IntEnum
from pathlib import Path

import torch
from torch import Tensor

from runners.system.environment import device_name
from runners.system.interrupt import TrainingStop
from runners.system.progress import losses_text
from runners.training.checkpoint import load_training, save_training
from runners.training.log import TrainingLog
from runners.training.losses import check_finite, check_weights, joint_window, shared_losses
from runners.training.options import TrainingOptions
from runners.training.step_clock import clock_for, warm_up
from runners.training.step_graph import StepGraph, recording_fault
from runners.workdir.stop_file import StopFileWatch
from yolact_bench.data.batch import TrainingLoader, normalise
from yolact_bench.data.collate import Batch
from yolact_bench.loss.total import Losses
from yolact_bench.model.batch_norm import set_training_mode
from yolact_bench.model.network import Yolact
from yolact_bench.resolve import fact_of
from yolact_bench.runtime.cudnn_choice import cudnn_benchmark
from yolact_bench.schedule import Schedule
from yolact_bench.spec.run import Run
from yolact_bench.training_log import curve_points
from yolact_bench.training_parts import freezes_batch_norm
from yolact_bench.weights.checkpoint import damage

logger = logging.getLogger(__name__)

LOG_EVERY = 10  # iterations; the only places where the loop waits for the device


class Verdict(IntEnum):
    """What follows an iteration. Of several ranks' verdicts the highest counts."""

    GO_ON = 0
    CHECKPOINT = 1
    STOP = 2
    STOP_BY_FILE = 3


class Loop:
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
        self.folder, self.how, self.ranks = folder, how, how.ranks
        self.log = TrainingLog(folder / "log.jsonl")
        self.stop_file = StopFileWatch(folder)
        self.frozen = freezes_batch_norm(run)
        set_training_mode(network, frozen_batch_norm=self.frozen)
        self.terms = losses
        self.losses = shared_losses(
            network,
            losses,
            ranks=how.ranks,
            precision=run.precision,
            compile_network=how.compile_network,
            # Without objects, nothing reaches the re-scoring network.
            reaches_all=network.rescore_net is None
            and not fact_of(run, "semantic_loss", "makes_nothing"),
        )
        self.optimizer = schedule.build_optimizer(network.parameters())
        self.scaler = torch.amp.GradScaler(how.device, enabled=run.precision == "fp16")
        self.where = {"device": device_name(how.device), "devices": how.ranks.size}
        self.parts = {"network": network, "optimizer": self.optimizer, "scaler": self.scaler}
        self.generator = torch.Generator(how.device)
        self.iteration = 0
        self.seconds = 0.0
        self.graph = self.graph_of_steps(losses)
        self.ways = {  # of now, or of a part before a resumption
            "compile_network": how.compile_network,
            "record_step": self.graph is not None,
            "cudnn_benchmark": how.cudnn_benchmark,
        }
        self.clock = clock_for(how.device)
        # On a CPU a first step compiles and chooses nothing, unless it is told to.
        self.is_warm = torch.device(how.device).type == "cpu" and not how.compile_network
        self.window: list[dict[str, Tensor]] = []  # losses since the last log line

    def resume(self, path: Path) -> None:
        self.iteration, self.seconds, window, ways = load_training(
            path, train_digest=self.run.train_digest, parts=self.parts
        )
        if self.iteration > self.schedule.iterations:
            fault = f"it is of iteration {self.iteration}, of {self.schedule.iterations}"
            raise damage(path, fault)
        self.ways = {way: used or ways[way] for way, used in self.ways.items()}
        device = self.how.device
        self.window = [{name: loss.to(device) for name, loss in w.items()} for w in window]

    def run_all(self, loader: TrainingLoader, advance: Callable[[int, str], None]) -> None:
        cut_short = self.validation_due() and not self.log.validated(self.iteration)
        if self.ranks.broadcast_from_first(cut_short):
            self.validate()  # it follows the checkpoint
        written = time.monotonic()
        self.clock.start(self.seconds)
        for batch in self.batches(loader):
            with self.clock.step():
                self.step(batch)
            self.iteration += 1
            self.seconds = self.clock.seconds()
            done = self.iteration == self.schedule.iterations
            if self.iteration % LOG_EVERY == 0 or done:
                advance(self.iteration, self.write_log())
            due = time.monotonic() - written > self.how.checkpoint_seconds
            verdict = self.verdict(due, done)  # read once: the answer may change at any time
            if verdict > Verdict.GO_ON:
                self.checkpoint()
                written = time.monotonic()
            if verdict > Verdict.CHECKPOINT:
                raise TrainingStop if verdict == Verdict.STOP_BY_FILE else KeyboardInterrupt
            if self.validation_due():
                with self.clock.pause():
                    self.validate()

    def batches(self, loader: TrainingLoader) -> Iterator[Batch]:
        """Yield the batches; an error of any rank's loader is raised on all."""
        with self.clock.waiting():
            iterator = iter(loader)
            batch = self.ranks.do_on_all(lambda: next(iterator, None))
        while batch is not None:
            if not self.is_warm:
                with self.clock.pause():
                    self.warm_up(batch)
            yield batch
            with self.clock.waiting():
                batch = self.ranks.do_on_all(lambda: next(iterator, None))

    def verdict(self, due: bool, done: bool) -> Verdict:
        """Return what all ranks do now: the first reads clock and file, any may get a signal.

        A stop file after the last iteration has no effect.
        """
        decides = self.ranks.first and not done
        own = Verdict.GO_ON
        if self.how.should_stop():
            own = Verdict.STOP
        elif decides and self.stop_file():
            own = Verdict.STOP_BY_FILE
        elif decides and due:
            own = Verdict.CHECKPOINT
        return Verdict(self.ranks.highest(own))

    def graph_of_steps(self, losses: Losses) -> StepGraph | None:
        """Return what replays steps, if that is asked for and the training allows it."""
        if self.how.recorder is None:
            return None
        fault = recording_fault(losses, ranks=self.ranks.size, precision=self.run.precision)
        if fault:
            logger.warning("--graph: %s, so steps are not recorded", fault)
            return None
        return StepGraph(
            self.update, self.network, self.optimizer, self.generator, record=self.how.recorder
        )

    def step(self, batch: Batch) -> None:
        self.schedule.set_lr(self.optimizer, self.iteration)
        # Keyed to the iteration, so that a resumed training draws the same subsets.
        self.generator.manual_seed(self.run.seed * 1_000_003 + self.iteration)
        with self.algorithms():
            self.window.append((self.graph or self.update)(batch))

    def algorithms(self) -> AbstractContextManager[None]:
        """Return where cuDNN chooses as asked for; validations, which round apart, lie outside."""
        return cudnn_benchmark() if self.how.cudnn_benchmark else nullcontext()

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Change the weights by the gradients of the batch, and return its losses."""
        losses = self.backward(batch)
        if self.schedule.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return {name: loss.detach() for name, loss in losses.items()}

    def backward(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of the batch, whose gradients are then on the parameters."""
        batch = batch.to(self.how.device)
        x = normalise(batch.images, self.network.mean, self.network.std)
        losses: dict[str, Tensor] = self.losses(x, batch.targets, self.generator)
        total = torch.stack(list(losses.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        return losses

    def warm_up(self, batch: Batch) -> None:
        """Have kernels compiled and plans chosen before the clock starts; change nothing else."""
        once = self.backward if self.graph is None else self.graph.record

        def prepare() -> None:
            self.terms.compile_kernels(self.network.anchors)
            once(batch)

        with self.algorithms():
            seconds = warm_up(prepare, self.network, self.how.device)
        self.optimizer.zero_grad(set_to_none=True)
        self.is_warm = True
        if self.ranks.first:
            logger.info("Kernels are ready after %.1f s; the clock starts now.", seconds)

    def write_log(self) -> str:
        """Check, log and clear the losses since the last line; return them as text."""
        self.check_finite()
        values = {name: torch.stack([w[name] for w in self.window]) for name in self.window[0]}
        means = {name: float(value.mean()) for name, value in values.items()}
        self.window.clear()
        done = self.iteration * self.schedule.batch_size
        self.seconds = self.clock.seconds()  # the device has ended these steps by now
        interval = self.clock.end_interval(self.schedule.batch_size)
        line = {
            "iteration": self.iteration,
            "losses": means,
            "total": sum(means.values()),
            "lr": self.schedule.lr_at(self.iteration - 1),
            "images_per_second": done / max(self.seconds, 1e-9),
            "seconds": self.seconds,
            "interval": interval.numbers(),
            **({} if self.graph is None else {"unrecorded_steps": self.graph.num_unrecorded}),
            **self.where,
        }
        self.ranks.do_on_first(lambda: self.log.append(line))
        self.report(line)
        return f"{losses_text(means)}  {line['images_per_second']:.1f} images/s  {interval.text()}"

    def check_finite(self) -> None:
        """Raise ArmError for the first iteration of the window whose loss is not finite.

        The losses of the window are those of the joint batch from here on, on every rank.
        """
        self.window = joint_window(self.window, self.ranks)
        check_finite(self.window, self.iteration - len(self.window), self.schedule)

    def checkpoint(self) -> None:
        """Write last.pt, unless weights, or losses since the last check, are not finite."""
        self.check_finite()
        self.check_weights()
        self.ranks.do_on_first(self.save)

    def check_weights(self) -> None:
        """Raise ArmError for weights that are not finite."""
        check_weights(self.network, self.iteration - 1, self.schedule)

    def save(self) -> None:
        """Write last.pt, and sync the log that it continues."""
        self.log.sync()
        save_training(
            self.folder / "last.pt",
            run=self.run,
            iteration=self.iteration,
            seconds=self.seconds,
            parts=self.parts,
            window=self.window,
            ways=self.ways,
        )

    def validation_due(self) -> bool:
        """Return whether a validation is due; the last iteration is followed by an evaluation."""
        every, last = self.how.validate_every, self.schedule.iterations
        return bool(every) and 0 < self.iteration < last and self.iteration % every == 0

    def validate(self) -> None:
        """Evaluate the network, log its metrics, and restore training mode."""
        if self.how.validate is not None:
            self.ranks.do_on_first(self._validate)
            set_training_mode(self.network, frozen_batch_norm=self.frozen)

    def _validate(self) -> None:
        assert self.how.validate is not None
        self.network.eval()
        line = {"iteration": self.iteration, "validation": dict(self.how.validate(self.network))}
        self.log.append(line)
        self.report(line)

    def report(self, line: Mapping[str, object]) -> None:
        """Pass on a line of the log as points of curves."""
        if self.how.on_log:
            self.how.on_log(*curve_points(line))
