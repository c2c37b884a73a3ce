"""Programs of TorchInductor for the stages of a network, one for each shape of their input."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from yolact_bench.errors import ArmError
from yolact_bench.runtime.compiler import compiler_fault, with_whole_libraries

log = logging.getLogger(__name__)

# What inductor does of itself, or all it can: on a GPU it then times its own kernels against the
# libraries', which takes minutes.
Tuning: TypeAlias = Literal["default", "max"]
STAGES = ("backbone", "fpn", "protonet", "head")


class CompiledStage(nn.Module):
    """A stage that runs as a program of inductor, compiled when a new shape of input comes.

    It takes one tensor or a sequence of tensors, and returns what the stage returns. The stage is
    first recorded as a graph of operators, so that what its Python code does in between (checks
    of shapes, loops over levels) is done once and is no part of what inductor sees.
    """

    def __init__(self, stage: nn.Module, *, name: str, tuning: Tuning = "default") -> None:
        super().__init__()
        self.stage, self.name, self.tuning = stage, name, tuning
        self._programs: dict[object, tuple[Callable[..., Sequence[Tensor]], Any]] = {}

    def forward(self, x: Tensor | Sequence[Tensor]) -> object:
        """Return what the stage returns.

        Raises:
            ArmError: compiler: there is none that works here.
        """
        tensors = [x] if isinstance(x, Tensor) else list(x)
        shapes = tuple((t.shape, t.stride(), t.dtype, t.device) for t in tensors)
        key = shapes, torch.get_num_threads()  # on a CPU their number is written into a program
        # As it was compiled, whoever calls.
        with torch.inference_mode(False), torch.no_grad():
            if key not in self._programs:
                self._programs[key] = self._compiled(tensors, single=isinstance(x, Tensor))
            program, structure = self._programs[key]
            return pytree.tree_unflatten(list(program(*tensors)), structure)

    def _compiled(
        self, tensors: Sequence[Tensor], *, single: bool
    ) -> tuple[Callable[..., Sequence[Tensor]], Any]:
        fault = compiler_fault(tensors[0].device.type)
        if fault:
            raise ArmError("compiler", fault)
        shown = ", ".join("×".join(map(str, t.shape)) for t in tensors)
        log.info("compiling %s for %s; this takes seconds", self.name, shown)
        start = time.perf_counter()
        # A tensor made in inference mode cannot be recorded.
        examples = [
            torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=t.device).copy_(t)
            for t in tensors
        ]
        recorded, structure = _recorded(self.stage, examples, single=single)
        program = torch.compile(
            recorded, dynamic=False, fullgraph=True, options=_options(self.tuning)
        )
        with _freezing():
            with_whole_libraries(lambda: program(*examples))
        log.info("compiled %s in %.0f s", self.name, time.perf_counter() - start)
        return program, structure


def compile_stages(network: nn.Module, *, tuning: Tuning = "default") -> nn.Module:
    """Return the network, an inference copy, with its stages replaced by compiled ones."""
    for name in STAGES:
        setattr(network, name, CompiledStage(getattr(network, name), name=name, tuning=tuning))
    return network


def compile_function(
    function: Callable[..., object], *, name: str, tuning: Tuning = "default"
) -> Callable[[Sequence[Tensor]], Any]:
    """Return a function of tensors as a program that takes them as a sequence."""
    return CompiledStage(_Called(function), name=name, tuning=tuning)


class _Called(nn.Module):
    """A function of several tensors as a stage."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, tensors: Sequence[Tensor]) -> object:
        """Return what the function returns."""
        return self.function(*tensors)


def _recorded(
    stage: nn.Module, examples: Sequence[Tensor], *, single: bool
) -> tuple[nn.Module, Any]:
    """Return the stage as a graph of operators, tensors in and tensors out, and how to regroup."""
    from torch.fx.experimental.proxy_tensor import make_fx

    structure = None

    def flat(*tensors: Tensor) -> tuple[Tensor, ...]:
        nonlocal structure
        out = stage(tensors[0] if single else list(tensors))
        leaves, structure = pytree.tree_flatten(out)
        return tuple(leaves)

    return make_fx(flat)(*examples), structure


def _options(tuning: Tuning) -> dict[str, Any]:
    return {
        "freezing": True,
        # What a program depends on is the key it is kept under. Any guard that failed besides, such
        # as on tensors made in inference mode, would compile it anew and without frozen weights.
        "guard_filter_fn": torch.compiler.skip_all_guards_unsafe,
        **({"max_autotune": True} if tuning == "max" else {}),
    }


def _freezing() -> AbstractContextManager[Any]:
    # The recorded weights must be seen as constants when the program is read, too, and that
    # happens before its options are looked at.
    from torch._inductor import config

    context: AbstractContextManager[Any] = config.patch(freezing=True)
    return context
