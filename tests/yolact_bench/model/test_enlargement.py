"""Enlargement by products: torch's bilinear values and gradients, without its scatter."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from yolact_bench.build import load_detector
from yolact_bench.model import enlargement
from yolact_bench.model.enlargement import enlarge, enlarge_by_products

# Of 550 px: P5 → P4 → P3 → prototypes. Odd, unequal, and a single cell.
SIZES = [((18, 18), (35, 35)), ((35, 35), (69, 69)), ((69, 69), (138, 138))]
SIZES += [((5, 7), (10, 14)), ((4, 3), (7, 11)), ((1, 1), (3, 2)), ((6, 2), (6, 4))]
LAYOUTS = [torch.contiguous_format, torch.channels_last]


def pair(
    sizes: tuple[tuple[int, int], tuple[int, int]], dtype: torch.dtype, layout: torch.memory_format
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Values and gradients by products, and by torch in float32."""
    random = torch.Generator().manual_seed(0)
    small, large = sizes
    maps = torch.randn(3, 8, *small, generator=random).to(dtype).to(memory_format=layout)
    along = torch.randn(3, 8, *large, generator=random).to(dtype)
    found = maps.clone().requires_grad_()
    wanted = maps.float().requires_grad_()
    ours = enlarge_by_products(found, large)
    theirs = F.interpolate(wanted, size=large, mode="bilinear", align_corners=False)
    (gradient,) = torch.autograd.grad(ours, found, along)
    (its,) = torch.autograd.grad(theirs, wanted, along.float())
    return (ours.detach(), theirs.detach()), (gradient, its)


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels last"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_values_and_gradients_are_those_of_torch(
    sizes: tuple[tuple[int, int], tuple[int, int]], layout: torch.memory_format
) -> None:
    for ours, theirs in pair(sizes, torch.float32, layout):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_halves_are_rounded_at_most_twice(
    sizes: tuple[tuple[int, int], tuple[int, int]], dtype: torch.dtype
) -> None:
    """Each rounding is of half a unit in the last place, of values up to the largest."""
    for ours, theirs in pair(sizes, dtype, torch.channels_last):
        assert ours.dtype == dtype
        limit = torch.finfo(dtype).eps * float(theirs.abs().max())
        assert float((ours.float() - theirs).abs().max()) <= limit


def test_the_result_has_channels_last_in_memory() -> None:
    """As the convolutions of a training want it, without a copy."""
    maps = torch.randn(2, 8, 5, 5).to(memory_format=torch.channels_last)
    assert enlarge_by_products(maps, (9, 10)).is_contiguous(memory_format=torch.channels_last)


def test_autocast_does_not_reach_into_it() -> None:
    maps = torch.randn(1, 4, 5, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = enlarge_by_products(maps, (9, 9))
    assert torch.equal(ours, enlarge_by_products(maps, (9, 9)))


def test_on_a_cpu_and_in_evaluation_it_is_torchs() -> None:
    maps = torch.randn(1, 4, 5, 5)
    theirs = F.interpolate(maps, size=(9, 10), mode="bilinear", align_corners=False)
    for training in (True, False):
        assert torch.equal(enlarge(maps, (9, 10), training=training), theirs)


def test_a_network_in_training_has_the_same_outputs_and_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """FPN and protonet take it, on what adds atomically; in evaluation mode they do not."""
    network = load_detector("yolact_tiny", image_size=72).network.train()
    torch.manual_seed(0)
    x = torch.randn(2, 3, 72, 72)
    calls: list[object] = []

    def outcome() -> list[Tensor]:
        network.zero_grad()
        raw = network(x)
        loss = raw.prototypes.square().mean() + raw.class_logits.square().mean()
        loss.backward()
        grads = [p.grad for p in network.parameters() if p.grad is not None]
        return [raw.prototypes.detach(), raw.class_logits.detach(), *grads]

    def spy(maps: Tensor, size: tuple[int, int]) -> Tensor:
        calls.append(size)
        return enlarge_by_products(maps, size)

    wanted = outcome()
    monkeypatch.setattr(enlargement, "_adds_atomically", lambda maps: True)
    monkeypatch.setattr(enlargement, "enlarge_by_products", spy)
    for ours, theirs in zip(outcome(), wanted, strict=True):
        assert float((ours - theirs).abs().max()) <= 1e-5 * float(theirs.abs().max())
    assert len(calls) == 3  # twice down the pyramid, once in the protonet
    network.eval()(x)
    assert len(calls) == 3
