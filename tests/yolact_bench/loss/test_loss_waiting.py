"""No loss waits for a device, and its way there gives the same numbers."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from tests.support.loss_cases import NoReading, NoWaiting, as_on_a_device, objects, on_a_coarse_grid
from yolact_bench.build import build_losses, load_detector
from yolact_bench.loss import overlaps
from yolact_bench.loss.mask import lincomb_bce
from yolact_bench.loss.match import ssd_match
from yolact_bench.loss.total import Losses
from yolact_bench.shapes import Predictions, Target, Targets, map_tensors

TARGETS = [(7, 1), (0, 0), (130, 3), (2, 2)]  # objects, of which crowds


def case() -> tuple[Losses, Predictions, list[Target]]:
    """The losses of yolact_tiny, predictions of four images, and their objects."""
    detector = load_detector("yolact_tiny")
    network = detector.network.train()
    torch.manual_seed(0)
    side = detector.run.image_size  # type: ignore[union-attr]
    raw = network(torch.randn(len(TARGETS), 3, side, side))
    targets = [objects(n, crowds, side, seed) for seed, (n, crowds) in enumerate(TARGETS)]
    return build_losses(detector), raw, targets


def test_the_losses_do_not_wait_for_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    losses, raw, targets = case()
    as_on_a_device(monkeypatch)
    with NoWaiting(), NoReading():
        losses(raw, targets, torch.Generator())


def test_on_a_cpu_the_host_reads_as_it_may() -> None:
    """Otherwise the test above would show nothing."""
    losses, raw, targets = case()
    with pytest.raises(AssertionError, match=r"host (waits|reads)"), NoWaiting(), NoReading():
        losses(raw, targets, torch.Generator())


def test_the_guard_sees_a_wait() -> None:
    with pytest.raises(AssertionError, match="host reads"), NoReading():
        torch.ones(2).tolist()
    with pytest.raises(AssertionError, match="host waits"), NoWaiting():
        torch.ones(2)[torch.tensor([True, False])]
    with pytest.raises(AssertionError, match="host waits"), NoWaiting():
        torch.ones(1).item()


def test_the_ways_with_and_without_waiting_give_equal_losses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a limit that no image reaches: the ways draw their subsets of positives differently."""
    losses, raw, targets = case()
    losses.mask_loss = partial(lincomb_bce, max_positives=10**6)
    waiting = losses(raw, targets, torch.Generator().manual_seed(0))
    as_on_a_device(monkeypatch)
    fixed = losses(raw, targets, torch.Generator().manual_seed(0))
    assert fixed.keys() == waiting.keys()
    for name, value in waiting.items():
        torch.testing.assert_close(fixed[name], value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("block", [1, 40, 10_000])
@pytest.mark.parametrize("seed", range(8))
def test_matches_are_the_same_in_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch, seed: int, block: int
) -> None:
    """Boxes on a coarse grid: overlaps that tie abound."""
    random = torch.Generator().manual_seed(seed)
    anchors = torch.randint(1, 5, (90, 4), generator=random) / 8
    target = on_a_coarse_grid(objects(1 + 3 * seed, seed % 3, 2, seed))
    wanted = ssd_match(anchors, target)
    monkeypatch.setattr(overlaps, "_CACHED_PAIRS", block * len(target.labels))
    found = ssd_match(anchors, target)
    assert torch.equal(found.labels, wanted.labels)
    positive = wanted.labels > 0
    assert torch.equal(found.truth[positive], wanted.truth[positive])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_on_a_gpu_no_loss_waits(dtype: torch.dtype) -> None:
    losses, raw, targets = case()
    raw = map_tensors(raw, lambda tensor: tensor.detach().cuda())
    raw = replace(raw, class_logits=raw.class_logits.to(dtype).requires_grad_())
    joint = Targets.of(targets).each(Tensor.cuda)
    generator = torch.Generator("cuda").manual_seed(0)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        torch.stack(list(losses(raw, joint, generator).values())).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
