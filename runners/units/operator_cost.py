"""The cost of the operators that a block of code calls, by stage."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from runners.units.mac_formulas import FORMULAS
from yolact_bench.torch_internals import DispatchMode


class UncountableError(ValueError):
    """An operator without a formula, so no count would be true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one stage, for one image."""

    macs: int = 0
    operations: int = 0  # on single values: activations, comparisons, box arithmetic
    moved_bytes: int = 0  # every operator reads its arguments and writes its result, as eager does
    fused_bytes: int = 0  # only operators with MACs do, as if all others were part of those
    parameters: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )


def total(costs: Mapping[str, Cost]) -> Cost:
    """Return the sum over stages."""
    return sum(costs.values(), Cost())


class Counter(DispatchMode):
    """Adds up the cost of every operator that is called, by the stage that is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.costs: defaultdict[str, Cost] = defaultdict(Cost)
        self._stage: str | None = None

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Count the block as part of `stage`."""
        before, self._stage = self._stage, stage
        try:
            yield
        finally:
            self._stage = before

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - an operator
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        name: str = func.name().partition(".")[0]  # without its overload
        if name not in FORMULAS:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is NotImplemented:
                raise UncountableError(
                    f"no formula says what {name} costs; add it to runners/units/mac_formulas.py"
                )
            return parts
        out = func(*args, **kwargs)
        if self._stage is not None:
            self.costs[self._stage] += _cost(name, args, out)
        return out


def _cost(name: str, args: tuple[Any, ...], out: object) -> Cost:
    formula = FORMULAS[name]
    results = _tensors(out)
    if not results:
        return Cost()
    macs = formula.macs(args, results[0])
    # A broadcast argument is read once, not as often as its shape says.
    moved = sum(
        tensor.element_size()
        * math.prod(n for n, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride)
        for tensor in (*_tensors(args), *results)
        if formula.moves
    )
    return Cost(
        macs=macs,
        operations=formula.operations(args, results[0]),
        moved_bytes=moved,
        fused_bytes=moved if macs else 0,
    )


def _tensors(values: object) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, (tuple, list)):
        return [tensor for value in values for tensor in _tensors(value)]
    return []
