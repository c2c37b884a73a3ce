"""What every entry of every table must do: state its source, and default every option."""

import inspect

import pytest
import torch

from yolact_bench.catalog import OWN, components
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import ANCHORS, anchor_grid, level_sizes
from yolact_bench.model.backbone.dcn import DCN_PLACEMENTS
from yolact_bench.model.batch_norm import BATCH_NORMS
from yolact_bench.schedule import SCHEDULES
from yolact_bench.shapes import needs_features
from yolact_bench.slots import options_of, resolve

EVERY_COMPONENT = [(slot, name) for slot, table in OWN.items() for name in table]
# Options without a default, because no paper has a value for them.
REQUIRED = {("anchors", "free"): {"sizes"}, ("init", "checkpoint"): {"file"}}
FREE = {"sizes": [[[8.0 * 2**level, 8.0 * 2**level]] for level in range(5)]}


@pytest.mark.parametrize(("slot", "name"), EVERY_COMPONENT)
def test_every_option_has_a_default(slot: str, name: str) -> None:
    options = options_of(components(slot)[name])
    without = {o for o, p in options.items() if p.default is inspect.Parameter.empty}
    assert without == REQUIRED.get((slot, name), set())


@pytest.mark.parametrize(("slot", "name"), EVERY_COMPONENT)
def test_a_resolved_choice_resolves_to_itself(slot: str, name: str) -> None:
    required = {"sizes": FREE["sizes"], "file": "x.pth"}
    choice = {"name": name} | {o: required[o] for o in REQUIRED.get((slot, name), set())}
    resolved = resolve(slot, components(slot), choice)
    assert resolve(slot, components(slot), resolved) == resolved


@pytest.mark.parametrize("slot", sorted(OWN))
def test_a_misspelt_name_gets_the_right_one(slot: str) -> None:
    name = sorted(OWN[slot])[0]
    with pytest.raises(SpecError, match=name):
        resolve(slot, components(slot), {"name": name + "x"})


@pytest.mark.parametrize("name", sorted(ANCHORS))
def test_anchors_are_one_shape_list_per_level_repeated_on_every_cell(name: str) -> None:
    shapes = ANCHORS[name](**(FREE if name == "free" else {}))
    assert len(shapes) == 5
    grid = anchor_grid(shapes, 160)
    cells = sum(side * side for side in level_sizes(160))
    assert grid.shape == (cells * len(shapes[0]), 4)
    assert bool((grid > 0).all())
    assert bool((grid[:, :2] < 1).all())


@pytest.mark.parametrize("name", sorted(DCN_PLACEMENTS))
def test_placements_name_blocks_that_exist(name: str) -> None:
    blocks = (3, 4, 6, 3)
    for stage, block in DCN_PLACEMENTS[name](blocks):
        assert 0 <= block < blocks[stage]


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_schedule_warms_up_and_ends_lower_than_it_was(name: str) -> None:
    schedule = SCHEDULES[name]()
    rates = [schedule.lr_at(i) for i in (0, 250, 500, schedule.iterations - 1)]
    assert rates[0] < rates[1] < rates[2]
    assert 0 <= rates[3] < rates[2]


@pytest.mark.parametrize("name", sorted(BATCH_NORMS))
def test_a_batch_norm_policy_never_freezes_a_larger_batch_but_trains_a_smaller(name: str) -> None:
    frozen = [BATCH_NORMS[name](batch) for batch in (1, 5, 6, 64)]
    assert all(type(answer) is bool for answer in frozen)
    assert frozen == sorted(frozen, reverse=True)


@pytest.mark.parametrize("name", sorted(OWN["fpn"]))
def test_an_fpn_gives_five_levels_each_half_the_last(name: str) -> None:
    fpn = OWN["fpn"][name]((32, 64, 128), channels=16)
    features = [torch.rand(1, c, s, s) for c, s in ((32, 20), (64, 10), (128, 5))]
    levels = fpn(features)
    assert [tuple(x.shape) for x in levels] == [(1, 16, s, s) for s in (20, 10, 5, 3, 2)]


@pytest.mark.parametrize("name", sorted(OWN["protonet"]))
def test_prototypes_have_twice_the_side_of_p3_and_are_not_negative(name: str) -> None:
    protonet = OWN["protonet"][name](16, k=6, channels=8)
    prototypes = protonet(torch.randn(2, 16, 9, 9))
    assert prototypes.shape == (2, 18, 18, 6)
    assert bool((prototypes >= 0).all())


@pytest.mark.parametrize("name", sorted(OWN["head"]))
def test_a_head_gives_boxes_scores_and_coefficients_for_every_anchor(name: str) -> None:
    head = OWN["head"][name](16, 3, 5, 7, channels=8)
    boxes, scores, coefficients = head([torch.randn(2, 16, s, s) for s in (4, 2)])
    anchors = 3 * (16 + 4)
    assert boxes.shape == (2, anchors, 4)
    assert scores.shape == (2, anchors, 6)
    assert coefficients.shape == (2, anchors, 7)
    assert bool((coefficients.abs() <= 1).all())


@pytest.mark.parametrize("name", sorted(set(OWN["rescore_net"]) - {"none"}))
def test_a_rescore_net_gives_one_value_per_class(name: str) -> None:
    """From masks alone, or from masks, boxes and P3 … P7 where it says so; of no mask too."""
    net = OWN["rescore_net"][name](5, 138, 8, 550)
    features = tuple(torch.rand(1, 8, side, side) for side in level_sizes(550))
    for count in (3, 0):
        where = (torch.tensor([[0.1, 0.2, 0.5, 0.9]]).expand(count, 4), features)
        iou = net(torch.rand(count, 1, 138, 138), *(where if needs_features(net) else ()))
        assert iou.shape == (count, 5)
