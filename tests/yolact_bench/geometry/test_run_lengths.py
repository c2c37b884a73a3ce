"""Run lengths from soft masks: the bytes that the plain path gives, whatever else is encoded."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as rle
from torch import Tensor

from runners.evaluation.coco.masks import encode_pixels
from tests.support.soft_masks import blobs
from yolact_bench.geometry import mask_changes
from yolact_bench.geometry.image_masks import upsample
from yolact_bench.geometry.masks import crop
from yolact_bench.geometry.run_lengths import Toggles, mask_run_lengths

SIZES = [(480, 640), (427, 500), (34, 34), (33, 90), (20, 21), (1, 1), (7, 301), (300, 5)]


def speckles(count: int, side: int = 13) -> Tensor:
    """Every cell for itself: many runs in every column."""
    return torch.rand(count, side, side, generator=torch.Generator().manual_seed(1))


def plain(soft: Tensor, height: int, width: int, threshold: float = 0.5) -> list[str]:
    """All masks as floats of the image's size, then pycocotools."""
    size = (height, width)
    whole = F.interpolate(soft[None], size, mode="bilinear", align_corners=False)[0] > threshold
    return [encoded(mask) for mask in whole.numpy()]


def encoded(mask: NDArray[np.bool_]) -> str:
    counts: bytes = rle.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    return counts.decode()


def pixels(counts: str, height: int, width: int) -> int:
    return int(rle.area({"size": [height, width], "counts": counts}))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("soft", [blobs(24), speckles(6)], ids=["blobs", "speckles"])
def test_the_bytes_are_those_of_the_plain_path(soft: Tensor, size: tuple[int, int]) -> None:
    got, expected = mask_run_lengths(soft, *size), plain(soft, *size)
    different = [index for index in range(len(soft)) if got[index] != expected[index]]
    assert len(different) <= 1  # a pixel that ties to the last bit
    for index in different:
        assert abs(pixels(got[index], *size) - pixels(expected[index], *size)) <= 1


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
def test_regions_give_the_same_bytes(threshold: float) -> None:
    soft = torch.cat([blobs(12), crop(speckles(4, 34), torch.tensor([[0.2, 0.3, 0.6, 0.8]] * 4))])
    expected = [
        encode_pixels(mask.numpy().astype(np.uint8))["counts"]
        for mask in upsample(soft, 93, 121, threshold=threshold)  # made of regions
    ]
    assert mask_run_lengths(soft, 93, 121, threshold=threshold) == expected


def test_a_mask_does_not_depend_on_which_others_are_encoded_with_it() -> None:
    soft = torch.cat([blobs(20), crop(speckles(5, 34), torch.tensor([[0.1, 0.1, 0.9, 0.5]] * 5))])
    together = mask_run_lengths(soft, 240, 320)
    assert [mask_run_lengths(mask[None], 240, 320)[0] for mask in soft] == together
    order = torch.randperm(len(soft), generator=torch.Generator().manual_seed(2))
    assert mask_run_lengths(soft[order], 240, 320) == [together[index] for index in order]


def test_masks_looked_at_in_small_groups_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    together = mask_run_lengths(blobs(20), 240, 320)
    monkeypatch.setattr(mask_changes, "WORKING_VALUES", 2000)
    assert mask_run_lengths(blobs(20), 240, 320) == together


def test_memory_order_and_gradients_of_the_masks_do_not_matter() -> None:
    soft = blobs(6)
    turned = soft.permute(1, 2, 0).contiguous().permute(2, 0, 1).requires_grad_()
    assert mask_run_lengths(turned, 50, 60) == mask_run_lengths(soft, 50, 60)


def test_a_mask_of_one_half_everywhere_is_empty_and_a_full_one_is_full() -> None:
    """Above the threshold, not at it. Counts: all 56 pixels off; none off and 56 on."""
    soft = torch.stack([torch.full((5, 5), 0.5), torch.ones(5, 5), torch.zeros(5, 5)])
    off, full, empty = mask_run_lengths(soft, 7, 8)
    assert off == empty == encoded(np.zeros((7, 8), bool))
    assert full == encoded(np.ones((7, 8), bool))


def test_no_masks_give_no_run_lengths() -> None:
    assert mask_run_lengths(torch.zeros(0, 5, 5), 40, 30) == []


def toggles(masks: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each mask [H, W], read down the columns, begins and stops being set."""
    lines = masks.transpose(0, 2, 1).reshape(len(masks), -1)
    before = np.concatenate([np.zeros((len(masks), 1), bool), lines[:, :-1]], axis=1)
    owner, place = np.nonzero(lines != before)
    return owner, place


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 4),
    height=st.integers(1, 40),
    width=st.integers(1, 60),
    fill=st.sampled_from([0.0, 0.001, 0.02, 0.5, 0.98, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_text_is_pycocotools_own(
    count: int, height: int, width: int, fill: float, seed: int
) -> None:
    masks = np.random.default_rng(seed).random((count, height, width)) < fill
    texts = Toggles(*toggles(masks), count, height * width).texts()
    assert texts == [encoded(mask) for mask in masks]


@settings(max_examples=40, deadline=None)
@given(runs=st.lists(st.integers(1, 3_000_000), min_size=2, max_size=12))
def test_long_runs_have_pycocotools_text_as_well(runs: list[int]) -> None:
    """Up to five characters a count, and differences of either sign."""
    place = np.cumsum(runs[:-1])
    size = int(sum(runs))
    expected = rle.frPyObjects({"size": [1, size], "counts": runs}, 1, size)["counts"].decode()
    assert Toggles(np.zeros_like(place), place, 1, size).texts() == [expected]


def test_two_toggles_in_one_place_undo_each_other_and_three_are_one() -> None:
    place = np.array([2, 4, 4, 6, 6, 6, 12])
    once = Toggles(np.zeros(2, np.int64), np.array([2, 6]), 1, 12).texts()
    assert Toggles(np.zeros(7, np.int64), place, 1, 12).texts() == once
