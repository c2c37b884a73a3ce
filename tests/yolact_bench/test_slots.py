"""Messages about wrong options name what to write."""

import re
from collections.abc import Sequence
from typing import Literal

import pytest

from yolact_bench.catalog import OWN, components
from yolact_bench.errors import SpecError
from yolact_bench.slots import fact, resolve, with_facts


def _component(
    *,
    sizes: Sequence[Sequence[float]],
    decay: Literal["gaussian", "linear"] = "gaussian",
    limit: int | None = None,
) -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "slot: {name: part, sizes: ...}, where sizes is a list of lists of numbers"),
        ({"sizes": 3}, "slot.part.sizes: expected a list of lists of numbers, got 3"),
        (
            {"sizes": [[1.0]], "decay": "linaer"},
            "did you mean 'linear'?); available: gaussian, lin",
        ),
        ({"sizes": [[1.0]], "limit": "many"}, "expected a whole number or null, got 'many'"),
    ],
)
def test_a_refused_option_says_what_to_write(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        resolve("slot", {"part": _component}, {"name": "part", **options})


@pytest.mark.parametrize(
    ("slot", "choice", "message"),
    [
        (
            "nms",
            {"name": "soft", "max_iou": 0.6},
            "nms.soft.max_iou: 0.6 has no effect with decay: gaussian; write max_iou: 0.3, which "
            "is the default, or another decay",
        ),
        ("nms", {"name": "soft", "decay": "linear", "sigma": 1}, "sigma: 1.0 has no effect"),
        ("nms", {"name": "matrix", "decay": "linear", "sigma": 1}, "sigma: 1.0 has no effect"),
        ("augment", {"name": "ssd", "expand": 0, "max_expand": 2}, "max_expand: 2.0 has no"),
        ("schedule", {"name": "steps", "warmup": 0, "warmup_lr": 1}, "write warmup_lr: 0.0001,"),
        (
            "schedule",
            {"name": "cosine", "optimizer": "adamw", "momentum": 0.5},
            "momentum: 0.5 has no effect with optimizer: adamw; write momentum: 0.9",
        ),
    ],
)
def test_an_option_without_effect_is_refused(
    slot: str, choice: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        resolve(slot, components(slot), choice)


def test_a_later_option_is_part_of_a_choice_only_where_it_is_not_the_default() -> None:
    """A run that does not name it has the digest that it had before there was such an option."""

    @with_facts(later=("limit",))
    def part(*, size: int = 3, limit: int = 0) -> None:
        """Do nothing."""

    table = {"part": part}
    plain = {"name": "part", "size": 3}
    for choice in ({"name": "part"}, {"name": "part", "limit": 0}):
        assert resolve("slot", table, choice) == plain
    assert resolve("slot", table, {"name": "part", "limit": 1}) == {**plain, "limit": 1}
    with pytest.raises(SpecError, match=r"slot\.part\.limit: expected a whole number"):
        resolve("slot", table, {"name": "part", "limit": "no"})


@pytest.mark.parametrize("slot", OWN)
def test_what_is_without_effect_may_be_written_at_its_default(slot: str) -> None:
    """A resolved choice has every option, and resolves to itself."""
    for name, component in components(slot).items():
        for option, (other, values) in (fact(component, "unused_with") or {}).items():
            resolved = resolve(slot, components(slot), {"name": name, other: values[0]})
            assert option in resolved
            assert resolve(slot, components(slot), resolved) == resolved


@pytest.mark.parametrize(
    ("slot", "choice", "message"),
    [
        (
            "nms",
            {"name": "fast", "max_iou": 2.0},
            "nms.fast.max_iou: expected a number from 0 to 1, got 2.0",
        ),
        ("nms", {"name": "fast", "top_k": -5}, "expected a whole number from 1 to 100,000, got -5"),
        ("nms", {"name": "soft", "sigma": 0}, "expected a number from 1e-09 to 1,000,000, got 0"),
        (
            "nms",
            {"name": "sequential", "grid_px": 0},
            "whole number from 1 to 1,000,000,000 or null, got 0",
        ),
        ("box_loss", {"name": "smooth_l1", "weight": -1.0}, "a number from 0 to 1,000,000"),
        ("matcher", {"name": "ssd", "crowd_iou": 1.5}, "from 0 to 1"),
        (
            "anchors",
            {"name": "pascal", "scales": [1]},
            "a list of 5 numbers from 1e-09 to 1,000,000, got [1]",
        ),
        (
            "anchors",
            {"name": "pascal", "ratios": []},
            "a list of 1 to 32 numbers from 1e-09 to 1,000,000, got",
        ),
        (
            "anchors",
            {"name": "free", "sizes": "big"},
            "a list of 5 lists of 1 to 32 lists of 2 numbers from 1e-09 to 1,000,000, got 'big'",
        ),
        ("mask_loss", {"name": "lincomb_bce", "crop": 1}, "expected true or false, got 1"),
        ("schedule", {"name": "cosine", "lr": 0.0}, "a number from 1e-09 to 1,000,000"),
    ],
)
def test_an_option_outside_its_range_is_refused(
    slot: str, choice: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        resolve(slot, components(slot), choice)


def test_a_misspelt_fact_is_refused() -> None:
    with pytest.raises(SpecError, match=r"no fact is named 'need_net' \(did you mean 'needs_net'"):
        with_facts(need_net=True)
