"""The losses of a batch, which several ranks may share, as a module that DDP can wrap."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from runners.system.ranks import Ranks
from yolact_bench.errors import ArmError
from yolact_bench.loss.total import Losses
from yolact_bench.model.network import Yolact
from yolact_bench.runtime.compiler import with_whole_libraries
from yolact_bench.runtime.runtime import HALF
from yolact_bench.schedule import Schedule
from yolact_bench.shapes import Predictions, Target
from yolact_bench.torch_internals import add_to_all
from yolact_bench.weights.tensors import unusable


def shared_losses(
    network: Yolact,
    losses: Losses,
    *,
    ranks: Ranks,
    precision: str,
    compile_network: bool,
    reaches_all: bool,
) -> nn.Module:
    """Return a module from images and targets to the losses; gradients are averaged over ranks.

    It does not replace the network, which validation and checkpoints use itself. With
    `reaches_all`, every parameter has a part in the loss of every batch.
    """
    forward = _compile(network) if compile_network else network.__call__
    module = BatchLosses(network, forward, losses, precision)
    if ranks.size == 1:
        return module
    return DistributedDataParallel(
        module,
        broadcast_buffers=False,  # those of batch norm are equal already
        find_unused_parameters=not reaches_all,
    )


def joint_window(window: list[dict[str, Tensor]], ranks: Ranks) -> list[dict[str, Tensor]]:
    """Return the losses of the joint batch; losses that are joint already do not change."""
    if ranks.size == 1 or not window:
        return window
    names = list(window[0])
    table = torch.stack([torch.stack([losses[name] for name in names]) for losses in window])
    return [dict(zip(names, row, strict=True)) for row in ranks.mean(table).unbind()]


def check_finite(window: list[dict[str, Tensor]], first: int, schedule: Schedule) -> None:
    """Check the losses of the iterations from `first` on.

    Raises:
        ArmError: one is not finite; the message says which, and when.
    """
    for iteration, losses in enumerate(window, start=first):
        bad = [name for name, value in losses.items() if not bool(torch.isfinite(value))]
        if bad:
            raise ArmError(
                "non_finite_loss",
                f"the {', '.join(bad)} loss is not finite at iteration {iteration} "
                f"(learning rate {schedule.lr_at(iteration):.3g}); lower "
                "schedule.lr, lengthen schedule.warmup, or set schedule.clip_norm",
            )


def check_weights(network: nn.Module, iteration: int, schedule: Schedule) -> None:
    """Check the weights after an iteration: a step of a finite loss may have made others.

    Raises:
        ArmError: one is not finite; the message says which.
    """
    if fault := unusable(network.state_dict()):
        raise ArmError(
            "non_finite_loss",
            f"after iteration {iteration}: {fault} (learning rate "
            f"{schedule.lr_at(iteration):.3g}); lower schedule.lr, lengthen schedule.warmup, "
            "or set schedule.clip_norm",
        )


class BatchLosses(nn.Module):
    """The losses of a batch as one module, so that DDP sees every parameter that they reach.

    The losses call the re-scoring network, not the network's forward pass.
    """

    def __init__(
        self,
        network: Yolact,
        forward: Callable[[Tensor], Predictions],
        losses: Losses,
        precision: str,
    ) -> None:
        super().__init__()
        self.network = network
        self._through, self._losses = forward, losses
        self._dtype = HALF.get(precision)
        self._counters = BatchCounters(network.backbone)

    def forward(
        self, x: Tensor, targets: Sequence[Target], generator: torch.Generator
    ) -> dict[str, Tensor]:
        dtype = self._dtype
        autocast = torch.autocast(x.device.type, dtype=dtype, enabled=dtype is not None)
        with self._counters.advance(), autocast:
            raw = self._through(x)
        return self._losses(raw, targets, generator)


def _compile(network: Yolact) -> Callable[[Tensor], Predictions]:
    program = torch.compile(network, dynamic=False)
    return lambda x: with_whole_libraries(lambda: program(x))


class BatchCounters:
    """The counters of batches that the batch norms of a backbone have seen in training.

    Nothing reads them where a running mean has a momentum, but every batch norm advances its own:
    an operation each, of which a step has as many as layers.
    """

    def __init__(self, backbone: nn.Module) -> None:
        """Take over all batch norms, each of which must run once in a forward pass."""
        # A subclass may do more with its counter.
        norms = [part for part in backbone.modules() if type(part) is nn.BatchNorm2d]
        self._norms = [norm for norm in norms if norm.momentum is not None]

    @contextmanager
    def advance(self) -> Iterator[None]:
        """Advance all of them at the end of a forward pass, by one operation."""
        norms = [n for n in self._norms if n.training and n.num_batches_tracked is not None]
        counters = [norm.num_batches_tracked for norm in norms]
        for norm in norms:
            norm.num_batches_tracked = None
        try:
            yield
        finally:
            for norm, counter in zip(norms, counters, strict=True):
                norm.num_batches_tracked = counter
        add_to_all([counter for counter in counters if counter is not None], 1)
