"""Matching and hard negatives on the 57 744 anchors of YOLACT++, against the reference's way."""

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from tests.benchmarks.alternating import compare
from tests.benchmarks.plain_losses import plain_match, plain_ohem
from yolact_bench.geometry.anchors import anchor_grid, three_scales
from yolact_bench.loss.classify import ohem_cross_entropy
from yolact_bench.loss.match import ssd_match
from yolact_bench.shapes import Target

IMAGES, CLASSES = 4, 80
ANCHORS = anchor_grid(three_scales(), 550)


def target(count: int, seed: int) -> Target:
    """Boxes of 2 to 22 % of the side, anywhere."""
    random = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=random) * 0.78
    size = torch.rand(count, 2, generator=random) * 0.2 + 0.02
    return Target(
        boxes=torch.cat([corner, corner + size], dim=1),
        labels=torch.randint(CLASSES, (count,), generator=random),
        masks=torch.zeros(count, 1, 1, dtype=torch.uint8),
        is_crowd=torch.zeros(count, dtype=torch.bool),
    )


# COCO's images have 7 objects on average, and 20 or more in one of twelve.
@pytest.mark.parametrize("objects", [7, 20])
def test_matching_and_hard_negatives_of_four_images(
    benchmark: BenchmarkFixture, objects: int
) -> None:
    assert len(ANCHORS) == 57_744
    targets = [target(objects, seed) for seed in range(IMAGES)]
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(IMAGES, len(ANCHORS), CLASSES + 1, generator=random)
    one = torch.ones(())

    def plain() -> tuple[torch.Tensor, torch.Tensor]:
        found = [plain_match(ANCHORS, each.boxes, each.labels)[0] for each in targets]
        labels = torch.stack(found)
        return labels, plain_ohem(scores, labels, one)

    def fast() -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.stack([ssd_match(ANCHORS, each).labels for each in targets])
        return labels, ohem_cross_entropy(scores, labels, one)

    (wanted, wanted_loss), (labels, loss) = plain(), fast()
    assert torch.equal(labels, wanted)
    torch.testing.assert_close(loss, wanted_loss, rtol=1e-5, atol=0.0)
    compare(
        benchmark,
        f"matching + OHEM, 57 744 anchors, {objects} objects",
        {"plain": plain, "fast": fast},
        reference="plain",
        target=5.0,
        moonshot=10.0,
        threads=1,
    )
