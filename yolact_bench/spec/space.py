"""What a sweep searches: components with options of their own, values and ranges of numbers."""

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from yolact_bench.spec.run import DETECTION

Label = bool | int | float | str  # a value as a study keeps it


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A range, both ends included."""

    low: int | float
    high: int | float
    log: bool = False  # drawn evenly in the logarithm
    step: int | float | None = None

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant: both ends are written as such."""
        return all(isinstance(end, int) for end in (self.low, self.high, self.step or 0))

    def probes(self) -> tuple[Label, ...]:
        """Return the values by which the whole domain is checked."""
        return self.low, self.high

    def labels(self) -> tuple[Label, ...] | None:
        """Return every value as a study keeps it; None if they cannot be counted."""
        step = self.step or (1 if self.whole else None)
        if step is None:
            return None
        count = round((self.high - self.low) / step) + 1
        return tuple(self.low + index * step for index in range(count))

    def value(self, label: Label) -> object:
        """Return what a run is given."""
        return label

    def label(self, value: object) -> Label | None:
        """Return what a study keeps of a value; None if it is not of this domain."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if not self.low <= value <= self.high or (self.whole and value != int(value)):
            return None
        steps = (value - self.low) / self.step if self.step else 0
        return int(value) if self.whole else value if math.isclose(steps, round(steps)) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Some values without an order."""

    values: tuple[object, ...]

    def probes(self) -> tuple[Label, ...]:
        """Return the values by which the whole domain is checked."""
        return self.labels()

    def labels(self) -> tuple[Label, ...]:
        """Return every value as a study keeps it: lists, mappings and null as JSON."""
        return tuple(_label(value) for value in self.values)

    def value(self, label: Label) -> object:
        """Return what a run is given."""
        return next(v for v in self.values if (type(_label(v)), _label(v)) == (type(label), label))

    def label(self, value: object) -> Label | None:
        """Return what a study keeps of a value; None if it is not of this domain."""
        return next((_label(own) for own in self.values if own == value), None)


Domain = Numbers | Values
Suggest = Callable[[str, Domain], Label]
Params = Mapping[str, Label]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One component that a slot may hold in a sweep, chosen together with its options."""

    options: Mapping[str, Domain]
    fixed: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Everything that a sweep may change.

    A parameter is named by its slot (which component), by slot.component.option, which exists
    only where that component was chosen, or by slot.option.
    """

    components: Mapping[str, Mapping[str, Component]]  # slot → name →
    plain: Mapping[str, Domain]  # slot, or slot.option →

    @property
    def slots(self) -> frozenset[str]:
        """The slots that trials differ in."""
        return frozenset(self.components) | {path.partition(".")[0] for path in self.plain}

    @property
    def trains(self) -> bool:
        """Whether trials need trainings of their own: more than the detection is searched."""
        return not self.slots <= frozenset(DETECTION)

    def drawn(self, suggest: Suggest) -> dict[str, Label]:
        """Return the parameters that `suggest` gives one after the other."""
        params: dict[str, Label] = {}
        for slot, known in self.components.items():
            name = params[slot] = suggest(slot, Values(values=tuple(known)))
            for option, domain in known[str(name)].options.items():
                path = f"{slot}.{name}.{option}"
                params[path] = suggest(path, domain)
        for path, domain in self.plain.items():
            params[path] = suggest(path, domain)
        return params

    def changes(self, params: Params) -> dict[str, object]:
        """Return what the parameters change, as an arm of an ablation would say it."""
        changes: dict[str, object] = {}
        for slot, known in self.components.items():
            name = str(params[slot])
            component = known[name]
            options = {
                option: domain.value(params[f"{slot}.{name}.{option}"])
                for option, domain in component.options.items()
            }
            changes[slot] = {"name": name, **component.fixed, **options}
        for path, domain in self.plain.items():
            changes[path] = domain.value(params[path])
        return changes

    def params_of(self, chosen: Callable[[str], object]) -> dict[str, Label] | None:
        """Return the parameters of a resolved run, asked for by slot; None if it is outside.

        What the space does not name may differ all the same: compare digests.
        """

        def known(path: str, domain: Domain) -> Label:
            slot, *_, option = path.split(".") if "." in path else (path, "name")
            choice = chosen(slot)
            if isinstance(choice, Mapping):
                # A whole choice is compared only where it is a name: the rest has defaults.
                choice = choice.get(option)
            label = domain.label(choice)
            if label is None:
                raise LookupError(path)
            return label

        try:
            return self.drawn(known)
        except LookupError:
            return None

    def probes(self) -> Iterator[dict[str, Label]]:
        """Yield parameters in which every component, value and end of a range comes up.

        Options of one slot that hold for every component come up with every component.
        """
        first = self.drawn(lambda path, domain: domain.probes()[0])
        yield first
        for slot, known in self.components.items():
            shared = {path: d for path, d in self.plain.items() if path.startswith(f"{slot}.")}
            for name, component in known.items():
                start = self._with(first, {slot: name})
                if start != first:
                    yield start
                options = {f"{slot}.{name}.{o}": d for o, d in component.options.items()}
                yield from self._others(start, {**options, **shared})
        alone = {p: d for p, d in self.plain.items() if p.partition(".")[0] not in self.components}
        yield from self._others(first, alone)

    def _others(self, start: Params, domains: Mapping[str, Domain]) -> Iterator[dict[str, Label]]:
        for path, domain in domains.items():
            for label in domain.probes()[1:]:
                yield {**start, path: label}

    def assignments(self) -> Iterator[dict[str, Label]] | None:
        """Return every set of parameters, in order; None if they cannot be counted."""
        every = (c for known in self.components.values() for c in known.values())
        domains = [*(d for c in every for d in c.options.values()), *self.plain.values()]
        if any(domain.labels() is None for domain in domains):
            return None
        return self._assignments()

    def _assignments(self) -> Iterator[dict[str, Label]]:
        groups: list[list[dict[str, Label]]] = []
        for slot, known in self.components.items():
            group: list[dict[str, Label]] = []
            for name, component in known.items():
                paths = [f"{slot}.{name}.{option}" for option in component.options]
                labels = [domain.labels() or () for domain in component.options.values()]
                group += [
                    {slot: name, **dict(zip(paths, row, strict=True))}
                    for row in itertools.product(*labels)
                ]
            groups.append(group)
        groups += [[{path: v} for v in d.labels() or ()] for path, d in self.plain.items()]
        for row in itertools.product(*groups):
            yield {path: label for part in row for path, label in part.items()}

    def _with(self, params: Params, given: Params) -> dict[str, Label]:
        """Return parameters with some others, first values where that opens new ones."""
        both = {**params, **given}
        return self.drawn(lambda path, domain: both.get(path, domain.probes()[0]))


def _label(value: object) -> Label:
    if isinstance(value, bool | int | float | str):
        return value
    return json.dumps(value, sort_keys=True)
