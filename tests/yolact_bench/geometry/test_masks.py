"""Masks: the crop's bounds, and upsampling that neither differs from torch's nor fills memory."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.support.soft_masks import blobs
from yolact_bench.geometry import masks as masks_module
from yolact_bench.geometry.masks import (
    LinearCombination,
    crop,
    mask_regions,
    upsample,
)


def inside(box: tuple[float, float, float, float], padding: int = 1) -> list[list[int]]:
    """Rows and columns that a 10 × 10 mask of ones keeps."""
    kept = crop(torch.ones(1, 10, 10), torch.tensor([box]), padding=padding)[0] > 0
    return [kept.any(1).nonzero()[:, 0].tolist(), kept.any(0).nonzero()[:, 0].tolist()]


def test_a_crop_is_one_cell_wider_than_its_box() -> None:
    """Columns 3 to 5 exclusive of 10 become 2 to 6 exclusive."""
    assert inside((0.3, 0.5, 0.5, 0.8)) == [[4, 5, 6, 7, 8], [2, 3, 4, 5]]


def test_the_bounds_of_a_crop_are_not_rounded() -> None:
    """2.25 cells: near bound 1.25 drops cell 1. 5.25 cells: far bound 6.25 keeps cell 6."""
    assert inside((0.225, 0.225, 0.525, 0.525))[1] == [2, 3, 4, 5, 6]


def test_a_crop_ends_at_the_mask() -> None:
    assert inside((-0.5, 0.9, 0.05, 1.7)) == [[8, 9], [0, 1]]


def test_corners_in_the_wrong_order_crop_the_same() -> None:
    assert inside((0.5, 0.8, 0.3, 0.5)) == inside((0.3, 0.5, 0.5, 0.8))


def test_the_padding_can_be_left_out() -> None:
    assert inside((0.3, 0.5, 0.5, 0.8), padding=0) == [[5, 6, 7], [3, 4]]


def test_a_crop_passes_gradients_inside_only() -> None:
    soft = torch.rand(1, 4, 4, requires_grad=True)
    crop(soft, torch.tensor([[0.0, 0.0, 0.5, 0.5]]), padding=0).sum().backward()
    assert soft.grad is not None
    assert soft.grad[0].tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]


def assembled(side: int, k: int, *, strided: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Prototypes, coefficients and boxes of 100 detections."""
    generator = torch.Generator().manual_seed(3)
    prototypes = torch.rand(side, side, k, generator=generator)
    if strided:  # as a network gives them: channels first in memory
        prototypes = prototypes.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    corner = torch.rand(100, 2, generator=generator) * 0.5
    coefficients = torch.randn(100, k, generator=generator)
    return prototypes, coefficients, torch.cat([corner, corner + 0.5], 1)


@pytest.mark.parametrize(("side", "k"), [(35, 8), (40, 16), (138, 32)])
@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_soft_mask_has_the_same_bits_whichever_other_detections_there_are(
    side: int, k: int, strided: bool, threads: int
) -> None:
    prototypes, coefficients, boxes = assembled(side, k, strided=strided)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        every = LinearCombination()(prototypes, coefficients, boxes)
        for rows in ([3], [0, 99], [50, 7, 20], list(range(40, 47)), list(range(33, -1, -1))):
            few = LinearCombination()(prototypes, coefficients[rows], boxes[rows])
            assert torch.equal(few, every[rows])
    finally:
        torch.set_num_threads(before)


def test_assembling_in_blocks_is_the_plain_product_to_rounding_and_has_its_gradient() -> None:
    prototypes, coefficients, boxes = assembled(20, 4, strided=False)
    blocks = LinearCombination(crop=False)(prototypes, coefficients, boxes)
    coefficients.requires_grad_()
    whole = LinearCombination(crop=False)(prototypes, coefficients, boxes)
    assert torch.equal(
        whole, (coefficients @ prototypes.reshape(400, 4).T).sigmoid().view_as(whole)
    )
    assert torch.allclose(blocks, whole, atol=1e-6)
    whole.sum().backward()
    assert coefficients.grad is not None
    assert LinearCombination()(prototypes, coefficients[:0], boxes[:0]).shape == (0, 20, 20)
    with torch.no_grad():
        assert LinearCombination()(prototypes, coefficients[:0], boxes[:0]).shape == (0, 20, 20)


def torchs(soft: Tensor, height: int, width: int) -> Tensor:
    """The full path: every mask as floats of the image's size."""
    size = (height, width)
    return F.interpolate(soft[None], size, mode="bilinear", align_corners=False)[0]


@pytest.mark.parametrize(
    "size", [(480, 640), (427, 500), (34, 34), (33, 90), (20, 21), (1, 1), (7, 301)]
)
def test_upsampling_regions_gives_torchs_pixels_except_for_ties(size: tuple[int, int]) -> None:
    soft = blobs(24)
    whole = torchs(soft, *size)
    different = upsample(soft, *size) != (whole > 0.5)
    # Float32 near 0.5 is spaced 6e-8; four products and sums round to within a few of those.
    assert (whole[different] - 0.5).abs().le(5e-7).all()
    assert int(different.sum()) <= 2


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.9])
def test_other_thresholds_work_as_well(threshold: float) -> None:
    soft = blobs(12)
    whole = torchs(soft, 100, 120)
    different = upsample(soft, 100, 120, threshold=threshold) != (whole > threshold)
    assert int(different.sum()) <= 2


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    soft = blobs(6)
    at_once = upsample(soft, 200, 300)
    monkeypatch.setattr(masks_module, "WORKING_BYTES", 20_000)  # strips of 4 rows of 300
    assert torch.equal(upsample(soft, 200, 300), at_once)


def test_nothing_outside_a_region_is_set_and_an_empty_mask_has_none() -> None:
    soft = blobs(8)
    full = upsample(soft, 90, 120)
    for mask, region in zip(full, mask_regions(soft, 90, 120), strict=True):
        rows, columns = region.mask.shape
        rest = mask.clone()
        rest[region.top : region.top + rows, region.left : region.left + columns] = False
        assert not rest.any()
        assert int(mask.sum()) == int(region.mask.sum())
    assert next(mask_regions(soft, 90, 120)).mask.numel() == 0


def test_no_detections_give_no_masks() -> None:
    assert upsample(torch.zeros(0, 5, 5), 40, 30).shape == (0, 40, 30)
    assert list(mask_regions(torch.zeros(0, 5, 5), 40, 30)) == []


MEASURED = """
from pathlib import Path
import torch
from yolact_bench.geometry import masks
masks.WORKING_BYTES = {working_bytes}
torch.set_num_threads(1)
soft = torch.rand(100, 1, 1).expand(100, 138, 138).clone()
soft[:, :, 69:] = 0
soft[0] = 1
def peak() -> int:  # ru_maxrss would be that of the process that started this one, if larger
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = peak()
set_pixels = [int(part.mask[::8, ::8].sum()) for part in masks.mask_regions(soft, 3000, 4000)]
print(peak() - before, sum(set_pixels))
"""


NEEDS_PROC = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc"
)


def peak_megabytes(working_bytes: int) -> float:
    """Resident memory that going through 100 masks of 4000 × 3000 adds to a fresh process."""
    script = MEASURED.format(working_bytes=working_bytes)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    kilobytes, set_pixels = map(int, done.stdout.split())
    assert set_pixels > 375 * 500  # the full mask alone, every eighth pixel each way
    return kilobytes / 1000


@NEEDS_PROC
def test_a_hundred_masks_of_a_twelve_megapixel_photo_need_under_120_megabytes() -> None:
    """As floats at once they would take 100 · 4000 · 3000 · 4 bytes = 4.8 GB."""
    assert peak_megabytes(masks_module.WORKING_BYTES) < 120


@NEEDS_PROC
@pytest.mark.slow
def test_the_working_bytes_are_what_bounds_the_memory() -> None:
    """With ten times as much 48 MB of a mask's floats are made at once; the measure sees it."""
    assert peak_megabytes(10 * masks_module.WORKING_BYTES) > 130
