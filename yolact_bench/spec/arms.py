"""The arms of an ablation: names, factors that are expanded, and the check of what they change.

Mistakes are SpecErrors with file, line and key.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial

from yolact_bench.errors import Faults, SpecError, brief, nearest, word_list
from yolact_bench.evaluation import Evaluation
from yolact_bench.spec.run import Run
from yolact_bench.work_names import quote
from yolact_bench.yaml_source import Source

_MOST_ARMS = 10_000  # of a grid; each is expanded, checked and planned
ArmChanges = Mapping[str, Mapping[str, object]]  # name → slot or slot.option → value
Factors = Mapping[str, list[object]]  # slot or slot.option → values


def read_arms(source: Source, faults: Faults) -> tuple[str, ArmChanges]:
    """Return the kind of arms that a spec has, and the changes of each arm.

    Those of an arm that is no mapping are empty; no arms at all are in `faults` as well.
    """
    kinds = [kind for kind in ARM_KINDS if kind in source.data]
    if len(kinds) != 1:
        what = f"write one of {', '.join(ARM_KINDS)}, got {word_list(kinds)}"
        faults.add(source.error((), what))
        return "", {}
    (kind,) = kinds
    with faults.part():
        arms = ARM_KINDS[kind](source, kind)
        if not arms:
            what = "names no arm; write one, such as {wide: {fpn.channels: 512}}"
            raise source.error((kind,), what)
        for name in arms:
            with faults.part():
                source.label((kind, name), name)
        return kind, arms
    return kind, {}


def check_factors(
    changes: Sequence[str],
    arms: Mapping[str, tuple[Run, str]],
    baseline: str,
    *,
    where: str,
    complete: bool = True,
) -> None:
    """Check that arms differ from the baseline in the declared factors, and only in them.

    `arms` is name → run and where it is written; `where` is where the factors are declared. Where
    the arms are not `complete`, one that is not there may differ in any slot that exists.

    Raises:
        SpecError: arms that differ elsewhere, which would be confounded; and factors in which no
            arm differs, which would claim a comparison that was not made.
    """
    faults, touched = Faults(), set[str]()
    undeclared: dict[str, str] = {}  # factor → the first arm that differs in it
    for run, place in arms.values() if baseline in arms else ():
        for slot, options in _differences(run, arms[baseline][0]).items():
            named = {f"{slot}.{option}" for option in options}
            others = sorted(named - set(changes))
            if slot not in changes and (others or not options):
                undeclared.setdefault(others[0] if others else slot, place)
            touched |= {slot, *named}
    for factor, place in undeclared.items():
        message = (
            f"differs from the baseline {brief(baseline)} in {quote(factor)}, which is not among "
            f"changes: [{word_list([*map(quote, changes)])}]; declare it, or leave it alone"
        )
        faults.add(SpecError(f"{place}: {message}"))
    if not complete or baseline not in arms:
        touched |= {f"{field.name}.name" for field in fields(Run)}
    for factor in changes:
        # A slot that is replaced as a whole stands for all of its options. One that is like another
        # that is not declared is that one misspelt.
        is_used = factor in touched or f"{factor.partition('.')[0]}.name" in touched
        if not is_used and nearest(factor, undeclared) is None:
            message = (
                f"{quote(factor)} is declared, but no arm differs from the baseline "
                f"{brief(baseline)} in it; remove it, or add an arm that changes it"
            )
            faults.add(SpecError(f"{where}: {message}"))
    faults.raise_any()


def _by_name(source: Source, key: str) -> ArmChanges:
    return {
        name: {str(path): one for path, one in changes.items()}
        if isinstance(changes, Mapping)
        else {}
        for name, changes in source.mapping((key,)).items()
    }


def _expand(make: Callable[[Factors], ArmChanges], source: Source, key: str) -> ArmChanges:
    factors: dict[str, list[object]] = {}
    faults = Faults()
    for path, values in source.mapping((key,)).items():
        if isinstance(values, list) and values:
            factors[path] = values
        else:
            faults.add(source.unlike((key, path), "a list such as [4, 8]", values))
    faults.raise_any()
    try:
        return make(factors)
    except SpecError as error:
        raise source.error((key,), str(error)) from error


def _grid(factors: Factors) -> ArmChanges:
    """An arm for every combination of the factors' values."""
    number = math.prod(map(len, factors.values()))
    if number > _MOST_ARMS:
        raise SpecError(
            f"{number:,} combinations, at most {_MOST_ARMS:,} are arms; take factors or values "
            "away, or write a sweep"
        )
    combinations = itertools.product(*factors.values())
    return _changes([dict(zip(factors, values, strict=True)) for values in combinations])


def _one_factor(factors: Factors) -> ArmChanges:
    """An arm `base` that changes nothing, and one arm for every value of every factor."""
    arms = _changes([{path: value} for path, values in factors.items() for value in values])
    return {"base": {}, **arms}


# The key of a spec → how its arms are read.
ARM_KINDS: Mapping[str, Callable[[Source, str], ArmChanges]] = {
    "arms": _by_name,
    "grid": partial(_expand, _grid),
    "one_factor": partial(_expand, _one_factor),
}


def _changes(arms: list[dict[str, object]]) -> ArmChanges:
    named: dict[str, Mapping[str, object]] = {}
    for changes in arms:
        # A value may be a path, and a name may not.
        labels = ".".join(_label(path, value) for path, value in changes.items())
        name = labels.lstrip("./").replace("/", "-")
        if name in named:
            raise SpecError(f"two arms would be named {brief(name)}; remove the repeated value")
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


def _differences(ours: Run, theirs: Run) -> dict[str, list[str]]:
    """Return slot → options that differ; no options where it is a single value."""
    different: dict[str, list[str]] = {}
    for field in fields(Run):
        a, b = getattr(ours, field.name), getattr(theirs, field.name)
        if a == b:
            continue
        a, b = (one.changes if isinstance(one, Evaluation) else one for one in (a, b))
        if not isinstance(a, Mapping) or not isinstance(b, Mapping):
            different[field.name] = []
        elif a.get("name") != b.get("name"):
            different[field.name] = ["name"]
        else:
            different[field.name] = [k for k in {**a, **b} if a.get(k) != b.get(k)]
    return different
