"""No number or list among the options of any component takes a value that makes no sense."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Literal, get_type_hints

import pytest

from tests.support.value_types import gaps, outside, smallest
from yolact_bench.catalog import OWN, components
from yolact_bench.dataset_spec.dataset import DATASET_SPECS
from yolact_bench.errors import SpecError
from yolact_bench.ranges import Count
from yolact_bench.slots import options_of, resolve

TABLES = {**{slot: components(slot) for slot in OWN}, "dataset": DATASET_SPECS}


def types_of(component: Callable[..., object]) -> dict[str, object]:
    signed = component.__init__ if inspect.isclass(component) else component  # type: ignore[misc]
    types = get_type_hints(signed, include_extras=True)
    return {option: types[option] for option in options_of(component)}


OPTIONS = {
    f"{slot}.{name}.{option}": expected
    for slot, table in TABLES.items()
    for name, component in table.items()
    for option, expected in types_of(component).items()
}


def test_there_are_options_to_look_at() -> None:
    assert {
        "anchors.free.sizes",
        "batch_norm.auto.min_batch",
        "dataset.shapes.val_draw",
        "nms.sequential.grid_px",
        "schedule.steps.clip_norm",
    } < OPTIONS.keys()
    assert len(OPTIONS) > 90


@pytest.mark.parametrize("path", OPTIONS)
def test_every_number_has_two_ends_and_every_list_a_largest_length(path: str) -> None:
    assert list(gaps(OPTIONS[path], path)) == []


@pytest.mark.parametrize(
    ("expected", "places"),
    [
        (float, [""]),
        (Count | None, []),
        (int | None, [""]),
        (Sequence[Sequence[int]], ["", "[…]", "[…][…]"]),
        (Literal["a"] | str | bool, []),
        (dict, [""]),
    ],
)
def test_the_search_for_options_without_a_range_finds(expected: object, places: list[str]) -> None:
    assert [fault.partition(":")[0] for fault in gaps(expected)] == places


@pytest.mark.parametrize("path", [path for path in OPTIONS if list(outside(OPTIONS[path]))])
def test_what_is_outside_is_refused_by_its_place_and_range(path: str) -> None:
    slot, name, option = path.split(".")
    required = {o: smallest(expected) for o, expected in types_of(TABLES[slot][name]).items()}
    choice = {**required, "name": name} if name in ("free", "coco_format") else {"name": name}
    for value in outside(OPTIONS[path]):
        with pytest.raises(SpecError) as error:
            resolve(slot, TABLES[slot], {**choice, option: value})
        text = str(error.value)
        assert re.match(rf"{re.escape(path)}: expected a .*(from .* to |list of ).*, got ", text), (
            text
        )
        assert len(text) < 400


@pytest.mark.parametrize("path", OPTIONS)
def test_the_least_value_is_taken(path: str) -> None:
    """Unless it has no effect beside the defaults of the others, which another test covers."""
    slot, name, option = path.split(".")
    choice = {"name": name, option: smallest(OPTIONS[path])}
    try:
        assert resolve(slot, TABLES[slot], choice)["name"] == name
    except SpecError as error:
        assert "has no effect" in str(error) or "is required" in str(error)
