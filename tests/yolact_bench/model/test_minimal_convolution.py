"""A convolution with fewer multiplications is that convolution, and stands where it is faster."""

import pytest
import torch
from torch import nn

from yolact_bench.build import load_detector
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.model.inference.minimal_convolution import MinimalConvolution, reduce_products
from yolact_bench.model.network import Yolact
from yolact_bench.runtime.inductor import CompiledStage


def convolution(**options: int | bool) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(64, 128, 3, **{"padding": 1, **options}).requires_grad_(False)  # type: ignore[arg-type]


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("size", [(16, 16), (17, 19), (16, 17), (69, 3), (9, 7)])
def test_it_is_the_convolution_to_the_last_row(size: tuple[int, int], *, grouped: bool) -> None:
    plain = convolution().double()
    x = torch.randn(2, 64, *size, dtype=torch.float64)
    found = MinimalConvolution(plain, grouped=grouped)(x)
    assert torch.allclose(found, plain(x), rtol=0, atol=1e-13)


@pytest.mark.parametrize("grouped", [True, False])
def test_without_a_bias_none_is_added(*, grouped: bool) -> None:
    plain = convolution(bias=False).double()
    x = torch.randn(1, 64, 16, 16, dtype=torch.float64)
    assert torch.allclose(MinimalConvolution(plain, grouped=grouped)(x), plain(x), atol=1e-13)


@pytest.mark.parametrize("grouped", [True, False])
def test_in_bfloat16_it_rounds_no_more_than_three_times_the_plain_order(*, grouped: bool) -> None:
    plain = convolution()
    x = torch.randn(1, 64, 17, 17).relu()
    exact = plain(x)
    half = MinimalConvolution(plain, grouped=grouped).bfloat16()
    direct = plain.to(torch.bfloat16)

    def error(out: torch.Tensor) -> float:
        return float((out.float() - exact).abs().mean())

    x = x.bfloat16()  # and every sum is rounded, too, which a compiler does not
    assert error(half(x)) < 3 * error(direct(x))


def test_it_multiplies_sixteen_times_for_thirty_six() -> None:
    made = MinimalConvolution(convolution(), grouped=True)
    factors = sum(buffer.numel() for buffer in made.buffers())
    assert factors * 35 * 35 / (64 * 128 * 9 * 70 * 70) == 16 / 36


@pytest.mark.parametrize("grouped", [True, False])
def test_many_outputs_are_made_piece_by_piece(*, grouped: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 1053, 3, padding=1).double().requires_grad_(False)
    made = MinimalConvolution(plain, grouped=grouped)
    assert len(made.pieces) > 1
    x = torch.randn(1, 4, 16, 17, dtype=torch.float64)
    assert torch.allclose(made(x), plain(x), rtol=0, atol=1e-13)


def replaced(module: nn.Module, dtype: torch.dtype) -> bool:
    (part,) = reduce_products(nn.Sequential(module), dtype)
    return isinstance(part, MinimalConvolution)


def test_in_float32_every_wide_one_is_replaced_in_halves_those_with_many_outputs() -> None:
    assert replaced(convolution(), torch.float32)
    assert replaced(convolution(), torch.bfloat16) != torch.cpu.get_capabilities().get(
        "amx_tile", False
    )
    narrow = nn.Conv2d(64, 64, 3, padding=1)
    assert replaced(narrow, torch.float32)
    assert not replaced(narrow, torch.bfloat16)
    assert not replaced(nn.Conv2d(64, 32, 3, padding=1), torch.float32)


@pytest.mark.parametrize(
    "options",
    [{"stride": 2}, {"padding": 0}, {"padding": 2, "dilation": 2}, {"groups": 2}],
    ids=lambda options: next(iter(options)),
)
def test_another_kind_of_convolution_stays(options: dict[str, int]) -> None:
    assert not replaced(convolution(**options), torch.float32)


def minimal(network: nn.Module) -> int:
    return sum(isinstance(part, MinimalConvolution) for part in network.modules())


def test_a_network_for_a_gpu_has_none() -> None:
    network = load_detector("yolact_tiny", image_size=96).network
    assert isinstance(network, Yolact)
    assert minimal(InferenceNetwork(network, device="cpu")) > 0
    assert minimal(InferenceNetwork(network, device="cuda")) == 0


def test_a_head_in_bfloat16_compiles_and_computes_the_same() -> None:
    network = load_detector("yolact_tiny").network
    assert isinstance(network, Yolact)
    halves = InferenceNetwork(network, dtype=torch.bfloat16)
    assert minimal(halves.head) == (not torch.cpu.get_capabilities().get("amx_tile", False))
    sides = (20, 10, 5, 3, 2)
    levels = [torch.randn(1, 64, side, side).relu() for side in sides]
    with torch.no_grad():
        wanted = network.head(levels)
        found = CompiledStage(halves.head, name="head")([x.bfloat16() for x in levels])
    assert isinstance(found, tuple)
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=0.03 * float(theirs.abs().max()))
