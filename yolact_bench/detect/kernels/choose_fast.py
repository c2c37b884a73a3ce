"""Fast NMS of raw predictions by four kernels: the launches, and what they need."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int32, Int64
from torch import Tensor

from yolact_bench.detect.graph.choice import MaskInputs
from yolact_bench.ranges import Boxes, Fraction
from yolact_bench.shapes import Predictions
from yolact_bench.slots import with_facts
from yolact_bench.triton_kernel import INTERPRETED, UNFUSED, kernels_fault, power_of_two

# Of all numbers below none is measured; they give each of 132 processors a program or more.
# The interpreter takes its time for every program.
_ANCHORS_BLOCK = 256 if INTERPRETED else 16
_OWN_BLOCK = 512 if INTERPRETED else 8
_OTHERS_BLOCK = 1024 if INTERPRETED else 256
_MOST_CLASSES = 1023  # a row of logits lies in one tile


def choose_fast_fault(device_type: str, num_anchors: int, num_classes: int) -> str:
    """Return why Fast NMS cannot run by kernels, or nothing."""
    if num_classes > _MOST_CLASSES:
        return f"its kernels take {_MOST_CLASSES} classes and here are {num_classes}"
    if num_anchors * num_classes >= 2**31:
        return f"its kernels take 2^31 pairs and here are {num_anchors} × {num_classes}"
    return kernels_fault(device_type)


@with_facts(fault=choose_fast_fault, reads_rows=True)
def choose_fast(
    raw: Predictions,
    *,
    min_score: Fraction = 0.05,
    max_iou: Fraction = 0.5,
    top_k: Boxes = 200,
    max_detections: Boxes = 100,
    pairs: int = 2048,
) -> MaskInputs:
    """Return what `fast_nms` keeps, from all the best pairs that are `pairs` at most.

    Instead of the best `pairs` it takes all pairs from the first of 4096 steps of probability on
    from which so many fit, so that equal ones are never parted. Where `exact` holds, rows and
    order are those of `fast_nms_per_class`, as far as probabilities are: their exponentials are
    the device's own. A row of logits with a NaN has no pairs; a box with a NaN overlaps none.

    Source: dbolya/yolact@902073d layers/functions/detection.py, `fast_nms`.
    Differs: nothing where `exact` holds.
    """
    work = _room(raw, pairs)
    _collect(raw, work, min_score)
    return _keep(raw, work, max_iou, top_k, max_detections)


class _Room(NamedTuple):
    """Memory that the kernels share."""

    peak: Float[Tensor, "B A"]
    total: Float[Tensor, "B A"]
    bins: Int32[Tensor, "B bins"]
    counters: Int32[Tensor, "B counters"]
    key: Int64[Tensor, "B K"]
    kept: Int64[Tensor, "B K"]
    box: Float[Tensor, "B K 4"]


def _room(raw: Predictions, pairs: int) -> _Room:
    from yolact_bench.detect.kernels.fast_pairs import BINS, COUNTERS

    images, num_anchors, device = len(raw.boxes), _num_anchors(raw), raw.class_logits.device
    peak, total = torch.empty(2, images, num_anchors, device=device)
    # In one piece: zeroed by one kernel.
    counts = torch.zeros(images * (BINS + COUNTERS), dtype=torch.int32, device=device)
    bins, counters = torch.split(counts, [images * BINS, images * COUNTERS])
    key, kept = torch.empty(2, images, pairs, dtype=torch.int64, device=device)
    return _Room(
        peak=peak,
        total=total,
        bins=bins.view(images, BINS),
        counters=counters.view(images, COUNTERS),
        key=key,
        kept=kept,
        box=torch.empty(images, pairs, 4, device=device),
    )


def _num_anchors(raw: Predictions) -> int:
    return len(raw.anchors if raw.rows is None else raw.rows.number)


def _collect(raw: Predictions, work: _Room, min_score: float) -> None:
    from yolact_bench.detect.kernels.fast_pairs import collect_pairs, count_scores

    images, _, columns = raw.class_logits.shape
    num_anchors = _num_anchors(raw)
    rows = None if raw.rows is None else raw.rows.number
    grid = (-(-num_anchors // _ANCHORS_BLOCK), images)
    sizes = (num_anchors, columns, *raw.class_logits.stride())
    blocks = {"anchors_block": _ANCHORS_BLOCK, "columns_block": power_of_two(columns)}
    count_scores[grid](
        *(raw.class_logits, rows, work.peak, work.total, work.bins, work.counters),
        *(*sizes, min_score),
        **blocks,
    )
    collect_pairs[grid](
        *(raw.class_logits, raw.boxes, raw.anchors.contiguous(), rows),
        *(work.peak, work.total, work.bins, work.counters, work.key, work.box),
        *(*sizes, *raw.boxes.stride()),
        **blocks,
        capacity=work.key.shape[1],
        **UNFUSED,
    )


def _keep(
    raw: Predictions, work: _Room, max_iou: float, top_k: int, max_detections: int
) -> MaskInputs:
    from yolact_bench.detect.kernels.fast_rows import mark_kept, write_rows

    images, pairs = work.key.shape
    num_anchors, columns = _num_anchors(raw), raw.class_logits.shape[2]
    k, device = raw.coefficients.shape[-1], raw.class_logits.device
    blocks = {"capacity": pairs, "own_block": _OWN_BLOCK, "others_block": _OTHERS_BLOCK}
    mark_kept[(-(-pairs // _OWN_BLOCK), images)](
        *(work.key, work.box, work.kept, work.counters, num_anchors, max_iou, top_k),
        **blocks,
        **UNFUSED,
    )
    chosen = MaskInputs(
        boxes=torch.empty(images, max_detections, 4, device=device),
        scores=torch.empty(images, max_detections, device=device),
        labels=torch.empty(images, max_detections, dtype=torch.int64, device=device),
        exact=torch.empty(images, dtype=torch.bool, device=device),
        coefficients=torch.empty(images, max_detections, k, device=device),
        prototypes=raw.prototypes,
    )
    write_rows[(-(-max(pairs, max_detections) // _OWN_BLOCK), images)](
        *(work.kept, work.box, work.counters, raw.coefficients),
        *(None if raw.rows is None else raw.rows.number,),
        *(chosen.boxes, chosen.scores, chosen.labels, chosen.coefficients),
        *(chosen.exact.view(torch.int8), num_anchors, columns - 1, max_detections, k),
        *raw.coefficients.stride(),
        **blocks,
        coefficients_block=power_of_two(k),
        tanh=raw.rows is not None and raw.rows.tanh,
    )
    return chosen
