"""The head on one map of all levels: what it gives is what the head gives."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from yolact_bench.model.head import SharedHead
from yolact_bench.model.inference.merged_head import AtlasHead, MergedHead, atlas_of
from yolact_bench.torch_internals import operator_graph

SIDES = {"yolact": [69, 35, 18, 9, 5], "tiny": [18, 9, 5, 3, 2], "odd": [7, 4, 2, 1, 1]}


class Doubled(SharedHead):
    """A head of another package: its forward is its own."""

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        boxes, scores, coefficients = super().forward(levels)
        return 2 * boxes, scores, coefficients


@pytest.mark.parametrize(("device", "form"), [("cpu", MergedHead), ("cuda", AtlasHead)])
def test_a_subclass_keeps_its_own_forward_for_inference(device: str, form: type[nn.Module]) -> None:
    """The merged forms know the forward of `SharedHead` alone, and would drop the doubling."""
    torch.manual_seed(0)
    made = Doubled(6, 3, 3, 5, channels=8).eval()
    levels = [torch.randn(1, 6, side, side) for side in (5, 3)]
    at = torch.device(device)
    for got, wanted in zip(made.for_inference(at)(levels), made(levels), strict=True):
        assert torch.equal(got, wanted)
    plain = SharedHead(6, 3, 3, 5, channels=8)
    assert type(plain.for_inference(at)) is form


def head(anchors: int, activation: str = "tanh") -> SharedHead:
    torch.manual_seed(0)
    made = SharedHead(6, anchors, 3, 5, channels=8, activation=activation)  # type: ignore[arg-type]
    for layer in (part for part in made.modules() if isinstance(part, nn.Conv2d)):
        # So large that a value outside the levels would be seen.
        nn.init.normal_(layer.weight, std=0.3)
        nn.init.normal_(layer.bias)  # type: ignore[arg-type]
    return made.requires_grad_(False)


def levels_of(sides: list[int], batch: int) -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(batch, 6, side, side + (side == 4)) for side in sides]


@pytest.mark.parametrize("anchors", [3, 9])
@pytest.mark.parametrize("name", sorted(SIDES))
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_the_outputs_are_the_heads_own(name: str, anchors: int, batch: int) -> None:
    """Also where a level is not square."""
    one, levels = head(anchors), levels_of(SIDES[name], batch)
    for got, expected in zip(AtlasHead(one)(levels), one(levels), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_coefficients_without_an_activation_and_halves_come_as_of_the_merged_head() -> None:
    one, levels = head(3, "none"), [x.bfloat16() for x in levels_of(SIDES["tiny"], 2)]
    outputs = zip(
        AtlasHead(one).bfloat16()(levels), MergedHead(one).bfloat16()(levels), strict=True
    )
    for got, expected in outputs:
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, expected, rtol=0.02, atol=0.05)


def test_outputs_of_the_convolution_are_a_multiple_of_eight() -> None:
    """Of an anchor 4 + 81 + 32 = 117 of 120: 3 × 120 are 360, and 9 × 120 are 1080."""
    for anchors, channels in ((3, 360), (9, 1080)):
        made = AtlasHead(SharedHead(8, anchors, 80, 32, channels=8))
        assert made.merged.weight.shape[0] == made.merged.out_channels == channels


def test_the_published_levels_lie_on_a_map_of_69_by_105() -> None:
    """P4 right of P3, P5 and P6 below it, and P7, for which no row is left, right of them."""
    places, size = atlas_of([(side, side) for side in SIDES["yolact"]])
    assert size == (69, 69 + 1 + 35)
    assert [(rows.start, columns.start) for rows, columns in places[:4]] == [
        *((0, 0), (0, 70), (36, 70), (55, 70))
    ]


@pytest.mark.parametrize("name", sorted(SIDES))
def test_levels_are_a_cell_apart_and_keep_their_sizes(name: str) -> None:
    sizes = [(side, side) for side in SIDES[name]]
    places, (height, width) = atlas_of(sizes)
    taken = torch.zeros(height + 1, width + 1)
    for (rows, columns), (h, w) in zip(places, sizes, strict=True):
        assert (rows.stop - rows.start, columns.stop - columns.start) == (h, w)
        assert rows.stop <= height
        assert columns.stop <= width
        taken[rows.start : rows.stop + 1, columns.start : columns.stop + 1] += 1
    assert int(taken.max()) == 1


def test_a_recorded_head_needs_nothing_of_the_host() -> None:
    """As a compiler and a CUDA graph take it: no constant is copied to the device."""
    one, levels = head(3), levels_of(SIDES["tiny"], 2)
    atlas = AtlasHead(one)
    graph = operator_graph(lambda *maps: atlas(maps), levels)
    assert "lift_fresh" not in str(graph.graph)  # a constant from the host
    again = levels_of(SIDES["tiny"], 2)
    for got, expected in zip(graph(*again), one(again), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_a_gpu_gets_the_atlas_and_a_cpu_the_levels() -> None:
    assert type(head(3).for_inference(torch.device("cpu"))) is MergedHead
    assert type(head(3).for_inference(torch.device("cuda"))) is AtlasHead
