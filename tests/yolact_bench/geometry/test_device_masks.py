"""Masks made on a GPU: the host's pixels and bytes, interpreted, compiled without a GPU, run.

TRITON_INTERPRET=1 pytest tests/yolact_bench/geometry/test_device_masks.py
pytest -m gpu tests/yolact_bench/geometry/test_device_masks.py
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.paths import ROOT
from tests.support.soft_masks import blobs
from yolact_bench.geometry import device_masks
from yolact_bench.geometry.device_masks import (
    _pixels_of_a_cell,
    device_pixels,
    device_toggles,
    kernel_fault,
    note_slow_path,
)
from yolact_bench.geometry.image_masks import upsample
from yolact_bench.geometry.mask_changes import _grid
from yolact_bench.geometry.run_lengths import Toggles, mask_run_lengths

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
BY_INTERPRETER = pytest.mark.skipif(not INTERPRETED, reason="the interpreter has its own process")
ON_A_CPU = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def texts(soft: Tensor, height: int, width: int, threshold: float = 0.5) -> list[str]:
    owner, place = device_toggles(soft, height, width, threshold=threshold)
    return Toggles(owner, place, len(soft), height * width).texts()


def soft_masks() -> Tensor:
    """Blobs, of which one is empty and one full; speckles; boxes at every border; NaN."""
    cut = seeded(4, 13, 13, seed=1)
    cut[0, 3:], cut[1, :-2], cut[2, :, :-4], cut[3, :, 1:] = 0.0, 0.0, 0.0, 0.0
    holes = seeded(2, 13, 13, seed=2)
    holes[0, 5, 3:9], holes[1, ::3] = float("nan"), float("nan")
    return torch.cat([blobs(3, 13), seeded(1, 13, 13), cut, holes])


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is what that test starts")
def test_interpreted_kernels_give_the_bytes_of_the_host() -> None:
    """In a process of its own: Triton asks for its interpreter when it is imported."""
    pytest.importorskip("triton")
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-m", "not gpu")
    done = subprocess.run(
        [*command, __file__],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) >= 14


@BY_INTERPRETER
@pytest.mark.parametrize("size", [(40, 53), (13, 13), (61, 5), (1, 1), (1, 30)])
def test_every_kind_of_mask_has_the_bytes_of_the_host(size: tuple[int, int]) -> None:
    """Sizes above and below the masks' own, odd ones, one pixel."""
    assert texts(soft_masks(), *size) == mask_run_lengths(soft_masks(), *size)


@BY_INTERPRETER
@pytest.mark.parametrize("threshold", [-0.1, 0.0, 0.25, 0.9, 2.0])
def test_values_at_the_threshold_are_not_above_it(threshold: float) -> None:
    """Quarters, so that cells and many pixels tie with it; at 0.25 a third of all cells do."""
    soft = (seeded(4, 11, 9, seed=3) * 4).floor() / 4
    soft[0] = max(threshold, 0.0)
    assert texts(soft, 33, 37, threshold) == mask_run_lengths(soft, 33, 37, threshold=threshold)


@BY_INTERPRETER
@pytest.mark.parametrize("size", [(40, 53), (13, 13), (61, 5), (1, 1), (70, 131)])
def test_every_kind_of_mask_has_the_pixels_of_the_host(size: tuple[int, int]) -> None:
    for threshold in (0.5, -0.1):
        masks = device_pixels(soft_masks(), *size, threshold=threshold)
        assert masks.dtype == torch.bool
        assert torch.equal(masks, upsample(soft_masks(), *size, threshold=threshold))


@BY_INTERPRETER
def test_pixels_round_as_on_the_host_and_none_is_set_without_a_cell_that_is() -> None:
    """Cells around 0.3, an ulp apart: the mean of two that are not above it may round above it."""
    steps = (seeded(4, 12, 12, seed=4) * 5).floor() - 2
    soft = torch.tensor(0.3) + steps * torch.tensor(2.0**-25)
    assert torch.equal(
        device_pixels(soft, 50, 47, threshold=0.3), upsample(soft, 50, 47, threshold=0.3)
    )
    none = torch.full((1, 5, 5), 0.3)
    assert not device_pixels(none, 19, 23, threshold=0.3).any()


@BY_INTERPRETER
def test_cells_an_ulp_apart_round_as_on_the_host() -> None:
    """Around 0.3, which has rounding in every product: a fused one would move some pixels."""
    steps = (seeded(4, 12, 12, seed=4) * 5).floor() - 2
    soft = torch.tensor(0.3) + steps * torch.tensor(2.0**-25)
    assert texts(soft, 50, 47, 0.3) == mask_run_lengths(soft, 50, 47, threshold=0.3)


@BY_INTERPRETER
def test_more_toggles_than_are_copied_at_once_are_written_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device_masks, "TOGGLES_PER_MASK", 3)
    soft = seeded(3, 9, 9)
    assert texts(soft, 20, 21) == mask_run_lengths(soft, 20, 21)


@BY_INTERPRETER
def test_memory_order_and_gradients_of_the_masks_do_not_matter() -> None:
    soft = blobs(3, 9)
    turned = soft.permute(1, 2, 0).contiguous().permute(2, 0, 1).requires_grad_()
    assert texts(turned, 15, 16) == mask_run_lengths(soft, 15, 16)


@pytest.mark.parametrize("shape", [(0, 13, 13)])
def test_no_masks_have_no_toggles_and_no_pixels(shape: tuple[int, ...]) -> None:
    owner, place = device_toggles(torch.zeros(shape), 40, 30)
    assert owner.shape == place.shape == (0,)
    assert device_pixels(torch.zeros(shape), 40, 30).shape == (0, 40, 30)


@pytest.mark.parametrize("pixels", [1, 5, 69, 137, 138, 139, 480, 1333, 4000])
@pytest.mark.parametrize("cells", [2, 3, 69, 138])
def test_no_cell_has_more_pixels_than_the_kernel_counts(cells: int, pixels: int) -> None:
    assert int(np.diff(_grid(cells, pixels).begin).max()) <= _pixels_of_a_cell(cells, pixels)


def test_what_a_gpu_cannot_do_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    half, many = torch.zeros(1, 5, 5, dtype=torch.float16), torch.zeros(1, 1024, 5)
    assert "float16" in kernel_fault(half, 9, 9)
    assert "1023 cells" in kernel_fault(many, 9, 9)
    assert "too many pixels" in kernel_fault(torch.zeros(1, 5, 5), 2**16, 2**15)
    assert "no cells" in kernel_fault(torch.zeros(1, 0, 5), 9, 9)
    assert "CUDA device" in kernel_fault(torch.zeros(1, 5, 5), 9, 9) or INTERPRETED
    for _ in range(2):
        note_slow_path("a fault that only this test has")
    assert caplog.text.count("a fault that only this test has") == 1


@pytest.fixture(scope="module")
def kernels() -> ModuleType:
    pytest.importorskip("triton")
    from yolact_bench.geometry import mask_kernels

    return mask_kernels


@ON_A_CPU
@pytest.mark.parametrize("name", ["find_bounds", "count_toggles", "write_toggles", "write_pixels"])
def test_kernels_compile_for_a_gpu_that_is_not_here(
    name: str, kernels: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For compute capability 9.0. A fused product would round otherwise than the host."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    assembly = _assembly(getattr(kernels, name))
    assert "mul.f32" in assembly or "mul.rn.f32" in assembly
    assert "fma" not in assembly
    assert ".ftz" not in assembly


def _assembly(kernel: object) -> str:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    sizes = {"h": 138, "w": 138, "rows_block": 16, "cells_block": 256, "gaps_block": 256}
    sizes |= {"columns_block": 4, "most_pixels": 8}
    names: list[str] = kernel.arg_names  # type: ignore[attr-defined]
    kinds = {"soft_ptr": "*fp32", "across": "fp32", "down": "fp32", "threshold": "fp32"}
    signature = {
        name: "constexpr"
        if name in sizes
        else kinds.get(name, "*i32" if name.endswith("_ptr") else "i32")
        for name in names
    }
    constants = {(names.index(name),): sizes[name] for name in names if name in sizes}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    options = {"enable_fp_fusion": False}
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    return str(made.asm["ptx"])


@pytest.mark.gpu
@pytest.mark.parametrize("size", [(480, 640), (427, 500), (33, 90), (1, 1), (1333, 800)])
def test_a_gpu_gives_the_bytes_of_the_host(size: tuple[int, int]) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    for soft in (blobs(100, 138), seeded(9, 69, 69), soft_masks(), torch.zeros(0, 138, 138)):
        for threshold in (0.0, 0.3, 0.5):
            expected = mask_run_lengths(soft, *size, threshold=threshold)
            assert mask_run_lengths(soft.cuda(), *size, threshold=threshold) == expected
            masks = upsample(soft.cuda(), *size, threshold=threshold)
            assert torch.equal(masks.cpu(), upsample(soft, *size, threshold=threshold))


@pytest.mark.gpu
def test_a_gpu_rounds_cells_an_ulp_apart_as_the_host() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    soft = torch.tensor(0.3) + ((seeded(20, 138, 138) * 5).floor() - 2) * torch.tensor(2.0**-25)
    expected = mask_run_lengths(soft, 427, 640, threshold=0.3)
    assert mask_run_lengths(soft.cuda(), 427, 640, threshold=0.3) == expected
