"""Arms from factors: every combination, or one factor at a time."""

import itertools
from collections.abc import Mapping

from yolact_bench.errors import SpecError

ArmChanges = dict[str, Mapping[str, object]]


def grid_arms(factors: Mapping[str, object]) -> ArmChanges:
    """Return an arm for every combination of the factors' values."""
    paths = list(factors)
    combinations = itertools.product(*(_values(factors[path]) for path in paths))
    return _named([dict(zip(paths, values, strict=True)) for values in combinations])


def one_factor_arms(factors: Mapping[str, object]) -> ArmChanges:
    """Return an arm `base` that changes nothing, and one arm for every value of every factor."""
    arms = _named([{path: value} for path, values in factors.items() for value in _values(values)])
    return {"base": {}, **arms}


def _values(values: object) -> list[object]:
    assert isinstance(values, list), "checked by the caller"
    return values


def _named(arms: list[dict[str, object]]) -> ArmChanges:
    named: ArmChanges = {}
    for changes in arms:
        name = ".".join(_label(path, value) for path, value in changes.items())
        if name in named:
            raise SpecError(f"two arms would be named {name!r}; remove the repeated value")
        named[name] = changes
    return named


def _label(path: str, value: object) -> str:
    """`protonet.k: 8` → k_8; `dcn: {name: every_nth, n: 3}` → every_nth_n_3."""
    if isinstance(value, Mapping):
        options = [f"{key}_{_text(item)}" for key, item in value.items() if key != "name"]
        return "_".join([str(value.get("name", path)), *options])
    if isinstance(value, str):
        return value
    return f"{path.rpartition('.')[2]}_{_text(value)}"


def _text(value: object) -> str:
    return "-".join(map(_text, value)) if isinstance(value, list) else str(value)
