"""Messages about wrong options name what to write."""

import re
from collections.abc import Sequence
from typing import Literal

import pytest

from yolact_bench.catalog import components
from yolact_bench.errors import SpecError
from yolact_bench.slots import resolve


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
        ({}, "slot: {name: part, sizes: ...}, of type list of list of float"),
        ({"sizes": 3}, "3 is not a valid list of list of float"),
        ({"sizes": [[1.0]], "decay": "linaer"}, "did you mean 'linear'?); there is: gaussian, lin"),
        ({"sizes": [[1.0]], "limit": "many"}, "'many' is not a valid int or null"),
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
            {"name": "fast", "max_iou": 2.0},
            "2.0 is not a valid float at least 0 and",
        ),
        ("nms", {"name": "fast", "top_k": -5}, "-5 is not a valid int at least 1"),
        ("nms", {"name": "soft", "sigma": 0}, "0 is not a valid float above 0"),
        ("nms", {"name": "sequential", "grid_px": 0}, "0 is not a valid int at least 1 or null"),
        ("box_loss", {"name": "smooth_l1", "weight": -1.0}, "float at least 0"),
        ("matcher", {"name": "ssd", "crowd_iou": 1.5}, "at most 1"),
        ("schedule", {"name": "cosine", "lr": 0.0}, "float above 0"),
    ],
)
def test_an_option_outside_its_range_is_refused(
    slot: str, choice: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        resolve(slot, components(slot), choice)
