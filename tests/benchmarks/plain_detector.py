"""The whole detector as the paper's authors wrote it down: eager, float32, full-size masks.

Source: dbolya/yolact@902073d layers/functions/detection.py, layers/output_utils.py and eval.py,
`prep_display` and `Detections`; in our words.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.benchmarks.plain_postprocess import jaccard, plain_run_lengths
from yolact_bench.detector import Detector
from yolact_bench.geometry.boxes import decode
from yolact_bench.model.network import Yolact


class PlainDetections(NamedTuple):
    label: Tensor
    score: Tensor
    run_lengths: list[str]


def read_rgb(file: Path) -> NDArray[np.uint8]:
    """Both arms decode alike: the codec is not what is compared."""
    pixels: NDArray[np.uint8] = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    return pixels


@torch.inference_mode()
def plain_detections(detector: Detector, file: Path) -> PlainDetections:
    """An image file → run lengths of every mask, with a detector whose runtime is `eager`."""
    network = detector.network
    assert isinstance(network, Yolact) and detector.head.rescore_net is not None
    image = read_rgb(file)
    raw = network(detector.preprocess([image]))
    scores = raw.class_logits[0].softmax(-1).T[1:].contiguous()  # [C, A]
    row, label, score = plain_fast_rows(decode(raw.boxes[0], raw.anchors), scores)
    boxes = decode(raw.boxes[0][row], raw.anchors[row])
    masks = torch.sigmoid(raw.prototypes[0] @ raw.coefficients[0][row].T)  # [h, w, N]
    masks = plain_crop(masks, boxes).permute(2, 0, 1).contiguous()
    predicted = detector.head.rescore_net(masks[:, None]).gather(1, label[:, None])[:, 0]
    return PlainDetections(label, score * predicted, plain_run_lengths(masks, *image.shape[:2]))


def plain_fast_rows(boxes: Tensor, scores_by_class: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`plain_fast_nms`, saying which rows it kept: their masks are needed."""
    rows = (scores_by_class.max(dim=0)[0] > 0.05).nonzero()[:, 0]
    score, order = scores_by_class[:, rows].sort(1, descending=True)
    score, order = score[:, :200].contiguous(), order[:, :200].contiguous()
    ranked = boxes[rows][order.view(-1)].view(*order.shape, 4)
    keep = jaccard(ranked, ranked).triu_(diagonal=1).max(dim=1)[0] <= 0.5
    label = torch.arange(len(order))[:, None].expand_as(keep)[keep]
    best, first = score[keep].sort(0, descending=True)
    return rows[order[keep][first[:100]]], label[first[:100]], best[:100]


def plain_crop(masks: Tensor, boxes: Tensor) -> Tensor:
    """Masks [h, w, N] times four comparisons of as many cells."""
    h, w, n = masks.shape
    sides = boxes.new_tensor([w, h, w, h])
    a, b = (boxes * sides)[:, :2], (boxes * sides)[:, 2:]
    near = (torch.minimum(a, b) - 1).clamp(min=0)
    far = torch.minimum(torch.maximum(a, b) + 1, sides[:2])
    column = torch.arange(w, dtype=masks.dtype).view(1, -1, 1).expand(h, w, n)
    row = torch.arange(h, dtype=masks.dtype).view(-1, 1, 1).expand(h, w, n)
    across = (column >= near[:, 0]) * (column < far[:, 0])
    down = (row >= near[:, 1]) * (row < far[:, 1])
    return masks * (across * down).float()
