"""The space of a sweep: which slots and options may vary, and how. No torch, no Optuna.

A parameter has the name of the path that it sets: `protonet.k`. Where a slot has several
components, the choice among them has the name of the slot (`nms`), and an option of one of them,
which only matters where that component is chosen, a name such as `nms.fast.max_iou`.

One file: names of parameters are made, listed and read back by the same walk over a space.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from yolact_bench.spec.options_to_keep import DEFAULTS

Value = bool | int | float | str | None  # what a study stores
_ABSENT = object()  # in no domain
MOST_SETS = 1_000_000  # of parameters, where all are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """Numbers from `low` to `high`, continuous or in steps; whole numbers if all three are."""

    low: int | float
    high: int | float
    log: bool = False  # uniform in the logarithm
    step: int | float | None = None

    @property
    def whole(self) -> bool:
        return all(type(one) is int for one in (self.low, self.high, self.step or 1))

    @property
    def steps(self) -> int | None:
        """The number of steps from the lowest value to the highest; None of a continuous range."""
        if self.whole:
            return int(self.high - self.low) // int(self.step or 1)
        if self.step is None:
            return None
        return math.floor((self.high - self.low) / self.step + 1e-9)

    @property
    def values(self) -> tuple[object, ...] | None:
        """All values in order; None where there are infinitely many, or too many for a list."""
        if self.steps is None or self.steps >= MOST_SETS:
            return None
        return tuple(self.low + index * (self.step or 1) for index in range(self.steps + 1))

    @property
    def ends(self) -> tuple[object, ...]:
        """The values by which the whole range is checked, as a study draws them."""
        return (self.low, self.high) if self.whole else (float(self.low), float(self.high))

    def __str__(self) -> str:
        how = ", evenly in the logarithm" if self.log else f" by {self.step:g}" if self.step else ""
        return f"{self.low:g} to {self.high:g}{how}"

    def holds(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.steps is None or not math.isfinite(value):
            return self.low <= value <= self.high
        index = round((value - self.low) / (self.step or 1))
        nearest = self.low + min(max(index, 0), self.steps) * (self.step or 1)
        return math.isclose(value, nearest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueList:
    """A list of values of any type."""

    values: tuple[object, ...]

    @property
    def stored(self) -> tuple[Value, ...]:
        """The values as a study stores them: lists and mappings as text."""
        return tuple(to_stored(value) for value in self.values)

    @property
    def ends(self) -> tuple[object, ...]:
        """The values by which the domain is checked: all."""
        return self.values

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))

    def holds(self, value: object) -> bool:
        return value in self.values


Domain = Number | ValueList


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """A choice among components of a slot, each with options that vary or are fixed."""

    options: Mapping[str, Mapping[str, Domain]]  # component → option → what it may be
    fixed: Mapping[str, Mapping[str, object]]  # component → option → its value


Space = Mapping[str, Domain | Components]  # slot or slot.option → what it may be
Params = Mapping[str, Value]


def parameters(space: Space, params: Params | None = None) -> dict[str, Domain]:
    """Return the parameters by name: all, or those that matter for the choices in `params`.

    Raises:
        KeyError: a choice among components is missing in `params`.
    """
    domains: dict[str, Domain] = {}
    for path, entry in space.items():
        if not isinstance(entry, Components):
            domains[path] = entry
            continue
        domains[path] = ValueList(values=tuple(entry.options))
        for component in entry.options if params is None else (str(params[path]),):
            for name, domain in entry.options[component].items():
                domains[f"{path}.{component}.{name}"] = domain
    return domains


def changes_of(space: Space, params: Params) -> dict[str, object]:
    """Return what the parameters change, as an arm of an ablation would."""
    changes: dict[str, object] = {}
    for path, entry in space.items():
        if not isinstance(entry, Components):
            changes[path] = _value_of(entry, params[path])
            continue
        component = str(params[path])
        varying = {
            name: _value_of(domain, params[f"{path}.{component}.{name}"])
            for name, domain in entry.options[component].items()
        }
        changes[path] = {"name": component, **entry.fixed[component], **varying}
    return changes


def params_of(space: Space, run: Mapping[str, object]) -> dict[str, Value] | None:
    """Return the parameters by which a resolved run (`Run.as_dict`) differs from the base.

    None: the space cannot say some choice of it. What is outside the space may still differ.
    """
    params: dict[str, Value] = {}
    for path, entry in space.items():
        slot, _, option = path.partition(".")
        value = run.get(slot)
        if isinstance(entry, Components):
            inner = _component_params(path, entry, value)
            if inner is None:
                return None
            params |= inner
            continue
        if option:
            value = value.get(option, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        if not entry.holds(value):
            return None
        params[path] = to_stored(value)
    return params


def all_params(space: Space) -> Iterator[Params] | None:
    """Return every set of parameters; None where there are infinitely many, or too many."""
    number = _num_sets(space.values())
    if number is None or number > MOST_SETS:
        return None
    axes = [_axis(path, entry) for path, entry in space.items()]
    return ({k: v for part in parts for k, v in part.items()} for parts in product(*axes))


def corners(space: Space) -> Iterator[tuple[tuple[str, ...], Mapping[str, object]]]:
    """Yield every value of a list and both ends of a range once: its key, and what it changes.

    One choice is changed at a time, the rest is the base's. An option that varies beside the
    components of its slot belongs to each of them.
    """
    for path, entry in space.items():
        if not isinstance(entry, Components):
            for context in _contexts(space, path):
                for value in entry.ends:
                    yield (path,), {**context, path: value}
            continue
        for component, options in entry.options.items():
            first = _first(entry, component)
            yield (path, component), {path: first}
            for name, domain in options.items():
                for value in domain.ends[1:]:
                    yield (path, component, name), {path: {**first, name: value}}


def to_stored(value: object) -> Value:
    """Return a value as a study can store it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value, sort_keys=True)


def _num_sets(entries: Iterable[Domain | Components]) -> int | None:
    """Return the number of sets of parameters, without making one; None: infinitely many."""
    number = 1
    for entry in entries:
        if isinstance(entry, Components):
            parts = [_num_sets(options.values()) for options in entry.options.values()]
        elif isinstance(entry, Number):
            parts = [None if entry.steps is None else entry.steps + 1]
        else:
            parts = [len(entry.values)]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        number *= sum(known)
    return number


def _axis(path: str, entry: Domain | Components) -> list[dict[str, Value]]:
    if not isinstance(entry, Components):
        return [{path: to_stored(value)} for value in entry.values or ()]
    return [
        {path: component, **params}
        for component, options in entry.options.items()
        for params in all_params({f"{path}.{component}.{name}": o for name, o in options.items()})
        or ()
    ]


def _component_params(path: str, entry: Components, value: object) -> dict[str, Value] | None:
    if not isinstance(value, Mapping) or value.get("name") not in entry.options:
        return None
    component = str(value["name"])
    fixed = {name: one for name, one in entry.fixed[component].items() if name != DEFAULTS}
    if any(value.get(name, _ABSENT) != one for name, one in fixed.items()):
        return None
    options = entry.options[component]
    if not all(domain.holds(value.get(name, _ABSENT)) for name, domain in options.items()):
        return None
    varying = {f"{path}.{component}.{name}": to_stored(value[name]) for name in options}
    return {path: component, **varying}


def _value_of(domain: Domain, stored: Value) -> object:
    """Return the value that a study has stored."""
    if isinstance(domain, Number):
        return stored
    return domain.values[domain.stored.index(stored)]


def _contexts(space: Space, path: str) -> list[dict[str, object]]:
    """Return the components of the slot that an option varies beside, or no change."""
    slot = path.partition(".")[0]
    entry = None if slot == path else space.get(slot)
    if not isinstance(entry, Components):
        return [{}]
    return [{slot: _first(entry, name)} for name in entry.options]


def _first(entry: Components, component: str) -> dict[str, object]:
    lowest = {name: domain.ends[0] for name, domain in entry.options[component].items()}
    return {"name": component, **entry.fixed[component], **lowest}
