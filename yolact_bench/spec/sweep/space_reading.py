"""The `space` of a sweep's YAML, checked for what can be known without components.

Mistakes are SpecErrors with file, line and key.
"""

from collections.abc import Mapping

from yolact_bench.spec.source import KeyPath, Source
from yolact_bench.spec.sweep.space import Components, Domain, Number, Space, Values, to_stored


def read_space(source: Source, key: str = "space") -> Space:
    """Return the space in a spec."""
    data = source.data.get(key)
    if not isinstance(data, Mapping) or not data:
        raise source.error((key,), "expected a mapping of slots or options to what they may be")
    return {str(path): _entry(source, (key, str(path)), value) for path, value in data.items()}


def _entry(source: Source, path: KeyPath, value: object) -> Domain | Components:
    if isinstance(value, Mapping) and not _is_number(value):
        if "." in path[-1]:
            raise source.error(path, "an option has values: a list, or {low: …, high: …}")
        return _components(source, path, value)
    return _domain(source, path, value)


def _components(source: Source, path: KeyPath, value: Mapping[str, object]) -> Components:
    options: dict[str, dict[str, Domain]] = {}
    given: dict[str, dict[str, object]] = {}
    for component, choices in value.items():
        name = str(component)
        options[name], given[name] = {}, {}
        if choices is None:
            continue
        if not isinstance(choices, Mapping):
            message = f"expected the options of {name}, such as {{}}, got {choices!r}"
            raise source.error((*path, name), message)
        for option, one in choices.items():
            where = (*path, name, str(option))
            if isinstance(one, list) or _is_number(one):
                options[name][str(option)] = _domain(source, where, one)
            else:
                given[name][str(option)] = one
    if not options:
        raise source.error(path, "names no component")
    return Components(options=options, given=given)


def _domain(source: Source, path: KeyPath, value: object) -> Domain:
    if isinstance(value, list):
        if not value:
            raise source.error(path, "expected at least one value")
        stored = [to_stored(one) for one in value]
        twice = [one for index, one in enumerate(stored) if one in stored[:index]]
        if twice:
            raise source.error(path, f"the value {twice[0]!r} is given twice")
        return Values(values=tuple(value))
    if isinstance(value, Mapping) and _is_number(value):
        return _number(source, path, value)
    raise source.error(
        path,
        f"expected a list of values, or {{low: …, high: …, log: true, step: …}}, got {value!r}",
    )


def _is_number(value: object) -> bool:
    return isinstance(value, Mapping) and ("low" in value or "high" in value)


def _number(source: Source, path: KeyPath, value: Mapping[str, object]) -> Number:
    source.check_keys(path, value, ("low", "high", "log", "step"))
    low, high, step = value.get("low"), value.get("high"), value.get("step")
    log = value.get("log", False)
    if type(low) not in (int, float) or type(high) not in (int, float):
        raise source.error(path, f"low and high must be numbers, got {low!r} and {high!r}")
    if step is not None and type(step) not in (int, float):
        raise source.error((*path, "step"), f"expected a number, got {step!r}")
    if not isinstance(log, bool):
        raise source.error((*path, "log"), f"expected true or false, got {log!r}")
    number = Number(low=low, high=high, log=log, step=step)  # type: ignore[arg-type]
    if not number.low < number.high:
        raise source.error(path, f"low must be below high, got {low} and {high}")
    if log and (number.low <= 0 or step is not None):
        raise source.error(path, "a logarithmic range starts above 0 and has no step")
    if number.step is not None and number.step <= 0:
        raise source.error((*path, "step"), f"expected a step above 0, got {step}")
    return number
