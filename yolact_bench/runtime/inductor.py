"""Programs of TorchInductor for the stages of a network, one for each shape of their input."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from yolact_bench.errors import ArmError
from yolact_bench.runtime.compiler import compiler_fault, compiler_probe, with_whole_libraries
from yolact_bench.runtime.fused_epilogues import fuse_epilogues
from yolact_bench.runtime.rectified_products import rectify_products
from yolact_bench.runtime.runtime import Program
from yolact_bench.shapes import tensors_in
from yolact_bench.torch_internals import constant_weights, operator_graph

log = logging.getLogger(__name__)

# What inductor does of itself, or all it can: on a GPU it then times its own kernels against the
# libraries', which takes minutes.
Tuning: TypeAlias = Literal["default", "max"]
# Whether sum and ReLU behind a convolution are part of it on a GPU, or a kernel of inductor's.
Epilogues: TypeAlias = Literal["separate", "fused"]
PARTS = ("backbone", "fpn", "protonet", "head")  # what runs in the runtime's precision
# Puts tensors where those of a value were.
Grouping: TypeAlias = Callable[[Iterator[Tensor]], object]
Stage: TypeAlias = Callable[..., object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """How a program is compiled."""

    tuning: Tuning = "default"
    fused_epilogues_on: str = ""  # the kind of device
    # The kind of device whose kernels C++ launches, where that builds: it takes a third of the
    # time for a launch from Python, and seconds more to compile.
    cpp_launches_on: str = ""


PLAIN = Compilation()


def compilation_of(*, tuning: Tuning, epilogues: Epilogues) -> Compilation:
    """Return how the runtimes with these options compile."""
    fused_on = "cuda" if epilogues == "fused" else ""
    return Compilation(tuning=tuning, fused_epilogues_on=fused_on)


class CompiledStage(nn.Module):
    """A stage that runs as a program of inductor, compiled when a new shape of input comes.

    It takes one tensor or a sequence of tensors, and returns what the stage, a module or a
    function, returns. That is first recorded as a graph of operators, so that what its Python code
    does in between (checks of shapes, loops over levels) is done once and inductor does not see it.
    """

    def __init__(self, stage: Stage, *, name: str, how: Compilation = PLAIN) -> None:
        super().__init__()
        self.stage, self.name, self.how = stage, name, how
        self._programs: dict[object, tuple[Callable[..., Sequence[Tensor]], Grouping]] = {}

    def forward(self, x: Tensor | Sequence[Tensor]) -> object:
        """Return what the stage returns.

        Raises:
            ArmError: compiler: no compiler works here.
        """
        tensors = [x] if isinstance(x, Tensor) else list(x)
        shapes = tuple((t.shape, t.stride(), t.dtype, t.device) for t in tensors)
        key = shapes, torch.get_num_threads()  # on a CPU their number is written into a program
        # As it was compiled, in whatever mode it is called.
        with torch.inference_mode(False), torch.no_grad():
            if key not in self._programs:
                self._programs[key] = self._compile(tensors, single=isinstance(x, Tensor))
            program, grouping = self._programs[key]
            return grouping(iter(program(*tensors)))

    def _compile(
        self, tensors: Sequence[Tensor], *, single: bool
    ) -> tuple[Callable[..., Sequence[Tensor]], Grouping]:
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
        recorded, grouping = _record(self.stage, examples, single=single)
        rectify_products(recorded)
        self._fuse(recorded, examples[0].device.type)
        program = self._build(recorded, examples)
        log.info("compiled %s in %.0f s", self.name, time.perf_counter() - start)
        return program, grouping

    def _fuse(self, recorded: nn.Module, device_type: str) -> None:
        if self.how.fused_epilogues_on == device_type:
            log.info("%s: %d fused epilogues", self.name, fuse_epilogues(recorded))
        elif self.how.fused_epilogues_on:
            kind = self.how.fused_epilogues_on
            log.warning("%s: epilogues stay separate, they are fused on %s alone", self.name, kind)

    def _build(
        self, recorded: nn.Module, examples: Sequence[Tensor]
    ) -> Callable[..., Sequence[Tensor]]:
        """Return the program of a recorded stage, launched from C++ where it is to be and can."""
        device_type = examples[0].device.type
        if self.how.cpp_launches_on == device_type:
            fault = compiler_probe(device_type, cpp_launches=True)
            try:
                if not fault:
                    return _program(recorded, examples, self.how, {"cpp_wrapper": True})
            except Exception as error:  # whatever it is, the other way goes on
                fault = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            log.warning("%s is launched from Python, which takes longer: %s", self.name, fault)
        return _program(recorded, examples, self.how, {})


def compile_stages(network: Program, *, how: Compilation = PLAIN) -> Program:
    """Return the network, an inference copy, with its stages replaced by compiled ones."""
    for name in PARTS:
        setattr(network, name, CompiledStage(getattr(network, name), name=name, how=how))
    return network


def compile_function(
    function: Callable[..., object], *, name: str, how: Compilation = PLAIN
) -> Callable[[Sequence[Tensor]], Any]:
    """Return a function of tensors as a program that takes them as a sequence."""
    return CompiledStage(lambda tensors: function(*tensors), name=name, how=how)


def _program(
    recorded: nn.Module, examples: Sequence[Tensor], how: Compilation, more: Mapping[str, Any]
) -> Callable[..., Sequence[Tensor]]:
    """Return the compiled program, which has run once."""
    options = {**_options(how.tuning), **more}
    program = torch.compile(recorded, dynamic=False, fullgraph=True, options=options)
    with constant_weights():
        with_whole_libraries(lambda: program(*examples))
    return program


def _record(
    stage: Stage, examples: Sequence[Tensor], *, single: bool
) -> tuple[nn.Module, Grouping]:
    """Return the stage as a graph of operators, tensors in and tensors out, and their grouping."""
    groupings: list[Grouping] = []

    def flat(*tensors: Tensor) -> tuple[Tensor, ...]:
        out = stage(tensors[0] if single else list(tensors))
        groupings.append(_grouping(out))
        return tuple(tensors_in(out))

    return operator_graph(flat, examples), groupings[-1]


def _grouping(value: object) -> Grouping:
    """Return a function that builds such a value of other tensors, and keeps none of these."""
    if isinstance(value, Tensor):
        return next
    if isinstance(value, tuple | list):
        parts = [_grouping(part) for part in value]
        make: Callable[..., object] = getattr(value, "_make", type(value))  # named or plain
        return lambda tensors: make(part(tensors) for part in parts)
    return lambda tensors: value


def _options(tuning: Tuning) -> dict[str, Any]:
    return {
        "freezing": True,
        # What a program depends on is the key it is kept under. Any guard that failed besides, such
        # as on tensors made in inference mode, would compile it anew and without frozen weights.
        "guard_filter_fn": torch.compiler.skip_all_guards_unsafe,
        **({"max_autotune": True} if tuning == "max" else {}),
    }
