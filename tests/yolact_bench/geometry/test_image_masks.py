"""Soft masks at image size: pixels, regions and memory."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.support.soft_masks import blobs
from yolact_bench.geometry import image_masks
from yolact_bench.geometry.image_masks import mask_regions, upsample


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
    monkeypatch.setattr(image_masks, "WORKING_BYTES", 20_000)  # strips of 4 rows of 300
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
from yolact_bench.geometry import image_masks
image_masks.WORKING_BYTES = {working_bytes}
torch.set_num_threads(1)
soft = torch.rand(100, 1, 1).expand(100, 138, 138).clone()
soft[:, :, 69:] = 0
soft[0] = 1
def peak() -> int:  # ru_maxrss would be that of the process that started this one, if larger
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = peak()
set_pixels = [int(part.mask[::8, ::8].sum()) for part in image_masks.mask_regions(soft, 3000, 4000)]
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
def test_a_hundred_masks_of_a_twelve_megapixel_photo_need_under_140_megabytes() -> None:
    """As floats at once they would take 100 · 4000 · 3000 · 4 bytes = 4.8 GB."""
    assert peak_megabytes(image_masks.WORKING_BYTES) < 140


@NEEDS_PROC
@pytest.mark.slow
def test_the_working_bytes_are_what_bounds_the_memory() -> None:
    """With ten times as much 48 MB of a mask's floats are made at once; the measure sees it."""
    assert peak_megabytes(10 * image_masks.WORKING_BYTES) > 140
