"""The kernel of mask assembly against `LinearCombination`: interpreted, or on a GPU."""

import pytest
import torch
from torch import Tensor

from tests.support.triton_kernels import (
    DEVICES,
    INTERPRETED,
    assert_interpreted_tests_pass,
    device_or_skip,
    stack_bytes,
)
from yolact_bench.geometry.masks import LinearCombination
from yolact_bench.slots import fact

ON_A_CPU = pytest.mark.skipif(INTERPRETED, reason="this is for another process")
ON_EACH = pytest.mark.parametrize("device_name", DEVICES)


def parts(images: int, rows: int, k: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Prototypes that are not contiguous, and boxes also beyond the image, reversed or NaN."""
    generator = torch.Generator().manual_seed(images)
    prototypes = torch.randn(images, k, 13, 17, generator=generator).permute(0, 2, 3, 1)
    boxes = torch.rand(images, rows, 4, generator=generator) * 1.4 - 0.2
    boxes[:, 0] = torch.tensor([0.2, 0.3, float("nan"), 0.9])
    boxes[:, -1] = torch.tensor([1 / 17, 2 / 13, 5 / 17, 6 / 13])  # bounds on cells
    return prototypes, torch.randn(images, rows, k, generator=generator), boxes


def assert_as_plain(device: str, assembly: LinearCombination, *tensors: Tensor) -> None:
    masks = fact(assembly, "kernels")(*(tensor.to(device) for tensor in tensors)).cpu()
    plain = [
        assembly(prototypes.float().contiguous(), *others)
        for prototypes, *others in zip(*tensors, strict=True)
    ]
    wanted = torch.stack(plain)
    assert torch.equal(masks == 0, wanted == 0)
    torch.testing.assert_close(masks, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@ON_A_CPU
def test_the_kernel_passes_in_the_interpreter() -> None:
    assert_interpreted_tests_pass(__file__, 6)


@ON_EACH
@pytest.mark.parametrize(("images", "rows"), [(1, 1), (3, 100), (9, 2)])
def test_interpreted_masks_are_those_of_the_operators(
    device_name: str, images: int, rows: int
) -> None:
    assert_as_plain(device_or_skip(device_name), LinearCombination(), *parts(images, rows))


@ON_EACH
def test_interpreted_masks_without_a_crop_reach_everywhere(device_name: str) -> None:
    assembly = LinearCombination(crop=False)
    assert_as_plain(device_or_skip(device_name), assembly, *parts(2, 5, k=33))


@ON_EACH
@pytest.mark.parametrize("values", [torch.bfloat16, torch.float16])
def test_interpreted_prototypes_are_read_in_their_precision(
    device_name: str, values: torch.dtype
) -> None:
    prototypes, *others = parts(1, 4)
    assert_as_plain(
        device_or_skip(device_name), LinearCombination(), prototypes.to(values), *others
    )


@ON_A_CPU
@pytest.mark.parametrize("values", ["*fp32", "*bf16"])
def test_the_kernel_compiles_for_a_gpu_that_is_not_here(
    values: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For 32 prototypes; nothing is spilled."""
    pytest.importorskip("triton")
    from yolact_bench.geometry.assembly_kernel import assemble

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    numbers = {"crops": True, "rows_block": 32, "cells_block": 64, "k_block": 32, "pk": 1}
    types = {"prototypes_ptr": values}
    assert stack_bytes(assemble, types, numbers, enable_fp_fusion=False) == 0
