"""From raw predictions to detections, and the detector around it, with a small made-up network."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolact_bench.clock import STAGES, Clock, no_clock
from yolact_bench.detect.nms import NMS
from yolact_bench.detect.pipeline import DetectionHead, SoftDetections, regions, to_detections
from yolact_bench.detect.protocols import RescoreNet
from yolact_bench.detect.rescore import RESCORERS
from yolact_bench.detector import Detector
from yolact_bench.errors import SpecError
from yolact_bench.geometry.image_masks import upsample
from yolact_bench.geometry.masks import ASSEMBLIES
from yolact_bench.runtime.eager import eager
from yolact_bench.runtime.runtime import Program
from yolact_bench.shapes import Predictions

# Two anchors: a tall one left, a wide one right, both inside the image.
ANCHORS = torch.tensor([[0.25, 0.5, 0.2, 0.6], [0.7, 0.5, 0.4, 0.2]])


def predictions(logits: Sequence[Sequence[float]]) -> Predictions:
    """Boxes at the anchors; the first prototype is on everywhere; coefficient 4, so σ(4) = 0.98."""
    prototypes = torch.zeros(1, 20, 20, 2)
    prototypes[..., 0] = 1
    return Predictions(
        boxes=torch.zeros(1, 2, 4),
        class_logits=torch.tensor([logits]),
        coefficients=torch.tensor([[[4.0, 0.0], [4.0, 0.0]]]),
        prototypes=prototypes,
        anchors=ANCHORS,
        semantic=None,
    )


def found_in(
    logits: Sequence[Sequence[float]], rescorer: str = "none", net: RescoreNet | None = None
) -> SoftDetections:
    return head(rescorer, net).find(predictions(logits), 0, height=100, width=200)


def head(rescorer: str = "none", net: RescoreNet | None = None) -> DetectionHead:
    return DetectionHead(
        nms=NMS["sequential"],
        assembly=ASSEMBLIES["linear_combination"](),
        rescorer=RESCORERS[rescorer],
        rescore_net=net,
    )


BOTH = [[0.0, 3.0, -3.0], [0.0, -3.0, 4.0]]  # anchor 0 is class 0, anchor 1 class 1 and surer
NONE = [[9.0, 0.0, 0.0], [9.0, 0.0, 0.0]]


def test_boxes_come_out_in_whole_pixels_and_in_order_of_score() -> None:
    """Anchor 1: x 0.5 to 0.9 of 200, y 0.4 to 0.6 of 100. Score: e⁴ / (e⁴ + 1 + e⁻³)."""
    found = found_in(BOTH)
    assert found.labels.tolist() == [1, 0]
    assert found.boxes_px.tolist()[0] == pytest.approx([100, 40, 180, 60], abs=1)
    assert torch.equal(found.boxes_px, found.boxes_px.round())
    assert found.scores[0].item() == pytest.approx(np.e**4 / (np.e**4 + 1 + np.e**-3))


def test_a_mask_is_cut_to_its_box_one_cell_wider() -> None:
    """Cells of 10 × 5 px: columns 100 to 180 become 90 to 190 and rows 40 to 60 become 35 to 65,

    give or take the rounding of the box to the cell grid and half a cell of interpolation.
    """
    mask = to_detections(found_in(BOTH)).masks[0]
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    assert [int(rows.min()), int(rows.max()) + 1] == pytest.approx([35, 65], abs=5)
    assert [int(columns.min()), int(columns.max()) + 1] == pytest.approx([90, 190], abs=10)
    assert mask[50, 140]


def test_regions_are_the_same_masks() -> None:
    found = found_in(BOTH)
    masks = to_detections(found).masks
    for mask, region in zip(masks, regions(found), strict=True):
        assert int(region.mask.sum()) == int(mask.sum()) > 0


def test_nothing_kept_gives_empty_detections_of_the_right_shapes() -> None:
    found = found_in(NONE, "mask_iou", nn.Identity())
    detections = to_detections(found)
    assert len(found) == len(detections) == 0
    assert detections.masks.shape == (0, 100, 200)
    assert detections.boxes_px.shape == (0, 4)
    assert found.soft_masks.shape == (0, 20, 20)


def test_re_scoring_changes_mask_scores_and_neither_scores_nor_order() -> None:
    """Predicted IoU 0.5 for class 0 and 0.1 for class 1: the order of mask scores turns round."""
    found = found_in(BOTH, "mask_iou", lambda masks: torch.tensor([[0.5, 0.1]] * len(masks)))
    assert found.labels.tolist() == [1, 0]
    ratio = found.mask_scores / found.scores
    assert ratio.tolist() == pytest.approx([0.1, 0.5])


class FakeNetwork(Program):
    """Finds one bright blob: its class logit is the mean of the normalised image."""

    mean = (100.0, 110.0, 120.0)
    std = (50.0, 40.0, 20.0)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Linear(2, 2, bias=False)
        nn.init.ones_(self.weight.weight)

    def forward(self, x: Tensor, clock: Clock = no_clock) -> Predictions:
        with clock("backbone"):
            brightness = x.mean((1, 2, 3))
        with clock("head"):
            logits = torch.zeros(len(x), 2, 3, device=x.device)
            logits[:, 0, 1] = brightness
            logits[:, :, 0] = 4
            coefficients = self.weight(torch.ones(len(x), 2, 2, device=x.device))
        return Predictions(
            boxes=torch.zeros(len(x), 2, 4, device=x.device),
            class_logits=logits,
            coefficients=coefficients,
            prototypes=torch.ones(len(x), 10, 10, 2, device=x.device),
            anchors=ANCHORS.to(x.device),
            semantic=None,
        )


def detector(**changes: object) -> Detector:
    options: dict[str, object] = {
        "head": head(),
        "image_size": 32,
        "classes": ["disc", "star"],
    }
    return Detector(FakeNetwork(), **{**options, **changes})  # type: ignore[arg-type]


def test_each_image_gets_its_own_detections_at_its_own_size() -> None:
    bright = np.full((40, 60, 3), 255, dtype=np.uint8)
    dark = np.zeros((50, 30, 3), dtype=np.uint8)
    first, second = detector()([bright, dark])
    assert (len(first), len(second)) == (1, 0)
    assert first.masks.shape == (1, 40, 60)
    assert second.masks.shape == (0, 50, 30)
    assert first.labels.tolist() == [0]


def test_no_images_give_no_detections() -> None:
    assert detector()([]) == []


def test_images_are_resized_as_floats_and_then_normalised() -> None:
    """Columns 0 and 255, two to four: half-pixel centres put 0.25 · 255 = 63.75 second."""
    image = np.zeros((4, 2, 3), dtype=np.uint8)
    image[:, 1] = 255
    batch = detector(image_size=4).preprocess([image])
    red = batch[0, 0, 0] * 50 + 100
    assert red.tolist() == pytest.approx([0, 63.75, 191.25, 255], abs=1e-3)
    blue = batch[0, 2, 0] * 20 + 120
    assert blue.tolist() == pytest.approx([0, 63.75, 191.25, 255], abs=1e-3)


def test_shrinking_does_not_average_away_pixels() -> None:
    """Without antialiasing, eight to two samples at 1.5 and 5.5: the mean of two pixels each."""
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[:, 2], image[:, 5] = 100, 200
    batch = detector(image_size=2).preprocess([image])
    assert (batch[0, 0, 0] * 50 + 100).tolist() == pytest.approx([50, 100], abs=1e-3)


@pytest.mark.parametrize(
    "image", [np.zeros((5, 5, 3)), np.zeros((5, 5), np.uint8), np.zeros((0, 5, 3), np.uint8)]
)
def test_what_is_no_rgb_image_is_named_with_its_place(image: np.ndarray) -> None:
    good = np.zeros((5, 5, 3), np.uint8)
    with pytest.raises(SpecError, match="image 1"):
        detector()([good, image])


def test_tensors_and_reversed_views_are_images_too() -> None:
    array = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    one = detector()
    expected = one.preprocess([array])
    assert torch.equal(one.preprocess([torch.from_numpy(array)]), expected)
    assert torch.equal(one.preprocess([array[..., ::-1].copy()[..., ::-1]]), expected)
    array.setflags(write=False)
    assert torch.equal(one.preprocess([array]), expected)


def test_half_precision_on_a_cpu_is_bf16_or_refused() -> None:
    bright = [np.full((40, 60, 3), 255, dtype=np.uint8)]
    with pytest.raises(SpecError, match="fp16"):
        detector(runtime=eager(precision="fp16"))
    half = detector(runtime=eager(precision="bf16"))
    raw = half.predict(half.preprocess(bright))
    assert raw.coefficients.dtype == torch.float32
    assert len(half(bright)[0]) == 1


def test_the_stages_a_clock_sees_are_the_named_ones_in_order() -> None:
    seen: list[str] = []

    @contextmanager
    def clock(stage: str) -> Iterator[None]:
        seen.append(stage)
        yield

    detector()([np.full((40, 60, 3), 255, dtype=np.uint8)], clock)
    assert seen == [stage for stage in STAGES if stage not in {"fpn", "protonet"}]


def test_found_keeps_masks_at_prototype_size() -> None:
    bright = np.full((40, 60, 3), 255, dtype=np.uint8)
    one = detector()
    found = one.find([bright])[0].cpu()
    assert found.soft_masks.shape == (1, 10, 10)
    assert torch.equal(upsample(found.soft_masks, 40, 60), one([bright])[0].masks)
    whole = F.interpolate(found.soft_masks[None], (40, 60), mode="bilinear")[0] > 0.5
    assert torch.equal(one([bright])[0].masks, whole)
