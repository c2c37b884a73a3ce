"""The loss of the mask re-scoring network: the slot MASK_IOU_LOSSES."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn

from yolact_bench.errors import SpecError
from yolact_bench.loss.protocols import BatchSoftMasks, MaskIouLoss, SoftMasks
from yolact_bench.ranges import CountOrZero, NotNegative
from yolact_bench.shapes import needs_features
from yolact_bench.slots import with_facts


def smooth_l1_of_batch(
    masks: BatchSoftMasks,
    rescore_net: nn.Module | None,
    normaliser: Float[Tensor, ""],
    *,
    weight: NotNegative = 25.0,
    min_target_cells: CountOrZero = 25,
) -> Float[Tensor, ""]:
    """`smooth_l1` with a row for every mask that a batch may have; a gap of 0 stands for no mask.

    The network sees as many masks in every step, so that a device plans its convolutions once.
    """
    net = _net_of(rescore_net)
    large = masks.used & (masks.wanted.sum(dim=(1, 2)) > min_target_cells)
    every_class = net(masks.predicted[:, None])
    scores = every_class.gather(1, masks.labels[:, None]).squeeze(1)
    truth = true_iou(masks.predicted.detach(), masks.wanted)
    gaps = (scores - truth).masked_fill(~large, 0.0)
    total = F.smooth_l1_loss(gaps, torch.zeros_like(gaps), reduction="sum")
    return weight * total / normaliser


@with_facts(needs_net=True, of_batch=smooth_l1_of_batch)
def smooth_l1(
    images: Sequence[SoftMasks],
    rescore_net: nn.Module | None,
    normaliser: Float[Tensor, ""],
    *,
    weight: NotNegative = 25.0,
    min_target_cells: CountOrZero = 25,
) -> Float[Tensor, ""]:
    """Smooth L1 between the network's value for the object's class and the true mask IoU.

    The masks are not detached: this term trains prototypes and coefficients too. Objects of
    `min_target_cells` cells or fewer are left out. A subset drawn by the mask loss is not
    scaled up here, as in the reference. Up to a gap of 1 this is the squared error by which Mask
    Scoring R-CNN trains its head, but for weight and normaliser.

    A network that looks at feature maps gets them at the object's own box, the one that the masks
    are cropped by in training: predicted boxes start anywhere, and then features would be of one
    place and the mask of another. So both kinds of network learn from the same masks.

    Raises:
        SpecError: no re-scoring network, or one whose features the mask loss does not pass.

    Source: YOLACT++ (arXiv:1912.06218), section "Fast Mask Re-Scoring Network";
    dbolya/yolact@902073d layers/modules/multibox_loss.py, `mask_iou_net`.
    Differs: nothing with a network of masks alone; there is no other in the reference.
    """
    net = _net_of(rescore_net)
    predicted = torch.cat([masks.predicted for masks in images])  # [P, h, w]
    wanted = torch.cat([masks.wanted for masks in images])
    labels = torch.cat([masks.labels for masks in images])

    large = wanted.sum(dim=(1, 2)) > min_target_cells
    predicted, wanted, labels = predicted[large], wanted[large], labels[large]
    if needs_features(net):
        every_class = _from_features(images, net, large)
    else:
        every_class = net(predicted[:, None])
    scores = every_class.gather(1, labels[:, None]).squeeze(1)
    truth = true_iou(predicted.detach(), wanted)
    return weight * F.smooth_l1_loss(scores, truth, reduction="sum") / normaliser


def _net_of(rescore_net: nn.Module | None) -> nn.Module:
    if rescore_net is None:
        raise SpecError(
            "mask_iou_loss: there is no re-scoring network to train; write a rescore_net that "
            "makes one, or a mask_iou_loss that needs none"
        )
    return rescore_net


def _from_features(
    images: Sequence[SoftMasks], rescore_net: nn.Module, chosen: Bool[Tensor, " P"]
) -> Float32[Tensor, "Q C"]:
    """Return the predicted IoUs of the chosen masks; an image at a time, as in detection."""
    predicted = []
    each = torch.split(chosen, [len(masks.labels) for masks in images])
    for masks, rows in zip(images, each, strict=True):
        if masks.boxes is None or masks.features is None:
            raise SpecError(
                "mask_loss: boxes and features of its soft masks are missing, at which this "
                "rescore_net looks; write a mask_loss that hands them on, or a rescore_net of "
                "masks alone"
            )
        soft_masks = masks.predicted[rows][:, None]
        predicted.append(rescore_net(soft_masks, masks.boxes[rows], masks.features))
    return torch.cat(predicted)


def true_iou(
    predicted: Float32[Tensor, "P h w"], wanted: Float32[Tensor, "P h w"]
) -> Float32[Tensor, " P"]:
    """IoU of each mask, cut at 0.5, with the mask it should be.

    Source: dbolya/yolact@902073d layers/modules/multibox_loss.py, `_mask_iou`.
    """
    binary = (predicted > 0.5).float()
    overlap = (binary * wanted).sum(dim=(1, 2))
    union = binary.sum(dim=(1, 2)) + wanted.sum(dim=(1, 2)) - overlap
    return overlap / union


@with_facts(of_batch=lambda *_: None)
def no_mask_iou_loss(
    images: Sequence[SoftMasks],
    rescore_net: nn.Module | None,
    normaliser: Float[Tensor, ""],
) -> Float[Tensor, ""] | None:
    """No mask-IoU term; the re-scoring network is not run.

    Source: YOLACT (arXiv:1904.02689), which has no re-scoring.
    Differs: nothing.
    """
    return None


MASK_IOU_LOSSES: Mapping[str, MaskIouLoss] = {"smooth_l1": smooth_l1, "none": no_mask_iou_loss}
