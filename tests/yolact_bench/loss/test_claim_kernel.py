"""The kernel of claims against their loop: interpreted, compiled without a GPU, or run on one."""

import logging
import re
from pathlib import Path

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
from yolact_bench.loss import claims as module
from yolact_bench.loss.claims import (
    NO_CLAIM,
    claims,
    claims_by_kernel,
    claims_of_batch,
    rank_anchors,
)

ON_EACH = pytest.mark.parametrize("device_name", DEVICES)
# Images, objects, anchors: one of each, more objects than anchors, and as many as it takes.
SIZES = [(1, 1, 1), (1, 1, 60), (3, 7, 60), (2, 21, 5), (9, 16, 90), (4, 17, 40), (2, 64, 100)]


def best_of(images: int, objects: int, anchors: int, *, seed: int, levels: int) -> Tensor:
    """Keys of overlaps rounded to so many levels, so that they tie; a third are crowds."""
    random = torch.Generator().manual_seed(seed)
    iou = (torch.rand(images, objects, anchors, generator=random) * levels).round() / levels
    crowd = torch.rand(images, objects, generator=random) < 0.3
    return rank_anchors(iou, min(objects, anchors)).masked_fill(crowd[..., None], NO_CLAIM)


def assert_same_claims(best: Tensor, device: str) -> None:
    wanted, row = claims(best)
    found, its_row = (each.cpu() for each in claims_by_kernel(best.to(device)))
    assert torch.equal(found, wanted)
    assert torch.equal(its_row[wanted >= 0], row[wanted >= 0])


@ON_EACH
@pytest.mark.parametrize("levels", [1, 4, 10**6], ids=["zero or one", "ties", "no ties"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_interpreted_or_run_the_claims_are_those_of_the_loop(
    sizes: tuple[int, int, int], levels: int, device_name: str
) -> None:
    device = device_or_skip(device_name)
    for seed in range(2):
        assert_same_claims(best_of(*sizes, seed=seed, levels=levels), device)


@ON_EACH
def test_interpreted_or_run_nobody_claims_where_all_are_crowds(device_name: str) -> None:
    device = device_or_skip(device_name)
    best = best_of(2, 5, 9, seed=0, levels=4)
    best[1] = NO_CLAIM
    assert_same_claims(best, device)
    assert (claims_by_kernel(best.to(device))[0][1] == -1).all()


@ON_EACH
def test_interpreted_or_run_keys_may_lie_anywhere_in_memory(device_name: str) -> None:
    device = device_or_skip(device_name)
    assert_same_claims(best_of(6, 7, 60, seed=0, levels=4)[::2, :, ::3], device)


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is what that test starts")
def test_the_kernel_passes_where_a_cpu_interprets_it() -> None:
    assert_interpreted_tests_pass(__file__, least=3 * len(SIZES) + 2)


@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")
@pytest.mark.parametrize("blocks", [(16, 16), (32, 32), (64, 16), (64, 64)], ids=str)
def test_compiled_for_a_gpu_that_is_not_here_it_spills_nothing(
    blocks: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 16 keys a thread, at most 143 registers with Triton 3.6 and 111 with 3.8."""
    pytest.importorskip("triton")
    from yolact_bench.loss.claim_kernel import claim

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    types = dict.fromkeys(("best_ptr", "anchor_ptr", "row_ptr"), "*i64")
    numbers = dict(zip(("objects_block", "size_block"), blocks, strict=True))
    assert stack_bytes(claim, types, numbers, num_warps=max(blocks[0] * blocks[1] // 512, 1)) == 0


class OnGpu(Tensor):
    """Says that it is on a GPU; a CPU has its numbers."""

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True


def spied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which of the two ways `claims_of_batch` takes from here on, in order."""
    taken: list[str] = []
    for name in ("claims", "claims_by_kernel"):

        def seen(best: Tensor, name: str = name) -> tuple[Tensor, Tensor]:
            taken.append(name)
            return best[:, 0], best[:, 0]

        monkeypatch.setattr(module, name, seen)
    return taken


def test_a_gpu_gets_the_kernel_and_a_cpu_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = spied(monkeypatch)
    best = best_of(1, 3, 5, seed=0, levels=4)
    claims_of_batch(best)
    claims_of_batch(best.as_subclass(OnGpu))
    assert taken == ["claims", "claims_by_kernel"]


@pytest.mark.parametrize(
    ("objects", "triton", "words"),
    [(65, True, "65 objects in an image are more than 64"), (3, False, "there is no Triton")],
)
def test_where_the_kernel_does_not_run_a_note_says_so_once(
    objects: int,
    triton: bool,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken = spied(monkeypatch)
    module._note_loop.cache_clear()
    monkeypatch.setattr(module, "find_spec", lambda name: object() if triton else None)
    best = best_of(1, objects, 70, seed=0, levels=4).as_subclass(OnGpu)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            claims_of_batch(best)
    assert taken == ["claims", "claims"]
    assert len(re.findall(words, caplog.text)) == 1
