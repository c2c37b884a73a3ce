"""Messages about wrong options name what to write."""

import re
from collections.abc import Sequence
from typing import Literal

import pytest

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
