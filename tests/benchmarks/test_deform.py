"""Deformable layers beside torchvision's operator, on the sizes they have at 550 × 550 pixels.

The operator alone decides: offsets are given, since the plain convolution that makes them is the
same in every arm. The whole layer stands beside it. Torchvision computes in float32 in every row,
as it does under autocast. `compiled` is inductor with frozen weights, as the compiled runtime.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

from tests.benchmarks.alternating import compare
from tests.support.deform_cases import without_shape_checks
from yolact_bench.deform.gather import gather_deform
from yolact_bench.deform.layer import DeformableConv2d, DeformImplementation, torchvision_deform

# Channels and side of the 3×3 layers of C3, C4 and C5.
LAYERS = {"C3": (128, 69), "C4": (256, 35), "C5": (512, 18)}
OFFSET_PX = 1.0  # standard deviation
LIMITS = {torch.float32: 1e-5, torch.bfloat16: 1e-2}  # of the largest value


_unchecked = pytest.fixture(autouse=True)(without_shape_checks)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a layer computes from, contiguous as a plain network has it, or channels-last."""

    plain: list[Tensor]
    fast: list[Tensor]
    seed: Tensor  # gradient of the result

    @property
    def leaves(self) -> tuple[list[Tensor], list[Tensor]]:
        return tuple([t.clone().requires_grad_() for t in one] for one in (self.plain, self.fast))


def inputs(name: str, dtype: torch.dtype = torch.float32) -> Inputs:
    """Random inputs of a layer; the fast arm's values in `dtype`, its places in float32."""
    channels, side = LAYERS[name]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, channels, side, side, generator=generator)
    offset = torch.randn(1, 18, side, side, generator=generator) * OFFSET_PX
    modulation = torch.rand(1, 9, side, side, generator=generator)
    weight = torch.randn(channels, channels, 3, 3, generator=generator) / (9 * channels) ** 0.5
    bias = torch.randn(channels, generator=generator)
    seed = torch.randn(1, channels, side, side, generator=generator)
    fast = [_last(x).to(dtype), _last(offset), _last(modulation), _last(weight).to(dtype)]
    return Inputs([x, offset, modulation, weight, bias], [*fast, bias.to(dtype)], seed)


@pytest.mark.parametrize("name", sorted(LAYERS))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_forward_of_the_operator(
    benchmark: BenchmarkFixture, name: str, dtype: torch.dtype
) -> None:
    """The rows that decide: ≥ 4 × in float32 and ≥ 7 × in bfloat16, as geometric means."""
    made = inputs(name, dtype)
    half = dtype == torch.bfloat16
    precision = "bf16" if half else "fp32"
    compiled = _compiled(_Operator(made))
    arms = {
        "torchvision fp32": lambda: torchvision_deform(*made.plain, 1),
        f"gather {precision}": lambda: gather_deform(*made.fast, 1),
        f"gather compiled {precision}": lambda: compiled(*made.fast[:3]),
    }
    ours = list(arms)[1:]
    x, weight, bias = made.fast[0], *made.fast[3:]
    with torch.inference_mode():
        _agree(arms, LIMITS[dtype])
        # No offsets at all: what nothing that multiplies by the same weights can be faster than.
        arms[f"floor: plain convolution {precision}"] = lambda: F.conv2d(x, weight, bias, padding=1)
        compare(
            benchmark,
            f"deformable operator {name} forward {precision}",
            arms,
            reference="torchvision fp32",
            target=dict.fromkeys(ours, 7.0 if half else 4.0),
            moonshot=dict.fromkeys(ours, 10.0 if half else 5.0),
            group=f"deformable operator forward {precision}",
            threads=1,
        )


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_forward_and_backward_of_the_operator(benchmark: BenchmarkFixture, name: str) -> None:
    """The row that decides: ≥ 5 × in float32, as a geometric mean; all five gradients."""
    made = inputs(name)
    plain, fast = made.leaves

    def step(operator: DeformImplementation, leaves: list[Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(operator(*leaves, 1), leaves, made.seed)

    arms = {
        "torchvision fp32": lambda: step(torchvision_deform, plain),
        "gather fp32": lambda: step(gather_deform, fast),
    }
    _agree(arms, LIMITS[torch.float32])
    compare(
        benchmark,
        f"deformable operator {name} forward + backward fp32",
        arms,
        reference="torchvision fp32",
        target=5.0,
        moonshot=8.0,
        group="deformable operator forward + backward fp32",
        threads=1,
    )


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_forward_of_the_whole_layer(benchmark: BenchmarkFixture, name: str) -> None:
    """With the convolution that makes the offsets; no target belongs to it."""
    channels, side = LAYERS[name]
    torch.manual_seed(0)
    plain = DeformableConv2d(nn.Conv2d(channels, channels, 3, padding=1), torchvision_deform)
    nn.init.normal_(plain.offset_mask.weight, std=1 / (9 * channels) ** 0.5)
    x = torch.randn(1, channels, side, side)
    fast, half = (_fast_copy(plain, channels, dtype) for dtype in LIMITS)
    with torch.inference_mode():
        arms = {
            "torchvision fp32": lambda: plain(x),
            "gather fp32": lambda: fast(_last(x)),
            "gather bf16": lambda: half(_last(x).bfloat16()),
        }
        # The offsets themselves are bfloat16 here: 2^-9 of a pixel and more, on noise.
        _agree(arms, 5e-2)
        compare(
            benchmark,
            f"deformable layer {name} forward, offsets made",
            arms,
            reference="torchvision fp32",
            group="deformable layer forward, offsets made",
            threads=1,
        )


class _Operator(nn.Module):
    """The operator with its weights as constants, as a frozen network has them."""

    def __init__(self, made: Inputs) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(tensor) for tensor in made.fast[3:])

    def forward(self, x: Tensor, offset: Tensor, modulation: Tensor) -> Tensor:
        return gather_deform(x, offset, modulation, self.weight, self.bias, 1)


def _compiled(operator: nn.Module) -> Callable[..., Tensor]:
    made = torch.compile(operator.eval(), options={"freezing": True}, fullgraph=True)

    def call(*tensors: Tensor) -> Tensor:
        with torch.no_grad():
            out: Tensor = made(*tensors)
        return out

    return call


def _fast_copy(plain: DeformableConv2d, channels: int, dtype: torch.dtype) -> DeformableConv2d:
    made = DeformableConv2d(nn.Conv2d(channels, channels, 3, padding=1), gather_deform)
    made.load_state_dict(plain.state_dict())
    return made.to(dtype=dtype, memory_format=torch.channels_last)


def _last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def _agree(arms: Mapping[str, Callable[[], object]], limit: float) -> None:
    """Every arm gives what the first gives, up to a fraction of the largest value."""
    results = [made if isinstance(made := arm(), tuple) else (made,) for arm in arms.values()]
    for name, result in zip(arms, results, strict=True):
        for found, wanted in zip(result, results[0], strict=True):
            off = (found.float() - wanted.float()).abs().max() / wanted.abs().max()
            assert float(off) <= limit, f"{name}: {float(off):.1e}"
