"""Deformable 3×3 convolution as one Triton kernel, for CUDA devices."""

import os

import torch
from jaxtyping import Float
from torch import Tensor

from yolact_bench.deform.layer import autocast_precision
from yolact_bench.errors import SpecError
from yolact_bench.slots import with_facts

_PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)


def device_fault(device_type: str) -> str:
    """Return why the kernel cannot run on a kind of device; under Triton's interpreter it can."""
    if device_type in {"cuda", "meta"} or os.environ.get("TRITON_INTERPRET") == "1":
        return ""
    return (
        f"triton needs a CUDA device and this is {device_type}; write deform: gather, "
        "which gives the same results"
    )


@with_facts(fault=device_fault)
def triton_deform(
    x: Float[Tensor, "B I H W"],
    offset: Float[Tensor, "B 18 h w"],
    modulation: Float[Tensor, "B 9 h w"],
    weight: Float[Tensor, "O I 3 3"],
    bias: Float[Tensor, " O"],
    stride: int,
) -> Float[Tensor, "B O h w"]:
    """Return the convolution by one kernel that samples into the operands of a matrix product.

    Values keep their precision (under autocast: its precision); places, bilinear fractions and
    sums are float32. Equal to torchvision's up to rounding, in values and in gradients; float32
    products use TF32 where `torch.backends.cuda.matmul.allow_tf32` says so. Columns are never
    stored, except one layer's on the way back.

    Raises:
        SpecError: there is no CUDA device to run on, or no Triton.
        TypeError: values in a precision the kernel has not.

    Source: Deformable ConvNets v2 (arXiv:1811.11168).
    Differs: the kernel is ours; results are equal up to rounding.
    """
    fault = device_fault(x.device.type)
    if fault:
        raise SpecError(f"deform: {fault}")
    precision = autocast_precision(x.device.type)
    if precision is not None:
        x, weight, bias = x.to(precision), weight.to(precision), bias.to(precision)
    if x.dtype not in _PRECISIONS:
        raise TypeError(f"deform: triton computes in float32, bfloat16 or float16, not {x.dtype}")
    # Triton, which CPU installations may lack, is imported by the first call.
    from yolact_bench.deform.triton_operator import deformable_convolution

    out: Tensor = deformable_convolution(x, offset, modulation, weight, bias, stride)
    return out
