"""What every entry of every table must do beside the contract of its slot."""

import inspect

import pytest

from yolact_bench.catalog import OWN, components
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import ANCHORS, anchor_grid, level_sizes
from yolact_bench.slots import options_of, resolve

EVERY_COMPONENT = [(slot, name) for slot, table in OWN.items() for name in table]
# Options without a default, because no paper has a value for them.
REQUIRED = {
    ("anchors", "free"): {"sizes"},
    ("init", "checkpoint"): {"file"},
    ("init", "detector"): {"file"},
}
FREE = {"sizes": [[[8.0 * 2**level, 8.0 * 2**level]] for level in range(5)]}


@pytest.mark.parametrize(("slot", "name"), EVERY_COMPONENT)
def test_every_option_has_a_default(slot: str, name: str) -> None:
    options = options_of(components(slot)[name])
    without = {o for o, p in options.items() if p.default is inspect.Parameter.empty}
    assert without == REQUIRED.get((slot, name), set())


@pytest.mark.parametrize(("slot", "name"), REQUIRED)
def test_a_resolved_choice_with_a_required_option_resolves_to_itself(slot: str, name: str) -> None:
    required = {"sizes": FREE["sizes"], "file": "x.pth"}
    choice = {"name": name} | {o: required[o] for o in REQUIRED[slot, name]}
    resolved = resolve(slot, components(slot), choice)
    assert resolve(slot, components(slot), resolved) == resolved


@pytest.mark.parametrize("slot", sorted(OWN))
def test_a_misspelt_name_gets_the_right_one(slot: str) -> None:
    name = sorted(OWN[slot])[0]
    with pytest.raises(SpecError, match=name):
        resolve(slot, components(slot), {"name": name + "x"})


def test_anchors_written_by_hand_are_repeated_on_every_cell() -> None:
    shapes = ANCHORS["free"](**FREE)
    assert len(shapes) == 5
    grid = anchor_grid(shapes, 160)
    cells = sum(side * side for side in level_sizes(160))
    assert grid.shape == (cells * len(shapes[0]), 4)
    assert bool((grid > 0).all())
    assert bool((grid[:, :2] < 1).all())
