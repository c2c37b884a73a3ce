"""A convolution of a doubled image, computed at the small size, is that convolution."""

import pytest
import torch
from torch import nn

from yolact_bench.model.inference.upsampled_convolution import UpsampledConvolution, enlarge


def plain_convolution() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(6, 5, 3, padding=1).double().requires_grad_(False)


@pytest.mark.parametrize("size", [(9, 7), (2, 2), (2, 5), (1, 3), (16, 16)])
def test_it_is_the_convolution_of_the_doubled_image_to_the_last_row(size: tuple[int, int]) -> None:
    plain = plain_convolution()
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    assert torch.allclose(UpsampledConvolution(plain)(x), plain(enlarge(x)), rtol=0, atol=1e-13)


def test_it_multiplies_a_quarter_as_often() -> None:
    """Nine 1×1 products a small pixel for 36, and differences have a line more; four edges."""
    plain = plain_convolution().float()
    macs = 0

    def counted(weight: torch.Tensor, out: torch.Tensor) -> int:
        return weight.numel() * out.shape[2] * out.shape[3]

    original = torch.nn.functional.conv2d

    def counting(*arguments: torch.Tensor, **options: object) -> torch.Tensor:
        nonlocal macs
        out = original(*arguments, **options)  # type: ignore[arg-type]
        macs += counted(arguments[1], out)
        return out

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.nn.functional, "conv2d", counting)
        UpsampledConvolution(plain)(torch.randn(1, 6, 69, 69))
    at_full_size = 138 * 138 * plain.weight.numel()
    edges = 4 * 138 * plain.weight.numel()
    products = 5 * 6 * (69 * 69 + 2 * 2 * 69 * 70 + 4 * 70 * 70)
    assert macs == products + edges
    assert 0.25 < macs / at_full_size < 0.29


def test_in_bfloat16_it_rounds_no_more_than_twice_the_plain_order() -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(64, 64, 3, padding=1).requires_grad_(False)
    x = torch.randn(1, 64, 17, 17).relu()
    exact = plain(enlarge(x))
    half, direct = UpsampledConvolution(plain).bfloat16(), plain.to(torch.bfloat16)

    def error(out: torch.Tensor) -> float:
        return float((out.float() - exact).abs().mean())

    x = x.bfloat16()
    assert error(half(x)) < 2 * error(direct(enlarge(x)))
