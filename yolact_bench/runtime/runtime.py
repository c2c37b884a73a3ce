"""What a runtime is: the facts and steps by which a network is executed at inference."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.clock import Clock, no_clock
from yolact_bench.shapes import Predictions

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
HALF: Mapping[str, torch.dtype] = MappingProxyType({"bf16": torch.bfloat16, "fp16": torch.float16})


def fp16_fault(precision: object, device_type: str) -> str:
    """Return why torch's operators cannot be used in a precision: fp16 on a CPU; else ""."""
    if precision == "fp16" and device_type == "cpu":
        return "fp16 is for GPUs; on a CPU write fp32 or bf16"
    return ""


class Program(nn.Module, ABC):
    """What a detector calls: a network as trained, its copy, or a session of another library."""

    mean: tuple[float, float, float]  # RGB of the input, 0-255 scale
    std: tuple[float, float, float]
    rescore_net: nn.Module | None
    run_both: "RunBoth | None" = None  # for parts that do not need each other; None: in order
    unfolded_norms: int = 0  # batch norms of an inference copy that could not be folded

    @abstractmethod
    def forward(self, x: Float[Tensor, "B 3 S S"], clock: Clock = no_clock) -> Predictions:
        """Return raw predictions for normalised images."""


# Runs two functions that do not need each other; returns what both return.
RunBoth: TypeAlias = Callable[[Callable[[], Any], Callable[[], Any]], tuple[Any, Any]]
# Makes a program of a function of tensors, called with them in one sequence.
CompilePart: TypeAlias = Callable[..., Callable[[Sequence[Tensor]], Any]]
# A function of a program, a batch and a clock; it returns tensors of shapes that no value decides.
GraphStep: TypeAlias = Callable[[Program, Tensor, Clock], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedShapes:
    """How to execute everything after resizing as one program of fixed shapes."""

    compile_part: CompilePart  # for what follows the network
    record: Callable[[GraphStep], GraphStep]
    # The same of a batch that always lies in the same memory.
    record_in_place: Callable[[GraphStep], GraphStep]
    # The kind of device that alone it is for: elsewhere, and where a part has no form of fixed
    # sizes, the runtime does without. "": the runtime is nothing without it.
    only_on: str = ""


def no_context(device_type: str) -> AbstractContextManager[object]:
    """Return a context that changes nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A precision, how a network becomes a program, and what else has to know of it."""

    precision: Precision
    # Takes the network's inference copy, whose weights have the precision, or without
    # `inference_copy` the network as trained.
    prepare: Callable[[Program], Program]
    inference_copy: bool = False
    # Around every call of the program, for a kind of device.
    context: Callable[[str], AbstractContextManager[object]] = no_context
    # None: the network is one program, and detection follows it image by image.
    fixed_shapes: FixedShapes | None = None
    # Only operators with MACs count as memory traffic; otherwise every operator does.
    counts_as_fused: bool = True
    fault: Callable[[str], str] = lambda device_type: ""  # why a kind of device cannot run it
    # Why a kind of device that can cannot do so in this precision; the default: each can.
    precision_fault: Callable[[str], str] = lambda device_type: ""
    # Why a program does not build for a kind of device here; it may take seconds to find out.
    probe: Callable[[str], str] = lambda device_type: ""

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch calls it."""
        return HALF.get(self.precision, torch.float32)


class MakeRuntime(Protocol):
    """Return a runtime; every entry has the option `precision`, and some have more.

    Facts: `on_cpu`, the name of the runtime with the same options that stands in for it in a smoke
    run, where it refuses a CPU; and as fields of the `Runtime`: `fault`, the kinds of device that
    cannot run it, by which an arm fails alone, and `precision_fault`, those that cannot in its
    precision, by which a spec is refused. `fp16_fault` is that of torch's own operators.
    """

    def __call__(self, *, precision: Precision = "fp32") -> Runtime:
        """Return the runtime in a precision."""
