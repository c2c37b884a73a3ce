"""Objects at random, and what a step of a training asks of a device."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from yolact_bench.loss import classify, forms, total
from yolact_bench.schedule import schedule
from yolact_bench.shapes import Target, Targets
from yolact_bench.torch_internals import DispatchMode

# What launches nothing on a device: other views of the same memory, and memory itself.
_VIEWS = {
    *("view", "_unsafe_view", "t", "transpose", "permute", "slice", "select", "expand", "alias"),
    *("unsqueeze", "squeeze", "detach", "split", "split_with_sizes", "unbind", "as_strided"),
    *("unfold", "empty", "empty_strided", "new_empty", "empty_like", "movedim"),
    *("_reshape_alias", "new_empty_strided"),
}


_WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique"}
_READS = {"tolist", "item", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__"}


def matches_of(
    losses: total.Losses, anchors_cxcywh: Tensor, targets: Sequence[Target]
) -> list[tuple[Tensor, Tensor]]:
    """Per image each anchor's label (-1 ignored, 0 background, class + 1) and object."""
    match = forms.match_batch(losses.matcher, anchors_cxcywh, Targets.of(targets))
    return list(zip(match.labels, match.truth, strict=True))


def as_on_a_device(patch: pytest.MonkeyPatch) -> None:
    """Losses and optimizer take the way they take on a GPU."""
    for module in (classify, forms, total, schedule):
        patch.setattr(module, "reading_is_free", lambda tensor: False)


class NoWaiting(DispatchMode):
    """Raises where the same call on a GPU would make the host wait, as far as operators show it."""

    def __torch_dispatch__(  # type: ignore[override]
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        name = func.overloadpacket.__name__  # type: ignore[attr-defined]
        indices = args[1] if name in {"index", "index_put", "index_put_"} else ()
        by_flags = any(i is not None and i.dtype in {torch.bool, torch.uint8} for i in indices)
        if name in _WAITS or by_flags:
            raise AssertionError(f"the host waits in {func}")
        return func(*args, **(kwargs or {}))


class NoReading(TorchFunctionMode):
    """Raises where Python reads a tensor: of a tensor on a CPU, no operator shows it."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        if getattr(func, "__name__", "") in _READS:
            raise AssertionError(f"the host reads a tensor by {func}")
        return func(*args, **(kwargs or {}))


class OperatorCount(DispatchMode):
    """Counts operators, and apart from them views, which a device does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.operators, self.views = 0, 0
        self._one = False

    @contextmanager
    def as_one(self) -> Iterator[None]:
        """What is done within counts as one: a device has a kernel for it."""
        self.operators += 1
        self._one = True
        yield
        self._one = False

    def __torch_dispatch__(  # type: ignore[override]
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        name = func.overloadpacket.__name__  # type: ignore[attr-defined]
        if not self._one:
            self.views += name in _VIEWS
            self.operators += name not in _VIEWS
        return func(*args, **(kwargs or {}))


def objects(count: int, crowds: int, side: int, seed: int) -> Target:
    """Random boxes and masks; crowds stand anywhere among them and have the label -1."""
    random = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=random) * 0.7
    size = torch.rand(count, 2, generator=random) * 0.3
    crowd = torch.zeros(count, dtype=torch.bool)
    crowd[torch.randperm(count, generator=random)[:crowds]] = True
    labels = torch.randint(5, (count,), generator=random).masked_fill(crowd, -1)
    masks = torch.randint(2, (count, side, side), dtype=torch.uint8, generator=random)
    boxes = torch.cat([corner, corner + size + 0.02], dim=1)
    return Target(boxes=boxes, labels=labels, masks=masks, is_crowd=crowd)


def on_a_coarse_grid(target: Target) -> Target:
    """The same with boxes rounded to eighths, so that overlaps tie."""
    return replace(target, boxes=(target.boxes * 8).round() / 8)
