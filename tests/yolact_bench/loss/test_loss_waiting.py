"""No loss waits for the device but where it must, and its way there gives the same numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.support.loss_cases import objects, on_a_coarse_grid
from yolact_bench.build import build_losses, load_detector
from yolact_bench.loss import classify, forms, match
from yolact_bench.loss.match import ssd_match
from yolact_bench.shapes import Predictions, Target, map_tensors
from yolact_bench.torch_internals import DispatchMode

_WAITS = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal"}


class NoWaiting(DispatchMode):
    """Raises where the same call on a GPU would make the host wait."""

    def __torch_dispatch__(  # type: ignore[override]
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        name = func.overloadpacket.__name__  # type: ignore[attr-defined]
        indices = args[1] if name in {"index", "index_put", "index_put_"} else ()
        by_flags = any(i is not None and i.dtype in {torch.bool, torch.uint8} for i in indices)
        if name in _WAITS or by_flags:
            raise AssertionError(f"the host waits in {func}")
        return func(*args, **(kwargs or {}))


def as_on_a_device(patch: pytest.MonkeyPatch) -> None:
    """The losses take the way they take on a GPU."""
    for module in (match, classify, forms):
        patch.setattr(module, "reading_is_free", lambda tensor: False)


TARGETS = [(7, 1), (0, 0), (130, 3), (2, 2)]  # objects, of which crowds


def case() -> tuple[Callable[..., dict[str, Tensor]], Predictions, list[Target]]:
    """The losses of yolact_tiny, predictions of four images, and their objects."""
    detector = load_detector("yolact_tiny")
    network = detector.network.train()
    torch.manual_seed(0)
    side = detector.run.image_size  # type: ignore[union-attr]
    raw = network(torch.randn(len(TARGETS), 3, side, side))
    targets = [objects(n, crowds, side, seed) for seed, (n, crowds) in enumerate(TARGETS)]
    return build_losses(detector), raw, targets


def test_the_losses_do_not_wait_for_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for one `tolist`, of the number of positives, which no dispatch on a CPU shows."""
    losses, raw, targets = case()
    as_on_a_device(monkeypatch)
    with NoWaiting():
        losses(raw, targets, torch.Generator())


def test_the_guard_sees_a_wait() -> None:
    with pytest.raises(AssertionError, match="host waits"), NoWaiting():
        torch.ones(2)[torch.tensor([True, False])]
    with pytest.raises(AssertionError, match="host waits"), NoWaiting():
        torch.ones(1).item()


def test_the_ways_with_and_without_waiting_give_equal_losses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losses, raw, targets = case()
    waiting = losses(raw, targets, torch.Generator().manual_seed(0))
    as_on_a_device(monkeypatch)
    fixed = losses(raw, targets, torch.Generator().manual_seed(0))
    assert fixed.keys() == waiting.keys()
    for name, value in waiting.items():
        torch.testing.assert_close(fixed[name], value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("block", [1, 40, 10_000])
@pytest.mark.parametrize("seed", range(8))
def test_matches_are_the_same_in_blocks_of_any_size_and_on_a_device(
    monkeypatch: pytest.MonkeyPatch, seed: int, block: int
) -> None:
    """Boxes on a coarse grid: overlaps that tie abound."""
    random = torch.Generator().manual_seed(seed)
    anchors = torch.randint(1, 5, (90, 4), generator=random) / 8
    target = on_a_coarse_grid(objects(1 + 3 * seed, seed % 3, 2, seed))
    wanted = ssd_match(anchors, target)
    monkeypatch.setattr(match, "_CACHED_PAIRS", block * len(target.labels))
    found = [ssd_match(anchors, target)]
    as_on_a_device(monkeypatch)
    found.append(ssd_match(anchors, target))
    for each in found:
        assert torch.equal(each.labels, wanted.labels)
        positive = wanted.labels > 0
        assert torch.equal(each.truth[positive], wanted.truth[positive])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_matching_and_the_class_loss_do_not_wait() -> None:
    target = map_tensors(objects(20, 2, 4, 0), Tensor.cuda)
    anchors = torch.rand(500, 4, device="cuda")
    scores = torch.randn(1, 500, 6, device="cuda")
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        labels = ssd_match(anchors, target).labels[None]
        normaliser = (labels > 0).sum().float()
        classify.ohem_cross_entropy(scores, labels, normaliser)
    finally:
        torch.cuda.set_sync_debug_mode("default")
