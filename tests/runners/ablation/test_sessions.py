"""A session without the arms that cannot be timed."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runners.ablation.sessions import time_possible
from runners.timing.calls import TimingError
from runners.units.unit import Unit


def session_without(*broken: str) -> tuple[list[str] | None, list[str]]:
    """Return the arms of the session of a, b and c that succeeds, and those that failed."""
    units = [cast(Any, SimpleNamespace(arm=arm)) for arm in ("a", "b", "c")]

    def session(units: Sequence[Unit]) -> list[str]:
        for unit in units:
            if unit.arm in broken:
                raise TimingError(unit.arm)
        return [unit.arm for unit in units]

    failed: list[str] = []
    return time_possible(units, session, lambda error: failed.append(error.arm)), failed


def test_a_session_is_repeated_without_each_arm_that_fails() -> None:
    assert session_without() == (["a", "b", "c"], [])
    assert session_without("b") == (["a", "c"], ["b"])
    assert session_without("c", "a") == (["b"], ["a", "c"])


def test_without_any_arm_there_is_no_session() -> None:
    assert session_without("a", "b", "c") == (None, ["a", "b", "c"])


def test_an_error_of_no_arm_at_hand_is_raised_and_not_tried_for_ever() -> None:
    def session(units: Sequence[Unit]) -> None:
        raise TimingError("another")

    with pytest.raises(TimingError):
        time_possible([cast(Any, SimpleNamespace(arm="a"))], session, lambda error: None)
