"""The re-scoring head of Mask Scoring R-CNN: its size, where it looks, how it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from yolact_bench.build import load_detector
from yolact_bench.detect.image_candidates import Candidates, candidates_of
from yolact_bench.detect.pipeline import SoftDetections
from yolact_bench.detect.rescore import RESCORERS
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import level_sizes
from yolact_bench.loss.mask_iou import smooth_l1
from yolact_bench.loss.protocols import SoftMasks
from yolact_bench.model.mask_scoring import MaskScoringNet, fpn_level
from yolact_bench.resolve import can_replay
from yolact_bench.spec.presets import preset

SMALL = {"name": "mask_scoring", "roi_size": 4, "channels": 6, "hidden": 10}
CHOICE: dict[str, object] = {
    "rescore_net": SMALL,
    "rescore": {"name": "mask_iou"},
    "mask_iou_loss": {"name": "smooth_l1"},
}


def net(**options: int) -> MaskScoringNet:
    """For 3 classes, an FPN of 2 channels and 512 px: P3 has 64 cells a side, of 8 px."""
    torch.manual_seed(0)
    return MaskScoringNet(3, 128, 2, 512, **{"roi_size": 4, "channels": 5, "hidden": 7} | options)


def levels(value: float = 0.0) -> tuple[Tensor, ...]:
    return tuple(torch.full((1, 2, side, side), value) for side in level_sizes(512))


def centred(side_px: float) -> list[float]:
    """A square box in the middle of the 512 px image."""
    half = side_px / 512 / 2
    return [0.5 - half, 0.5 - half, 0.5 + half, 0.5 + half]


def seen(
    head: MaskScoringNet, boxes: Tensor, features: tuple[Tensor, ...], masks: Tensor
) -> Tensor:
    """What the first convolution gets: [N, 2 feature channels and the mask, r, r]."""
    inputs: list[Tensor] = []
    handle = head.convs[0].register_forward_hook(lambda _, given, __: inputs.append(given[0]))
    head(masks, boxes, features)
    handle.remove()
    return inputs[0]


def test_the_head_has_the_published_number_of_parameters() -> None:
    """257·256·9 + 256 = 592 384, then 3 · (256·256·9 + 256) = 1 770 240 in the convolutions;

    14 / 2 = 7, so 256·49·1024 + 1024 = 12 846 080, 1024·1024 + 1024 = 1 049 600 and
    1024·80 + 80 = 82 000 in the layers after them.
    """
    with torch.device("meta"):
        head = MaskScoringNet(80, 138, 256, 550)
    convolutions, hidden = 592_384 + 1_770_240, 12_846_080 + 1_049_600
    assert sum(p.numel() for p in head.parameters()) == convolutions + hidden + 82_000


@pytest.mark.parametrize(
    ("width", "height", "level"),
    [
        (224, 224, 4),  # 4 + log₂ 1
        (223, 223, 3),
        (448, 448, 5),  # 4 + log₂ 2
        (447, 447, 4),
        (448, 112, 4),  # √(448 · 112) = 224
        (112, 112, 3),  # 4 + log₂ ½
        (20, 20, 3),  # 4 + log₂ 0.089 = 0.5: there is nothing below P3
        (0, 50, 3),
        (2000, 2000, 5),  # 7.2, but R-CNN's heads stop at P5
    ],
)
def test_a_box_belongs_to_the_level_of_equation_1(width: int, height: int, level: int) -> None:
    box = torch.tensor([[10.0, 20.0, 10.0 + width, 20.0 + height]])
    assert fpn_level(box).tolist() == [level]
    assert fpn_level(box / 550 * 550).tolist() == [level]


def test_features_come_from_the_level_of_each_box() -> None:
    """Every level holds its own number; boxes of 100, 300 and 500 px belong to P3, P4 and P5."""
    features = tuple(level + 3 + i for i, level in enumerate(levels()))
    boxes = torch.tensor([centred(300), centred(500), centred(100)])
    pooled = seen(net(), boxes, features, torch.zeros(3, 1, 128, 128))[:, :2]
    assert torch.equal(
        pooled, torch.tensor([4.0, 5.0, 3.0])[:, None, None, None].expand(3, 2, 4, 4)
    )


def test_features_are_those_below_the_box() -> None:
    """Cell i of P3 holds its centre, i + ½. Box from 1/4 to 1/2 of 64 cells: 16 to 32 in 4 bins

    whose centres are 18, 22, 26 and 30.
    """
    features = levels()
    features[0][:, 0] = torch.arange(64.0) + 0.5
    features[0][:, 1] = (torch.arange(64.0) + 0.5)[:, None]
    box = torch.tensor([[0.25, 0.5, 0.5, 0.75]])
    pooled = seen(net(), box, features, torch.zeros(1, 1, 128, 128))[0]
    assert pooled[0, 0].tolist() == pytest.approx([18, 22, 26, 30])
    assert pooled[1, :, 0].tolist() == pytest.approx([34, 38, 42, 46])  # 32 to 48


def test_the_mask_is_cut_out_by_its_own_box_and_max_pooled() -> None:
    """Box of cells 32 to 64: 8 bins of 4 cells, then pairs of them. Bin 2 samples at 41 and 43,

    between set rows; its neighbours at 37, 39, 45 and 47, between unset ones. A mean would be ½.
    """
    masks = torch.zeros(2, 1, 128, 128)
    masks[1, :, 40:44] = 1.0
    boxes = torch.tensor([[0.25, 0.25, 0.5, 0.5]] * 2)
    pooled = seen(net(), boxes, levels(), masks)[:, 2]
    assert bool((pooled[0] == 0).all())
    assert pooled[1].tolist() == [[0.0] * 4, [1.0] * 4, [0.0] * 4, [0.0] * 4]


def test_a_box_is_clipped_to_the_image() -> None:
    features = tuple(torch.rand_like(level) for level in levels())
    boxes = torch.tensor([[-0.2, 0.5, 0.1, 1.3], [0.0, 0.5, 0.1, 1.0]])
    first, second = net()(torch.ones(2, 1, 128, 128), boxes, features)
    assert torch.equal(first, second)


def test_an_iou_below_zero_is_cut_in_detection_alone() -> None:
    head = net()
    nn.init.constant_(head.iou.bias, -9.0)
    given = torch.rand(1, 1, 128, 128), torch.tensor([centred(100)]), levels(1.0)
    assert bool((head(*given) < 0).all())
    assert bool((head.eval()(*given) == 0).all())


def test_gradients_reach_masks_features_and_every_weight() -> None:
    head, features = net(), tuple(level.requires_grad_() for level in levels(1.0))
    masks = torch.rand(3, 1, 128, 128, requires_grad=True)
    boxes = torch.tensor([centred(100), centred(300), centred(500)])
    head(masks, boxes, features).square().sum().backward()
    for tensor in (masks, *features[:3], *head.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0
    assert all(level.grad is None for level in features[3:])


class FeatureMean(nn.Module):
    """Says of every class the mean of the image's P3, and remembers the boxes."""

    needs_features = True

    def __init__(self) -> None:
        super().__init__()
        self.boxes: list[Tensor] = []

    def forward(self, masks: Tensor, boxes: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        self.boxes.append(boxes)
        return features[0].mean().expand(len(masks), 2)


def soft(sides: list[int], value: float) -> SoftMasks:
    """Predicted squares, beside 7 × 7 ones wanted; the object boxes count up."""
    predicted = torch.zeros(len(sides), 10, 10)
    for mask, side in zip(predicted, sides, strict=True):
        mask[:side, :side] = 1.0
    wanted = torch.zeros(len(sides), 10, 10)
    wanted[:, :7, :7] = 1.0
    return SoftMasks(
        predicted=predicted,
        wanted=wanted,
        labels=torch.zeros(len(sides), dtype=torch.int64),
        boxes=torch.arange(4.0 * len(sides)).reshape(-1, 4),
        features=(torch.full((1, 2, 3, 3), value),),
    )


def test_each_image_is_scored_from_its_own_features_at_the_objects_boxes() -> None:
    """True IoUs 36/49 and 16/49 in the first image, which says 0.5, and 1 in the last, says 0.2."""
    head = FeatureMean()
    images = [soft([6, 4], 0.5), soft([], 0.9), soft([7], 0.2)]
    loss = smooth_l1(images, head, torch.tensor(2.0))
    gaps = [36 / 49 - 0.5, 16 / 49 - 0.5, 1 - 0.2]
    assert loss.item() == pytest.approx(25 / 2 * sum(gap**2 / 2 for gap in gaps), rel=1e-5)
    assert [len(boxes) for boxes in head.boxes] == [2, 0, 1]
    assert torch.equal(head.boxes[0], torch.arange(8.0).reshape(2, 4))


def test_a_mask_that_is_left_out_takes_its_box_with_it() -> None:
    head, image = FeatureMean(), soft([6, 4], 0.5)
    image.wanted[0, 5:] = 0.0
    image.wanted[0, :, 5:] = 0.0  # 25 cells
    smooth_l1([image], head, torch.tensor(1.0))
    assert head.boxes[0].tolist() == [[4.0, 5.0, 6.0, 7.0]]


def test_a_mask_loss_that_keeps_the_features_to_itself_is_named() -> None:
    with pytest.raises(SpecError, match="write a mask_loss that hands them on"):
        smooth_l1([replace(soft([6], 0.5), features=None)], FeatureMean(), torch.tensor(1.0))


def test_the_whole_detector_re_scores_and_changes_nothing_else() -> None:
    """The head is made to say ½ for every class: mask scores are half of the scores."""
    detector = load_detector("yolact_tiny", image_size=96, **CHOICE)  # type: ignore[arg-type]
    head = detector.head.rescore_net
    assert isinstance(head, MaskScoringNet)
    nn.init.zeros_(head.iou.weight)
    nn.init.constant_(head.iou.bias, 0.5)
    image = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)
    (found,) = detector([image])
    assert len(found) > 0
    assert torch.equal(found.mask_scores, found.scores / 2)

    detector.head = replace(detector.head, rescorer=RESCORERS["none"])
    (plain,) = detector([image])
    assert torch.equal(plain.scores, found.scores)
    assert torch.equal(plain.masks, found.masks)
    assert torch.equal(plain.mask_scores, plain.scores)


def test_only_a_network_that_looks_at_features_keeps_them() -> None:
    x = torch.randn(2, 3, 96, 96)
    fast = {"rescore_net": {"name": "mask_iou", "channels": [4]}}
    for slots, sides in ((CHOICE, level_sizes(96)), (fast, None), ({}, None)):
        raw = load_detector("yolact_tiny", image_size=96, **slots).predict(x)  # type: ignore[arg-type]
        kept = None if raw.features is None else [level.shape[-1] for level in raw.features]
        assert kept == sides


def test_features_are_float32_and_of_one_image_where_detection_begins() -> None:
    """The runtime's bfloat16 ends before the candidates, as for everything else."""
    runtime = {"name": "eager", "precision": "bf16"}
    detector = load_detector("yolact_tiny", image_size=96, runtime=runtime, **CHOICE)  # type: ignore[arg-type]
    raw = detector.predict(torch.randn(2, 3, 96, 96))
    features = candidates_of(raw, 1).features
    assert features is not None
    assert raw.features is not None
    assert raw.features[0].dtype == torch.bfloat16
    assert features[0].dtype == torch.float32
    assert torch.equal(features[0][0], raw.features[0][1].float())


def test_what_is_stored_without_features_can_be_replayed_unless_they_are_looked_at() -> None:
    detector = load_detector("yolact_tiny", image_size=96, **CHOICE)  # type: ignore[arg-type]
    whole = candidates_of(detector.predict(torch.randn(1, 3, 96, 96)), 0)
    stored = replace(whole, features=None)

    def detect(candidates: Candidates, rescorer: str) -> SoftDetections:
        head = replace(detector.head, rescorer=RESCORERS[rescorer])
        return head.detect(candidates, height=50, width=60)

    for rescorer, given in (("none", stored), ("none", whole), ("mask_iou", whole)):
        assert len(detect(given, rescorer)) > 0
    with pytest.raises(AssertionError, match="feature maps"):
        detect(stored, "mask_iou")


def test_a_run_says_whether_its_detections_can_be_replayed() -> None:
    slow = preset("yolact_plus_r50").changed({"rescore_net": {"name": "mask_scoring"}})
    assert can_replay(preset("yolact_r50"))
    assert can_replay(preset("yolact_plus_r50"))
    assert not can_replay(slow)
    assert can_replay(slow.changed({"rescore": {"name": "none"}}))
