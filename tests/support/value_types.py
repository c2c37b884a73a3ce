"""What the type of an option allows: its least value, values outside, and missing ends."""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

NO_NUMBERS = (math.nan, math.inf, -math.inf, 1e400, 1e30, 10**30, 2**63, -(10**30), True, "1", "")


def gaps(expected: object, place: str = "") -> Iterator[str]:
    """Yield what has no range: numbers without two ends, lists without a largest length."""
    kind, limits = _parts(expected)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        for one in get_args(kind):
            yield from gaps(one, place)
    elif kind in (int, float):
        if not {"ge", "le"} <= limits.keys():
            yield f"{place}: a number needs a least and a most value, of yolact_bench/ranges.py"
    elif _is_list(kind):
        if "max_length" not in limits:
            yield f"{place}: a list needs a largest length"
        yield from gaps(get_args(kind)[0], f"{place}[…]")
    elif origin is not Literal and kind not in (str, bool, NoneType):
        yield f"{place}: {kind} is no type of an option"


def smallest(expected: object) -> object:
    """Return the least number, the shortest list of such, the first word; of a union the first."""
    kind, limits = _parts(expected)
    if get_origin(kind) in (Union, UnionType, Literal):
        first = get_args(kind)[0]
        return first if get_origin(kind) is Literal else smallest(first)
    if _is_list(kind):
        return [smallest(get_args(kind)[0])] * max(1, int(limits.get("min_length", 1)))
    return limits["ge"] if kind in (int, float) else {str: "", bool: True, NoneType: None}[kind]  # type: ignore[index]


def outside(expected: object) -> Iterator[object]:
    """Yield values that the type must not take: beyond its ends, and of other types."""
    kind, limits = _parts(expected)
    if get_origin(kind) in (Union, UnionType):
        yield from outside(get_args(kind)[0])
    elif kind in (int, float):
        yield from (*NO_NUMBERS, limits["le"] + 1, limits["ge"] - 1)
        yield from (0.5,) if kind is int else ()
    elif _is_list(kind):
        item, least = smallest(get_args(kind)[0]), max(1, int(limits.get("min_length", 1)))
        yield from ([item] * (int(limits["max_length"]) + 1), {"a": 1}, item, [[]], [None])
        for value in outside(get_args(kind)[0]):
            yield [*[item] * (least - 1), value]


def _parts(expected: object) -> tuple[object, Mapping[str, float]]:
    """Return a type without its limits, and the limits by name."""
    if get_origin(expected) is not Annotated:
        return expected, {}
    kind, *fields = get_args(expected)
    names = ("ge", "le", "min_length", "max_length")
    found = [one for field in fields for one in getattr(field, "metadata", (field,))]
    return kind, {n: getattr(one, n) for one in found for n in names if hasattr(one, n)}


def _is_list(kind: object) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Sequence)
