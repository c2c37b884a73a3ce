"""No number or list among the options of any component takes a value that makes no sense."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from runners.cli import listing
from tests.support.value_types import gaps, outside, smallest
from yolact_bench.catalog import OWN, components
from yolact_bench.dataset_spec.dataset import DATASET_SPECS
from yolact_bench.errors import SpecError
from yolact_bench.option_values import kind_of
from yolact_bench.ranges import Count
from yolact_bench.slots import resolve, types_of

TABLES = {**{slot: components(slot) for slot in OWN}, "dataset": DATASET_SPECS}


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
    choice = (
        {**required, "name": name}
        if name in ("free", "coco_format", "detector")
        else {"name": name}
    )
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


def test_the_listing_shows_the_range_of_every_option_in_100_columns() -> None:
    lines = list(listing.lines("components", slot=None, work_dir=Path(), folder=Path()))
    text = " ".join(" ".join(lines).split())
    for path, expected in OPTIONS.items():
        slot, _, option = path.split(".")
        if slot != "dataset":
            assert re.search(rf" {option}: [^;]*; {re.escape(kind_of(expected))} ", f"{text} "), (
                path
            )
    assert max(len(line) for line in lines if line.startswith(" " * 6)) <= 100
