"""A recorder for a CPU that knows operators and memory, but no Python, like a device's graph."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from yolact_bench.shapes import tensors_in
from yolact_bench.torch_internals import DispatchMode


class Tape(DispatchMode):
    """Notes each operator with the tensors and numbers that it got; a replay runs all again.

    What a replay computes goes to the memory of the first run. So a number that Python passed then
    is passed for ever, and a tensor that Python made since is never looked at.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Sequence[Any], Mapping[str, Any], list[Tensor]]] = []

    def __torch_dispatch__(  # type: ignore[override]
        self,
        func: Any,  # noqa: ANN401
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        out = func(*args, **(kwargs or {}))
        if func.namespace == "profiler":
            return out
        assert not isinstance(out, int | float), f"the host waits in {func}"
        self.calls.append((func, args, kwargs or {}, list(tensors_in(out))))
        return out

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, results in self.calls:
            if _is_view(func):
                continue
            again = func(*args, **kwargs)
            for result, value in zip(results, tensors_in(again), strict=True):
                if result is not value:
                    result.copy_(value)


def _is_view(func: Any) -> bool:  # noqa: ANN401 - an operator
    aliases = [result.alias_info for result in func._schema.returns]
    return any(alias is not None and not alias.is_write for alias in aliases)


class TapeRecorder:
    """Records by a tape; as on a device what is recorded has happened, and must be undone."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(
        self,
        run: Callable[[], None],
        warm_up: Callable[[], None],
        generators: Sequence[torch.Generator],
    ) -> Callable[[], None]:
        warm_up()
        tape = Tape()
        with tape:
            run()
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            tape.replay()

        return replay
