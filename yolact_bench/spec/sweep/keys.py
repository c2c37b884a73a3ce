"""The keys of a sweep's YAML: objectives, sampler, pruner, and the space.

The space is checked for what can be known without components. Every function raises a SpecError
with file, line and key.

One file: the keys of one YAML, of which some limit others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from yolact_bench.errors import Faults, brief
from yolact_bench.ranges import Anywhere, Positive, PrunerOption, SamplerSeed
from yolact_bench.spec.accuracies import ACCURACIES
from yolact_bench.spec.sweep.space import Components, Domain, Number, Space, ValueList, to_stored
from yolact_bench.yaml_source import Source
from yolact_bench.yaml_text import KeyPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What is searched for: the best by one objective, unless stated otherwise."""

    has_front: bool = False  # of two or more objectives
    has_budget: bool = False  # only networks within latency.budget_ms are trained


MODES: Mapping[str, Mode] = {
    "single": Mode(),
    "pareto": Mode(has_front=True),
    "budget": Mode(has_budget=True),
}
# Whether a sampler tries every set of parameters of a finite space, in order.
SAMPLERS: Mapping[str, bool] = {"tpe": False, "random": False, "nsga2": False, "grid": True}
# Whether a pruner ever stops a trial.
PRUNERS: Mapping[str, bool] = {
    **dict.fromkeys(("median", "successive_halving", "hyperband"), True),
    "none": False,
}
TIME_METRICS = ("latency_ms", "latency_ratio")
COST_METRICS = ("parameters", "macs", "train_seconds", "peak_memory_mb")
# Metrics of a validation during training, by which a trial can be pruned.
VALIDATED = ("mask_ap", "mask_ap50", "box_ap")
OBJECTIVES = (*ACCURACIES, *TIME_METRICS, *COST_METRICS)
DIRECTIONS = {"maximise": True, "minimise": False, "maximize": True, "minimize": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A metric by name, and whether more is better."""

    metric: str  # of OBJECTIVES
    maximise: bool


def read_objectives(source: Source, mode: str | None) -> tuple[Objective, ...]:
    """Return the objectives, which must fit the mode; None: that is not known."""
    data = source.data.get("objectives", {"mask_ap": "maximise"})
    if not isinstance(data, Mapping) or not data:
        raise source.unlike(("objectives",), "such as {mask_ap: maximise}", data)
    faults, objectives = Faults(), []
    with faults.part():
        source.check_keys(("objectives",), data, OBJECTIVES)
    for metric, word in data.items():
        if str(word) in DIRECTIONS:
            objectives.append(Objective(metric=str(metric), maximise=DIRECTIONS[str(word)]))
        else:
            place = ("objectives", str(metric))
            faults.add(source.unlike(place, "maximise or minimise", word))
    faults.raise_any()
    if mode is not None:
        _check_objectives(source, mode, objectives)
    return tuple(objectives)


def _check_objectives(source: Source, mode: str, objectives: Sequence[Objective]) -> None:
    has_front = MODES[mode].has_front
    if has_front and len(objectives) < 2:
        raise source.error(("objectives",), "pareto needs two or more; with one write mode: single")
    if not has_front and len(objectives) != 1:
        raise source.error(("objectives",), f"{mode} has one; with several write mode: pareto")
    if not any(one.metric in ACCURACIES for one in objectives):
        raise source.error(
            ("objectives", objectives[0].metric),
            "without an accuracy, a network that detects nothing would win; write mode: pareto "
            "with mask_ap beside it, or, to limit the time, mode: budget with mask_ap",
        )


def read_sampler(source: Source) -> tuple[str, int]:
    """Return the sampler and its seed."""
    data = source.data.get("sampler", "tpe")
    choice = {"name": data} if isinstance(data, str) else data
    if not isinstance(choice, Mapping):
        raise source.unlike(("sampler",), "such as {name: tpe, seed: 0}", data)
    faults = Faults()
    with faults.part():
        source.check_keys(("sampler",), choice, ("name", "seed"))
    name, seed = choice.get("name", "tpe"), choice.get("seed", 0)
    words = faults.read_each(
        {
            "name": partial(source.word, ("sampler", "name"), name, SAMPLERS),
            "seed": partial(source.value, ("sampler", "seed"), SamplerSeed, seed),
        }
    )
    faults.raise_any()
    return words["name"], words["seed"]


def read_pruner(
    source: Source, mode: str | None, objectives: Sequence[Objective]
) -> tuple[str, Mapping[str, object]]:
    """Return the pruner and its options, which are Optuna's; without a mode it may fit or not."""
    can_prune = mode is not None and _can_prune(mode, objectives)
    data = source.data.get("pruner", "median" if can_prune else "none")
    choice = data if isinstance(data, Mapping) else {"name": "none" if data is None else data}
    name, faults = "none", Faults()
    with faults.part():
        name = source.word(("pruner",), choice.get("name", "median"), PRUNERS)
        if mode is not None and PRUNERS[name] and not can_prune:
            raise source.error(("pruner",), _why_not_pruned(mode, objectives[0].metric))
    options = {str(key): value for key, value in choice.items() if key != "name"}
    for key, value in options.items():  # Optuna knows which there are; it takes what is no number
        with faults.part():
            source.value(("pruner", key), PrunerOption, value)
    faults.raise_any()
    return name, options


def _can_prune(mode: str, objectives: Sequence[Objective]) -> bool:
    first = objectives[0]
    return not MODES[mode].has_front and first.maximise and first.metric in VALIDATED


def _why_not_pruned(mode: str, metric: str) -> str:
    if MODES[mode].has_front:
        return "a trial with several objectives cannot be pruned; leave the key out"
    return (
        f"validation during training measures {', '.join(VALIDATED)}; a trial cannot be pruned "
        f"by {metric}: leave the key out"
    )


def read_space(source: Source, faults: Faults) -> Space:
    """Return the space in a spec, without what is wrong with it, which is in `faults`."""
    data = source.data.get("space")
    if not isinstance(data, Mapping) or not data:
        faults.add(source.unlike(("space",), "such as {protonet.k: [8, 32]}", data))
        return {}
    return faults.read_each(
        {
            str(path): partial(_entry, source, ("space", str(path)), value)
            for path, value in data.items()
        }
    )


def _entry(source: Source, path: KeyPath, value: object) -> Domain | Components:
    if isinstance(value, Mapping) and not _is_number(value):
        if "." in path[-1]:
            raise source.error(path, "an option has values: a list, or {low: …, high: …}")
        return _components(source, path, value)
    return _domain(source, path, value)


def _components(source: Source, path: KeyPath, value: Mapping[str, object]) -> Components:
    options: dict[str, dict[str, Domain]] = {}
    fixed: dict[str, dict[str, object]] = {}
    faults = Faults()
    for component, choices in value.items():
        name = str(component)
        options[name], fixed[name] = {}, {}
        if choices is None:
            continue
        if not isinstance(choices, Mapping):
            message = f"expected the options of {name}, such as {{}}, got {brief(choices)}"
            faults.add(source.error((*path, name), message))
            continue
        for option, one in choices.items():
            where = (*path, name, str(option))
            if isinstance(one, list) or _is_number(one):
                with faults.part():
                    options[name][str(option)] = _domain(source, where, one)
            else:
                fixed[name][str(option)] = one
    faults.raise_any()
    if not options:
        raise source.error(path, "expected components by name, such as fast: {}, got {}")
    return Components(options=options, fixed=fixed)


def _domain(source: Source, path: KeyPath, value: object) -> Domain:
    if isinstance(value, list):
        if not value:
            raise source.error(path, "expected at least one value, such as [8, 32], got []")
        try:
            stored = [to_stored(one) for one in value]
        except TypeError as error:  # a date, or keys of several types
            raise source.unlike(
                path, "a list of words, numbers, lists or mappings", value
            ) from error
        twice = [one for index, one in enumerate(stored) if one in stored[:index]]
        if twice:
            raise source.error(path, f"the value {brief(twice[0])} is given twice; remove one")
        return ValueList(values=tuple(value))
    if isinstance(value, Mapping) and _is_number(value):
        return _number(source, path, value)
    raise source.unlike(path, "a list of values, or {low: …, high: …, log: true, step: …}", value)


def _is_number(value: object) -> bool:
    return isinstance(value, Mapping) and ("low" in value or "high" in value)


def _number(source: Source, path: KeyPath, value: Mapping[str, object]) -> Number:
    faults = Faults()
    with faults.part():
        source.check_keys(path, value, ("low", "high", "log", "step"))
    low, high, step = value.get("low"), value.get("high"), value.get("step")
    log = value.get("log", False)
    if low is None or high is None:
        faults.raise_any()  # one of them may be misspelt
        raise source.error(path, "write both low and high")
    types = {"low": Anywhere, "high": Anywhere, "step": Positive | None, "log": bool}
    for key, one in {"low": low, "high": high, "step": step, "log": log}.items():
        with faults.part():
            source.value((*path, key), types[key], one)
    faults.raise_any()
    number = Number(low=low, high=high, log=log, step=step)  # type: ignore[arg-type]
    if not number.low < number.high:
        raise source.error(path, f"low must be below high, got {low} and {high}")
    if number.steps == 0:
        message = f"expected at most {high} - {low}, or only {low} is ever drawn, got {step}"
        raise source.error((*path, "step"), message)
    if log and (number.low <= 0 or step is not None):
        message = f"with log: true write low above 0 and no step, got low {low} and step {step}"
        raise source.error(path, message)
    return number
