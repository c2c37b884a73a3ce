"""The whole loss against a restatement in plain loops, and what holds for all its terms."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.loss_cases import matches_of
from yolact_bench.geometry.anchors import anchor_grid, one_scale
from yolact_bench.geometry.boxes import encode
from yolact_bench.loss.box import smooth_l1
from yolact_bench.loss.classify import ohem_cross_entropy
from yolact_bench.loss.mask import lincomb_bce
from yolact_bench.loss.mask_iou import no_mask_iou_loss
from yolact_bench.loss.mask_iou import smooth_l1 as mask_iou_smooth_l1
from yolact_bench.loss.match import ssd_match
from yolact_bench.loss.semantic import bce, no_semantic_loss
from yolact_bench.loss.total import Losses
from yolact_bench.shapes import Predictions, Target
from yolact_bench.slots import with_facts

SIZE, CLASSES, K, CELLS = 64, 3, 4, 16
ANCHORS = anchor_grid(one_scale(scales=(8.0, 16.0, 24.0, 32.0, 48.0)), SIZE)


class TinyRescoreNet(nn.Module):
    """A 3 x 3 convolution and a maximum, as small as such a network can be."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, CLASSES, 3)
        nn.init.uniform_(self.conv.weight, -0.2, 0.3, generator=torch.Generator().manual_seed(5))
        nn.init.zeros_(self.conv.bias)

    def forward(self, masks: Tensor) -> Tensor:
        return self.conv(masks).relu().amax(dim=(2, 3))


def losses(*, rescore_net: nn.Module | None = None, semantic: bool = True) -> Losses:
    return Losses(
        matcher=ssd_match,
        class_loss=ohem_cross_entropy,
        box_loss=smooth_l1,
        mask_loss=lincomb_bce,
        semantic_loss=bce if semantic else no_semantic_loss,
        mask_iou_loss=mask_iou_smooth_l1 if rescore_net is not None else no_mask_iou_loss,
        rescore_net=rescore_net,
    )


def predictions(batch: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Predictions:
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random).to(dtype).requires_grad_()

    return Predictions(
        boxes=normal(batch, len(ANCHORS), 4),
        class_logits=normal(batch, len(ANCHORS), CLASSES + 1),
        coefficients=normal(batch, len(ANCHORS), K),
        prototypes=normal(batch, CELLS, CELLS, K),
        anchors=ANCHORS,
        semantic=normal(batch, CLASSES, CELLS // 2, CELLS // 2),
    )


def target(boxes_px: list[list[int]], labels: list[int], crowds: int = 0) -> Target:
    """Filled boxes; label -1 is a crowd."""
    masks = torch.zeros(len(labels), SIZE, SIZE, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes_px, strict=True):
        mask[y1:y2, x1:x2] = 1
    return Target(
        boxes=torch.tensor(boxes_px, dtype=torch.float32).reshape(-1, 4) / SIZE,
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=masks,
        is_crowd=torch.arange(len(labels)) >= len(labels) - crowds,
    )


OBJECTS = target([[4, 4, 30, 34], [20, 10, 44, 30], [40, 40, 62, 60]], [0, 2, -1], crowds=1)
ONE_OBJECT = target([[10, 12, 34, 36]], [1])
NOTHING = target([], [])


def plain(raw: Predictions, targets: list[Target], net: nn.Module) -> dict[str, float]:
    """The five terms, an image and an anchor at a time."""
    matches = matches_of(losses(), raw.anchors, targets)
    num = sum(int((labels > 0).sum()) for labels, _ in matches)
    box = entropy = mask = semantic = iou = 0.0
    for i, (labels, truth) in enumerate(matches):
        positives = [a for a in range(len(labels)) if labels[a] > 0]
        background = [a for a in range(len(labels)) if labels[a] == 0]
        cost = [
            float(F.cross_entropy(row, label.clamp(min=0)))
            for row, label in zip(raw.class_logits[i], labels, strict=True)
        ]
        mined = sorted((cost[a] for a in background), reverse=True)[: 3 * len(positives)]
        entropy += sum(cost[a] for a in positives) + sum(mined)
        for a in positives:
            row = int(truth[a])
            wanted_box = encode(targets[i].boxes[row : row + 1], raw.anchors[a : a + 1])[0]
            box += sum(plain_smooth_l1(gap) for gap in (raw.boxes[i, a] - wanted_box).tolist())
            soft = plain_crop(
                (raw.prototypes[i] @ raw.coefficients[i, a]).sigmoid(), targets[i].boxes[row]
            )
            wanted = plain_resize(targets[i].masks[row], CELLS)
            mask += plain_mask_cost(soft, wanted, targets[i].boxes[row])
            if wanted.sum() > 25:
                true = (wanted & (soft > 0.5)).sum() / (wanted | (soft > 0.5)).sum()
                iou += plain_smooth_l1(
                    float(net(soft[None, None])[0, targets[i].labels[row]] - true)
                )
        semantic += plain_semantic(raw.semantic[i].sigmoid(), targets[i])
    return {
        "box": 1.5 * box / num,
        "class": entropy / num,
        "mask": 6.125 * mask / num,
        "semantic": semantic / len(targets),
        "mask_iou": 25 * iou / num,
    }


def plain_smooth_l1(gap: float) -> float:
    return gap**2 / 2 if abs(gap) < 1 else abs(gap) - 0.5


def plain_resize(mask: Tensor, side: int) -> Tensor:
    small = F.interpolate(mask[None, None].float(), (side, side), mode="bilinear")[0, 0]
    return small > 0.5


def plain_crop(soft: Tensor, box: Tensor) -> Tensor:
    """One cell wider than the box, near bound inclusive, far bound exclusive."""
    x1, y1, x2, y2 = (box * CELLS).tolist()
    cell = torch.arange(CELLS)
    across, down = (cell >= x1 - 1) & (cell < x2 + 1), (cell >= y1 - 1) & (cell < y2 + 1)
    return soft * (down[:, None] & across[None])


def plain_mask_cost(soft: Tensor, wanted: Tensor, box: Tensor) -> float:
    x1, y1, x2, y2 = (box * CELLS).tolist()
    log_p = torch.where(wanted, soft, 1 - soft).log().clamp(min=-100)
    return -float(log_p.sum()) / ((x2 - x1) * (y2 - y1))


def plain_semantic(p: Tensor, target: Target) -> float:
    side = CELLS // 2
    union = torch.zeros(CLASSES, side, side, dtype=torch.bool)
    for mask, label, crowd in zip(target.masks, target.labels, target.is_crowd, strict=True):
        if not crowd:
            union[label] |= plain_resize(mask, side)
    return -float(torch.where(union, p, 1 - p).log().sum()) / side**2


def test_every_term_equals_its_restatement_in_plain_loops() -> None:
    raw, net = predictions(3), TinyRescoreNet()
    targets = [OBJECTS, NOTHING, ONE_OBJECT]
    with torch.no_grad():
        expected = plain(raw, targets, net)
        found = losses(rescore_net=net)(raw, targets)
    assert {name: term.item() for name, term in found.items()} == pytest.approx(expected, rel=1e-5)


def test_terms_whose_slot_is_none_are_absent() -> None:
    found = losses(semantic=False)(predictions(1), [ONE_OBJECT])
    assert list(found) == ["box", "class", "mask"]


def test_a_batch_without_objects_is_zero_except_for_the_semantic_term() -> None:
    net = TinyRescoreNet()
    found = losses(rescore_net=net)(predictions(2), [NOTHING, NOTHING])
    assert [found[name].item() for name in ("box", "class", "mask", "mask_iou")] == [0.0] * 4
    assert found["semantic"] > 0


def test_a_batch_without_objects_gives_every_output_a_finite_gradient() -> None:
    """A parameter without gradient would stall data parallelism."""
    raw, net = predictions(2), TinyRescoreNet()
    sum(losses(rescore_net=net)(raw, [NOTHING, NOTHING]).values()).backward()
    outputs = [raw.boxes, raw.class_logits, raw.coefficients, raw.prototypes, raw.semantic]
    for tensor in [*outputs, *net.parameters()]:
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()


def test_bf16_outputs_under_autocast_give_float32_losses() -> None:
    """Equal to those of the same numbers in float32."""
    raw, net = predictions(2, dtype=torch.bfloat16), TinyRescoreNet()
    targets = [OBJECTS, ONE_OBJECT]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = losses(rescore_net=net)(raw, targets)
    assert {term.dtype for term in found.values()} == {torch.float32}
    wide = Predictions(
        boxes=raw.boxes.float(),
        class_logits=raw.class_logits.float(),
        coefficients=raw.coefficients.float(),
        prototypes=raw.prototypes.float(),
        anchors=raw.anchors,
        semantic=raw.semantic.float(),
    )
    assert found == losses(rescore_net=net)(wide, targets)


@pytest.mark.parametrize("takes_halves", [True, False])
def test_class_logits_stay_in_halves_for_a_loss_that_takes_them(takes_halves: bool) -> None:
    """Its gradient comes back in halves, too."""
    raw, seen = predictions(1, dtype=torch.bfloat16), []

    def class_loss(scores: Tensor, labels: Tensor, normaliser: Tensor) -> Tensor:
        seen.append(scores.dtype)
        return scores.float().sum() / normaliser

    marked = with_facts(takes_halves=takes_halves)(class_loss)
    replace(losses(), class_loss=marked)(raw, [ONE_OBJECT])["class"].backward()
    assert seen == [torch.bfloat16 if takes_halves else torch.float32]
    assert raw.class_logits.grad is not None
    assert raw.class_logits.grad.dtype == torch.bfloat16


def test_two_ranks_average_to_the_loss_of_their_joint_batch() -> None:
    """Ranks see an image each; one has more positives than the other. The semantic term is a mean
    over images, the others are sums over the joint number of positives."""
    raw, net, targets = predictions(2), TinyRescoreNet(), [OBJECTS, ONE_OBJECT]
    joint = losses(rescore_net=net)
    num = sum((labels > 0).sum() for labels, _ in matches_of(joint, ANCHORS, targets))

    found = []
    for i in range(2):
        rank = losses(rescore_net=net)
        rank.ranks = 2
        rank.sum_over_ranks = lambda _: num
        image = Predictions(
            boxes=raw.boxes[i : i + 1],
            class_logits=raw.class_logits[i : i + 1],
            coefficients=raw.coefficients[i : i + 1],
            prototypes=raw.prototypes[i : i + 1],
            anchors=ANCHORS,
            semantic=raw.semantic[i : i + 1],
        )
        found.append(rank(image, targets[i : i + 1]))
    for name, term in joint(raw, targets).items():
        mean = (found[0][name] + found[1][name]) / 2
        assert mean.item() == pytest.approx(term.item(), rel=1e-5), name
