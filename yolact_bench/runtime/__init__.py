"""Runtimes: how the network is executed at inference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import torch
from torch import nn

from yolact_bench.runtime.compiled import Tuning, compile_stages
from yolact_bench.runtime.compiler import compiler_fault

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
HALF: Mapping[str, torch.dtype] = MappingProxyType({"bf16": torch.bfloat16, "fp16": torch.float16})


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A precision, and what to make of the network before it is called."""

    precision: Precision
    prepare: Callable[[nn.Module], nn.Module]
    # `prepare` wants the network's inference copy, whose weights have the precision; otherwise it
    # is given the network as trained, and half precision is autocast's.
    inference_copy: bool = False
    tuning: Tuning = "default"  # of what is compiled
    graph: bool = False  # all that follows resizing is recorded once and replayed
    fault: Callable[[str], str] = lambda device_type: ""  # why it cannot run on a kind of device

    @property
    def dtype(self) -> torch.dtype:
        """The precision as torch calls it."""
        return HALF.get(self.precision, torch.float32)


def eager(*, precision: Precision = "fp32") -> Runtime:
    """Return plain PyTorch: every operator is launched as it is met.

    Source: PyTorch; what dbolya/yolact@902073d does, apart from its scripted FPN.
    """
    return Runtime(precision=precision, prepare=lambda network: network)


def compiled(*, precision: Precision = "fp32", tuning: Tuning = "default") -> Runtime:
    """Return TorchInductor on the network's inference copy, with frozen, prepacked weights.

    Batch norm is folded, the head's branches are one convolution, tensors are channels-last and
    half-precision weights are halves: no autocast. Each stage is one program, compiled when an
    input of a new shape comes, which takes seconds. Detections follow the network as in `eager`.

    Source: PyTorch 2 (Ansel et al., ASPLOS 2024), section 4; constants are frozen as inductor's
    `freezing` describes.
    """
    return Runtime(
        precision=precision,
        prepare=lambda network: compile_stages(network, tuning=tuning),
        inference_copy=True,
        tuning=tuning,
        fault=compiler_fault,
    )


def cuda_graph(*, precision: Precision = "fp32", tuning: Tuning = "default") -> Runtime:
    """Return the whole detector as one CUDA graph: from the resized image to masks.

    The network is that of `compiled`. Detections have a fixed number of rows, of which those with
    score 0 are empty, so nothing waits for the device; an image for which the device says that
    the fixed number was too small is detected once more as in `eager`, and counted.

    Source: CUDA graphs in PyTorch (pytorch.org/blog/accelerating-pytorch-with-cuda-graphs).
    """
    return Runtime(
        precision=precision,
        prepare=lambda network: compile_stages(network, tuning=tuning),
        inference_copy=True,
        tuning=tuning,
        graph=True,
        fault=_needs_cuda,
    )


RUNTIMES: Mapping[str, Callable[..., Runtime]] = {
    "eager": eager,
    "compiled": compiled,
    "cuda_graph": cuda_graph,
}


def _needs_cuda(device_type: str) -> str:
    if device_type == "cuda":
        return ""
    return (
        f"cuda_graph needs a CUDA device, not {device_type}; write runtime: {{name: compiled}}, "
        "or run on a machine with a GPU and --device cuda"
    )
