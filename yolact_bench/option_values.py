"""Values of options: whether one has the type of its annotation, and how messages name types."""

import json
import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from yolact_bench.errors import SpecError, brief, hint

_ENDS = {"gt": "above {:,}", "ge": "of at least {:,}", "lt": "below {:,}", "le": "at most {:,}"}
_NOUNS: Mapping[object, str] = {int: "whole number", float: "number", str: "text", tuple: "list"}
_DECIMAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
_MOST_DIGITS = 40
_WORDS: Mapping[object, str] = {bool: "true or false", NoneType: "null"}


def check_value(expected: Hashable, value: object, *, where: str = "") -> object:
    """Return `value` as the annotation `expected` wants it, as plain YAML-able data.

    Raises:
        SpecError: it has another type, or is outside the range. `where` begins the message.
    """
    try:
        return plain(_reader_of(expected)(json.dumps(value)))
    except (ValidationError, TypeError) as error:
        if get_origin(expected) is Literal:
            values = {str(one): one for one in get_args(expected)}
            text = f"{where}no value is named {brief(value)}{hint(str(value), values)}"
            raise SpecError(text) from error
        raise SpecError(f"{where}expected {kind_of(expected)}, got {brief(value)}") from error


def read_number(expected: Hashable, text: str, *, where: str = "") -> Any:  # noqa: ANN401
    """Return the number that a text has in decimal digits; no other form is one.

    Raises:
        SpecError: as `check_value`.
    """
    number: object = text
    if len(text) <= _MOST_DIGITS and _DECIMAL.fullmatch(text):
        number = int(text) if text.lstrip("+-").isdecimal() else float(text)
    return check_value(expected, number, where=where)


@cache
def _reader_of(expected: Hashable) -> Callable[[str], object]:
    """Return what reads JSON as a type: a list where a tuple is meant, but "8" is no integer."""
    strict = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)
    adapter: TypeAdapter[object] = TypeAdapter(expected, config=strict)  # type: ignore[arg-type]
    return partial(adapter.validate_json, strict=True)


def kind_of(expected: object, *, many: bool = False) -> str:
    """Return how a message names a type, such as "a whole number of at least 1"."""
    metadata: Sequence[object] = ()
    if get_origin(expected) is Annotated:
        expected, *metadata = get_args(expected)
    limits = [limit for field in metadata for limit in getattr(field, "metadata", (field,))]
    origin, arguments = get_origin(expected), get_args(expected)
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in {Union, UnionType}:
        return " or ".join(kind_of(one, many=many) for one in arguments)
    if origin is not None and issubclass(origin, Sequence):
        items = f"{_length(limits)}{kind_of(arguments[0], many=True)}"
        return f"lists of {items}" if many else f"a list of {items}"
    if expected in _WORDS:
        return _WORDS[expected]
    noun = _NOUNS.get(expected, getattr(expected, "__name__", str(expected)))
    return " ".join([f"{noun}s" if many else f"a {noun}", _range(limits)]).rstrip()


def _range(limits: Sequence[object]) -> str:
    """Return the range of a number, such as "from 0 to 1", or nothing."""
    ends = {name: getattr(one, name) for one in limits for name in _ENDS if hasattr(one, name)}
    if ends.keys() == {"ge", "le"}:
        return "from {ge:,} to {le:,}".format(**ends)
    return " and ".join(words.format(ends[name]) for name, words in _ENDS.items() if name in ends)


def _length(limits: Sequence[object]) -> str:
    """Return how many items a list has, followed by a space, or nothing."""
    least = max((getattr(limit, "min_length", 0) for limit in limits), default=0)
    most = min((getattr(limit, "max_length", math.inf) for limit in limits), default=math.inf)
    if most == math.inf:
        return f"{least} or more " if least else ""
    return f"{most} " if most == least else f"{least} to {most} " if least else f"at most {most} "


def plain(value: object) -> object:
    """Tuples as lists, so that a resolved choice equals what YAML reads back."""
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return value
