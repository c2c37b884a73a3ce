"""The candidates of one image: what is left out changes no detection."""

import pytest
import torch

from yolact_bench.catalog import components
from yolact_bench.detect.image_candidates import Candidates


@pytest.mark.parametrize("name", sorted(components("nms")))
def test_an_nms_keeps_the_same_of_the_candidates_above_its_threshold_as_of_all(name: str) -> None:
    """What makes replay possible, for every entry of the table."""
    torch.manual_seed(0)
    corners = torch.rand(400, 2) * 0.7
    everything = Candidates(
        boxes=torch.cat([corners, corners + 0.1 + 0.2 * torch.rand(400, 2)], dim=1),
        probabilities=torch.rand(400, 3) ** 8,
        coefficients=torch.rand(400, 2),
        prototypes=torch.rand(4, 4, 2),
    )
    some = everything.above(0.03)
    nms = components("nms")[name]
    assert 50 < len(some) < 350

    of_all = nms(everything.boxes, everything.probabilities)
    of_some = nms(some.boxes, some.probabilities)

    assert torch.equal(everything.boxes[of_all.anchor], some.boxes[of_some.anchor])
    assert torch.equal(of_all.score, of_some.score)
    assert torch.equal(of_all.label, of_some.label)
