"""The cross-entropy of positives and the hardest background by three kernels: the launches."""

import logging
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from yolact_bench.shapes import HALVES
from yolact_bench.triton_kernel import INTERPRETED, kernels_fault, power_of_two

# None of these numbers is measured. The interpreter takes its time for every program.
_TILE = 1 << (17 if INTERPRETED else 11)  # logits of a program: 16 for each thread
_IMAGE_BLOCK = 1 << (16 if INTERPRETED else 12)  # anchors of an image at a time
_IMAGE_WARPS = 32
_MOST_COLUMNS = 1024  # a row of logits lies in one tile

log = logging.getLogger(__name__)


def hardest_fault(scores: Float[Tensor, "B A C1"]) -> str:
    """Return why the kernels cannot take these logits, or nothing."""
    if scores.dtype not in (torch.float32, *HALVES):
        return f"its kernels take no {scores.dtype}".replace("torch.", "")
    if scores.shape[-1] > _MOST_COLUMNS:
        return f"its kernels take {_MOST_COLUMNS - 1} classes and here are {scores.shape[-1] - 1}"
    return kernels_fault(scores.device.type)


@cache
def note_sorting(fault: str) -> None:
    """Warn, once, that mining takes longer than it could; the loss is the same."""
    log.warning("The class loss sorts all anchors of every image, more slowly: %s", fault)


def hardest_cross_entropy(
    scores: Float[Tensor, "B A C1"], labels: Int64[Tensor, "B A"], per_positive: int
) -> Float[Tensor, ""]:
    """Return the summed cross-entropy of positives and the hardest background, as float32.

    Logits in half precision are widened one by one and their gradient is rounded once. Of equally
    hard anchors those with lower numbers are taken, as by the sort of a GPU. Logits of an anchor
    that is not chosen get gradient 0 even if they are no numbers.
    """
    total: Tensor = _HardestCrossEntropy.apply(scores, labels, per_positive)
    return total


class _HardestCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor, per_positive: int) -> Tensor:  # noqa: ANN401
        from yolact_bench.loss import hardest_kernels as kernels

        scores, labels = scores.contiguous(), labels.contiguous()
        images, anchors, columns = scores.shape
        key = torch.empty_like(labels, dtype=torch.int32)
        cost = torch.empty_like(labels, dtype=torch.float32)
        total, cut = cost.new_empty(images), labels.new_empty(images)
        blocks = _blocks(columns)
        with torch.cuda.device_of(scores):  # type: ignore[no-untyped-call]  # Triton launches there
            kernels.weigh_anchors[_grid(scores, blocks)](
                scores, labels, key, cost, anchors, columns=columns, **blocks
            )
            kernels.choose_hardest[(images,)](
                *(key, cost, total, cut, per_positive),
                anchors=anchors,
                index_bits=index_bits(anchors),
                block=min(_IMAGE_BLOCK, power_of_two(anchors)),
                num_warps=_IMAGE_WARPS,
            )
        ctx.save_for_backward(scores, labels, key, cut)
        return total.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_total: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        from yolact_bench.loss import hardest_kernels as kernels

        scores, labels, key, cut = ctx.saved_tensors
        _, anchors, columns = scores.shape
        gradient, blocks = torch.empty_like(scores), _blocks(columns)
        with torch.cuda.device_of(scores):  # type: ignore[no-untyped-call]
            kernels.write_gradient[_grid(scores, blocks)](
                *(scores, labels, key, cut, of_total, gradient, anchors),
                columns=columns,
                index_bits=index_bits(anchors),
                **blocks,
            )
        return gradient, None, None


def index_bits(anchors: int) -> int:
    """Return how many bits an anchor's number has."""
    return (anchors - 1).bit_length()


def _blocks(columns: int) -> dict[str, int]:
    columns_block = power_of_two(columns)
    return {"rows_block": _TILE // columns_block, "columns_block": columns_block}


def _grid(scores: Tensor, blocks: dict[str, int]) -> tuple[int, int]:
    return (-(-scores.shape[1] // blocks["rows_block"]), scores.shape[0])
