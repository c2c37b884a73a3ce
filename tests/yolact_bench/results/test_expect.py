"""Expectations: small comparisons, checked before anything runs."""

import pytest

from yolact_bench.errors import SpecError
from yolact_bench.results.expect import QUANTITIES, check_expectation, evaluate_expectation

ARMS = ("nowhere", "interval_3", "k=8")
AP = {"nowhere": 30.0, "interval_3": 31.5, "k=8": 29.0}


def _value(quantity: str, arm: str) -> float | None:
    return AP[arm] if quantity == "mask_ap" else None


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("mask_ap[interval_3] >= mask_ap[nowhere] + 1.0", True),  # 31.5 >= 31.0
        ("mask_ap[interval_3] > mask_ap[nowhere] + 1.5", False),  # 31.5 > 31.5
        ('mask_ap["k=8"] < mask_ap[nowhere] <= 30', True),  # 29 < 30 <= 30
        ("mask_ap[nowhere] - 2 * 3 > -mask_ap[interval_3] / 3", True),  # 24 > -10.5
        ("box_ap[nowhere] > 1", None),
    ],
)
def test_an_expectation_is_arithmetic_on_points(text: str, met: bool | None) -> None:
    assert evaluate_expectation(text, ARMS, _value).met is met


def test_the_outcome_shows_both_sides_or_what_is_missing() -> None:
    outcome = evaluate_expectation("mask_ap[nowhere] + 1 < mask_ap[interval_3]", ARMS, _value)
    assert outcome.detail == "31 < 31.5"
    outcome = evaluate_expectation("fps[nowhere] > 1 / fps[interval_3]", ARMS, _value)
    assert outcome.detail == "no value of fps[nowhere], fps[interval_3]"


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_quantity_is_accepted(quantity: str) -> None:
    check_expectation(f"{quantity}[nowhere] > 0", ARMS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mask_ap[interval3] > 1", "no arm is named 'interval3' .did you mean 'interval_3'"),
        ("mask_pa[nowhere] > 1", "no quantity is named 'mask_pa' .did you mean 'mask_ap'"),
        ("mask_ap > 1", r"write mask_ap\[arm\]"),
        ("mask_ap[nowhere]", "expected a comparison .*; write such as mask_ap"),
        ("mask_ap[nowhere] == 1", "never equal"),
        ("mask_ap[nowhere] >", r"not an expression .*; write such as mask_ap\[a\] >="),
        ("__import__('os').getcwd() > 1", "is not allowed"),
        ("mask_ap[nowhere] ** 9 ** 9 > 1", "is not allowed"),
        ("True > 0", "is not allowed"),
        ("1 / 0 > 1", "divides by zero; write another divisor"),
        ("", "not an expression"),
    ],
)
def test_a_mistake_is_found_before_anything_runs(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check_expectation(text, ARMS)
