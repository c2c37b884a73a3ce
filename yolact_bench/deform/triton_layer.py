"""Deformable 3×3 convolution by Triton kernels, for CUDA devices."""

import os

import torch
from jaxtyping import Float
from torch import Tensor

from yolact_bench.deform.layer import autocast_precision
from yolact_bench.deform.triton_plan import plan_for
from yolact_bench.errors import SpecError
from yolact_bench.slots import with_facts

_PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)


def triton_fault(device_type: str) -> str:
    """Return why the kernel cannot run on a kind of device; under Triton's interpreter it can."""
    if device_type in {"cuda", "meta"} or os.environ.get("TRITON_INTERPRET") == "1":
        return ""
    return (
        f"triton needs a CUDA device and this is {device_type}; write deform: gather, "
        "which gives the same results"
    )


def convolve_map(
    x: Float[Tensor, "B I H W"],
    places: Float[Tensor, "B M h w"],
    weight: Float[Tensor, "O I 3 3"],
    bias: Float[Tensor, " O"],
    stride: int,
) -> Float[Tensor, "B O h w"]:
    """Return the convolution at the places of a layer's map, of which the first 27 are read.

    They are 18 offsets and 9 modulations before their sigmoid. For the rest see `triton_deform`.
    """
    return _convolution(x, places, weight, bias, stride, sigmoid=True)


@with_facts(fault=triton_fault, convolve_map=convolve_map)
def triton_deform(
    x: Float[Tensor, "B I H W"],
    offset: Float[Tensor, "B 18 h w"],
    modulation: Float[Tensor, "B 9 h w"],
    weight: Float[Tensor, "O I 3 3"],
    bias: Float[Tensor, " O"],
    stride: int,
) -> Float[Tensor, "B O h w"]:
    """Return the convolution as gathered columns and a matrix product, or by one fused kernel.

    Which of them is a table of sizes, see `triton_plan`; training keeps the columns, and the same
    bits come back at every call. Values keep their precision (under
    autocast: its precision); places, bilinear fractions and sums are float32. Equal to
    torchvision's up to rounding where x is finite, in values and in gradients; float32 products
    use TF32 where `torch.backends.cuda.matmul.allow_tf32` says so.

    Raises:
        SpecError: there is no CUDA device to run on, or no Triton.
        TypeError: values in a precision the kernels have not.

    Source: Deformable ConvNets v2 (arXiv:1811.11168).
    Differs: the kernels are ours; results are equal up to rounding.
    """
    places = torch.cat([offset, modulation], 1)
    return _convolution(x, places, weight, bias, stride, sigmoid=False)


def _convolution(
    x: Tensor, places: Tensor, weight: Tensor, bias: Tensor, stride: int, *, sigmoid: bool
) -> Tensor:
    fault = triton_fault(x.device.type)
    if fault:
        raise SpecError(f"deform: {fault}")
    precision = autocast_precision(x.device.type)
    if precision is not None:
        x, weight, bias = x.to(precision), weight.to(precision), bias.to(precision)
    if x.dtype not in _PRECISIONS:
        raise TypeError(f"deform: triton computes in float32, bfloat16 or float16, not {x.dtype}")
    batch, _, h, w = places.shape
    if x.is_meta:  # shapes need no Triton
        return x.new_empty(batch, h, w, weight.shape[0]).permute(0, 3, 1, 2)
    # Triton, which CPU installations may lack, is imported by the first call.
    from yolact_bench.deform.column_operator import deformable_gather, deformable_product

    matrix = weight.permute(0, 2, 3, 1).reshape(weight.shape[0], -1)  # [O, 9 × I]
    plan = plan_for(rows=batch * h * w, channels=x.shape[1], out_channels=weight.shape[0])
    inputs = (x, places, weight, bias)
    trains = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    # The gradient of the weight needs the columns, so training gathers them at any size.
    if plan.way == "fused" and not trains:
        blocks = [plan.rows_block, plan.out_block, plan.channels_block]
        rows = deformable_product(x, places, matrix, bias, stride, sigmoid, blocks, plan.num_warps)
    else:
        columns, _, _ = deformable_gather(x, places, stride, sigmoid)
        rows = torch.addmm(bias, columns, matrix.t())
    out: Tensor = rows.view(batch, h, w, -1).permute(0, 3, 1, 2)
    return out
