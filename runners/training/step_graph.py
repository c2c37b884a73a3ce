"""A whole step of a training as one graph, which a replay repeats without the host."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn

from runners.training.held_batch import HeldBatch, Room
from yolact_bench.data.collate import Batch
from yolact_bench.errors import ArmError, first_line
from yolact_bench.loss.forms import slots_without_form
from yolact_bench.loss.total import Losses
from yolact_bench.runtime.recording import Replay
from yolact_bench.slots import fact

log = logging.getLogger(__name__)


class StepRecorder(Protocol):
    """Note the work of a function on a device, as `record_cuda_graph`, instead of doing it."""

    def __call__(
        self,
        run: Callable[[], None],
        warm_up: Callable[[], None],
        generators: Sequence[torch.Generator],
    ) -> Replay:
        """Return what does the work again, with numbers drawn from the generators as they are."""


class StepGraph:
    """A step that is recorded once: forward pass, losses, backward pass, clipping, optimizer.

    Weights, statistics and moments are the training's own, so steps that are recorded and steps
    that are not may follow one another. A batch with more objects than the graph has room for is
    trained by the step itself; for it there must be memory beside the graph's.
    """

    def __init__(
        self,
        step: Callable[[Batch], dict[str, Tensor]],
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
        *,
        record: StepRecorder,
    ) -> None:
        self._step, self._record = step, record
        self._network, self._optimizer, self._generator = network, optimizer, generator
        self._static: HeldBatch | None = None
        self._replay: Replay = lambda: None
        self.num_unrecorded = 0  # steps for which the graph had no room

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Train the batch and return its losses."""
        batch = batch.to(self._generator.device)
        if self._static is None:
            self.record(batch)
        assert self._static is not None
        if fault := self._static.fault(batch):
            self._note(fault)
            return self._step(batch)
        with _current(self._generator.device):
            self._static.take(batch)
            self._replay()
        return dict(zip(self._names, self._losses.clone().unbind(), strict=True))

    def record(self, batch: Batch) -> None:
        """Record the step for batches of this size; nothing is trained.

        Raises:
            ArmError: a component of the step cannot be recorded.
        """
        device = self._generator.device
        batch = batch.to(device)
        static = HeldBatch(batch, Room.for_images(len(batch)), device)
        if not static.fault(batch):
            static.take(batch)

        def run() -> None:
            losses = self._step(static.batch)
            self._names, self._losses = list(losses), torch.stack(list(losses.values()))

        promise = _capturable(self._optimizer)
        with _current(device), undo_steps(self._network, self._optimizer, self._generator):
            try:
                self._replay = self._record(promise(run), run, [self._generator])
            except RuntimeError as error:
                if isinstance(error, torch.OutOfMemoryError):
                    raise
                raise ArmError(
                    "not_recordable",
                    f"--graph: the step cannot be recorded: {first_line(error)}; train without it",
                ) from error
        self._static = static

    def _note(self, fault: str) -> None:
        self.num_unrecorded += 1
        if self.num_unrecorded == 1:
            log.warning("--graph: %s, so such steps are not replayed; the log counts them", fault)


def recording_fault(losses: Losses, *, ranks: int, precision: str) -> str:
    """Return why a step with these losses cannot be recorded; "" where it can."""
    if ranks > 1:
        return "several devices share a batch"
    if precision == "fp16":
        return "in fp16 the host reads whether a gradient is finite"
    slots = ["matcher", "box_loss", "mask_loss", "mask_iou_loss"]
    if not fact(losses.semantic_loss, "makes_nothing"):
        slots.append("semantic_loss")
    given = {slot: getattr(losses, slot) for slot in slots}
    missing = slots_without_form(given, losses.rescore_net)
    return f"the component of {missing} takes one image at a time" if missing else ""


@contextmanager
def undo_steps(
    network: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> Iterator[None]:
    """Leave weights, buffers, moments and the generator as they are found.

    Moments that the optimizer makes in its first step stay, as zeros: that is where they begin.
    """
    tensors = [*network.parameters(), *network.buffers(), *_moments(optimizer)]
    values, random = [tensor.detach().clone() for tensor in tensors], generator.get_state()
    try:
        yield
    finally:
        before = {id(tensor) for tensor in tensors}
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)
            for moment in _moments(optimizer):
                if id(moment) not in before:
                    moment.zero_()
        generator.set_state(random)
        optimizer.zero_grad(set_to_none=True)


@contextmanager
def _capturable(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Promise torch that the optimizer's step can be recorded, without which AdamW refuses.

    A fused one keeps it. Promised for good, it makes torch warn of steps that are not recorded.
    """
    groups = [group for group in optimizer.param_groups if "capturable" in group]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in groups:
            group["capturable"] = False


def _moments(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    states = optimizer.state.values()
    return [value for state in states for value in state.values() if isinstance(value, Tensor)]


def _current(device: torch.device) -> torch.cuda.device | nullcontext[None]:
    """Return a context in which graphs are those of this device."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()
