"""SSD matching: recorded cases of the reference, a plain-loop restatement, and the edges."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.paths import GOLDEN
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import anchor_grid, one_scale, three_scales
from yolact_bench.geometry.boxes import encode
from yolact_bench.geometry.protocols import AnchorShapes
from yolact_bench.loss.claims import claims, rank_anchors
from yolact_bench.loss.match import ssd_match
from yolact_bench.shapes import Target

# Recorded from dbolya/yolact@902073d on a CPU: inputs and what its `match` gives.
CASES = GOLDEN / "match_cases.npz"
GRID = torch.tensor([[0.125 + 0.25 * i, 0.5, 0.25, 1.0] for i in range(4)])  # four columns


def objects(boxes: list[list[float]], labels: list[int] | None = None, crowds: int = 0) -> Target:
    """A target of those boxes; the last `crowds` of them are crowds. Masks play no part."""
    count = len(boxes)
    return Target(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels if labels is not None else [0] * count, dtype=torch.int64),
        masks=torch.zeros(count, 2, 2, dtype=torch.uint8),
        is_crowd=torch.arange(count) >= count - crowds,
    )


@pytest.mark.parametrize(
    ("case", "shapes"), [("v1", one_scale()), ("plus", three_scales())], ids=["v1", "plus"]
)
def test_matches_are_those_of_the_reference(case: str, shapes: AnchorShapes) -> None:
    golden = np.load(CASES)
    boxes = [*golden["boxes"].tolist(), *golden["crowd_boxes"].tolist()]
    target = objects(boxes, [*golden["classes"].tolist(), -1], crowds=1)
    anchors = anchor_grid(shapes, 550)

    match = ssd_match(anchors, target)

    positives = (match.labels > 0).nonzero().flatten()
    truth = match.truth[positives]
    assert match.labels.tolist() == golden[f"{case}/conf_t"].tolist()
    assert positives.tolist() == golden[f"{case}/pos"].tolist()
    assert truth.tolist() == golden[f"{case}/pos_gt"].tolist()
    torch.testing.assert_close(
        encode(target.boxes[truth], anchors[positives]),
        torch.from_numpy(golden[f"{case}/pos_loc_t"]),
        rtol=1e-5,
        atol=1e-5,
    )


def plain_claims(iou: Tensor) -> dict[int, int]:
    """Anchor → object, by searching the whole table again and again."""
    table, found = iou.clone(), {}
    for _ in range(min(table.shape)):
        row, anchor = divmod(int(table.argmax()), table.shape[1])
        found[anchor] = row
        table[row], table[:, anchor] = -1, -1
    return found


@pytest.mark.parametrize("seed", range(20))
def test_claims_are_those_of_a_search_over_the_whole_table(seed: int) -> None:
    """Overlaps are rounded to quarters, so ties between anchors and objects abound."""
    random = torch.Generator().manual_seed(seed)
    num_objects, num_anchors = 1 + seed % 7, 5 + 3 * (seed % 4)
    iou = (torch.rand(num_objects, num_anchors, generator=random) * 4).round() / 4

    anchor, row = claims(rank_anchors(iou, min(iou.shape)))

    assert dict(zip(anchor.tolist(), row.tolist(), strict=True)) == plain_claims(iou)


def test_more_objects_than_anchors_leave_the_weakest_without_one() -> None:
    """Two anchors, three objects: 0.9 takes anchor 0, then 0.5 takes anchor 1."""
    iou = torch.tensor([[0.3, 0.2], [0.9, 0.8], [0.6, 0.5]])
    anchor, row = claims(rank_anchors(iou, 2))
    assert (anchor.tolist(), row.tolist()) == ([0, 1], [1, 2])


def test_the_higher_overlap_claims_a_contested_anchor_and_the_other_takes_its_second_best() -> None:
    """Both overlap column 1 most: the first by 0.2 of a union of 0.35, the second wholly.

    So the first falls back on column 2, where its IoU is only 0.1 / 0.45 = 0.22.
    """
    match = ssd_match(GRID, objects([[0.3, 0.0, 0.6, 1.0], [0.25, 0.0, 0.5, 1.0]], [4, 7]))
    assert match.labels.tolist() == [0, 8, 5, 0]
    assert match.truth[1:3].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("width", "label"), [(0.125, 1), (0.1, -1), (0.0625, -1), (0.05, 0)], ids=str
)
def test_an_unclaimed_anchor_is_judged_by_its_overlap(width: float, label: int) -> None:
    """A box over all of column 1 and the last `width` of column 0 has with column 0 an IoU of
    width / (0.25 + 0.25): 0.25 is positive (not below), 0.2 and 0.125 are ignored (between; not
    below), 0.1 is background. Column 1 is the one that the box claims."""
    target = objects([[0.25 - width, 0.0, 0.5, 1.0]])
    match = ssd_match(GRID, target, positive_iou=0.25, negative_iou=0.125)
    assert match.labels.tolist() == [label, 1, 0, 0]


def test_an_anchor_inside_a_crowd_is_ignored_unless_it_is_positive() -> None:
    """The crowd covers columns 0 and 1 wholly, 0.8 of column 2 and none of column 3."""
    target = objects([[0.0, 0.0, 0.25, 1.0], [0.0, 0.0, 0.7, 1.0]], [2, -1], crowds=1)
    assert ssd_match(GRID, target).labels.tolist() == [3, -1, -1, 0]
    assert ssd_match(GRID, target, crowd_iou=0.85).labels.tolist() == [3, -1, 0, 0]


def test_a_crowd_may_stand_anywhere_among_the_objects() -> None:
    target = Target(
        boxes=torch.tensor([[0.5, 0.0, 1.0, 1.0], [0.0, 0.0, 0.25, 1.0]]),
        labels=torch.tensor([-1, 2]),
        masks=torch.zeros(2, 2, 2, dtype=torch.uint8),
        is_crowd=torch.tensor([True, False]),
    )
    match = ssd_match(GRID, target)
    assert match.labels.tolist() == [3, 0, -1, -1]
    assert match.truth[0] == 1  # a row of the target, crowds counted


def test_an_image_without_objects_is_all_background() -> None:
    assert ssd_match(GRID, objects([])).labels.tolist() == [0, 0, 0, 0]


def test_an_image_with_nothing_but_a_crowd_has_background_and_ignored_anchors() -> None:
    target = objects([[0.0, 0.0, 0.5, 1.0]], [-1], crowds=1)
    assert ssd_match(GRID, target).labels.tolist() == [-1, -1, 0, 0]


def test_every_object_ends_with_an_anchor_of_its_own() -> None:
    random = torch.Generator().manual_seed(3)
    corner = torch.rand(12, 2, generator=random) * 0.8
    boxes = torch.cat([corner, corner + 0.01 + torch.rand(12, 2, generator=random) * 0.19], 1)
    match = ssd_match(anchor_grid(one_scale(), 160), objects(boxes.tolist()))
    assert set(match.truth[match.labels > 0].tolist()) == set(range(12))


def test_a_background_limit_above_the_positive_one_is_refused() -> None:
    with pytest.raises(SpecError, match="at most positive_iou"):
        ssd_match(GRID, objects([]), negative_iou=0.6)
