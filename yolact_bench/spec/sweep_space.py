"""The `space` of a sweep's YAML, read with the line of every mistake."""

from collections.abc import Mapping

from yolact_bench.errors import SpecError
from yolact_bench.spec.run import Run
from yolact_bench.spec.source import KeyPath, Source
from yolact_bench.spec.space import Component, Domain, Numbers, Space, Values

KEY = "space"
_RANGE = {"low": 0, "high": 0, "log": 0, "step": 0}


def read_space(source: Source, base: Run) -> Space:
    """Return the space of a spec; whether components have its options is checked elsewhere.

    Raises:
        SpecError: with file, line and key.
    """
    written = source.data.get(KEY)
    if not isinstance(written, Mapping) or not written:
        raise source.error((KEY,), "expected what is searched, such as {protonet.k: [8, 16, 32]}")
    components: dict[str, Mapping[str, Component]] = {}
    plain: dict[str, Domain] = {}
    for key, value in written.items():
        path = str(key)
        where = (KEY, path)
        _check_slot(source, where, base, path)
        if isinstance(value, Mapping) and "low" not in value and "." not in path:
            components[path] = _components(source, where, value)
        else:
            plain[path] = _domain(source, where, value)
    for path in plain:
        slot, _, option = path.partition(".")
        for name, component in components.get(slot, {}).items():
            if option in {*component.options, *component.fixed}:
                raise source.error((KEY, path), f"is an option of {slot}.{name} already")
    return Space(components=components, plain=plain)


def _check_slot(source: Source, where: KeyPath, base: Run, path: str) -> None:
    slot, _, option = path.partition(".")
    try:
        base.changed({slot: getattr(base, slot, None)})
    except SpecError as error:
        raise source.error(where, str(error)) from error
    if option and not isinstance(getattr(base, slot), Mapping):
        raise source.error(where, f"{slot} is a single value, it has no option {option!r}")
    if slot in ("dataset", "classes", "seed"):
        raise source.error(
            where, "trials would not compare: data and seed are the same for all of a sweep"
        )


def _components(
    source: Source, where: KeyPath, written: Mapping[object, object]
) -> dict[str, Component]:
    if not written:
        raise source.error(where, "names no component")
    found = {}
    for key, value in written.items():
        name = str(key)
        inner = (*where, name)
        if not isinstance(value, Mapping | None):
            raise source.error(
                inner, f"expected its options, such as {{max_iou: {{low: 0.3, high: 0.7}}}}, or "
                f"{{}} for none; got {value!r}"
            )  # fmt: skip
        options = {str(option): item for option, item in (value or {}).items()}
        searched = {o: item for o, item in options.items() if isinstance(item, list | Mapping)}
        found[name] = Component(
            options={o: _domain(source, (*inner, o), item) for o, item in searched.items()},
            fixed={o: item for o, item in options.items() if o not in searched},
        )
    return found


def _domain(source: Source, where: KeyPath, value: object) -> Domain:
    if isinstance(value, list):
        return _values(source, where, value)
    if isinstance(value, Mapping):
        return _numbers(source, where, {str(key): item for key, item in value.items()})
    raise source.error(
        where, f"expected a list of values, or {{low: …, high: …}}; got {value!r}; what is the "
        "same in every trial goes under set:"
    )  # fmt: skip


def _values(source: Source, where: KeyPath, values: list[object]) -> Values:
    domain = Values(values=tuple(values))
    labels = [(type(label), label) for label in domain.labels()]
    if len(values) < 2 or len(set(labels)) < len(labels):
        raise source.error(where, f"expected two or more different values, got {values!r}")
    return domain


def _numbers(source: Source, where: KeyPath, written: Mapping[str, object]) -> Numbers:
    source.check_keys(where, written, _RANGE)
    for end in ("low", "high", "step"):
        number = written.get(end, 0 if end == "step" else None)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise source.error((*where, end), f"expected a number, got {written.get(end)!r}")
    if not isinstance(written.get("log", False), bool):
        raise source.error((*where, "log"), f"expected true or false, got {written['log']!r}")
    numbers = Numbers(**written)  # type: ignore[arg-type]
    for key, message in _faults(numbers):
        raise source.error((*where, key), message)
    return numbers


def _faults(numbers: Numbers) -> list[tuple[str, str]]:
    low, high, step = numbers.low, numbers.high, numbers.step
    faults = []
    if not low < high:
        faults.append(("low", f"expected less than high, which is {high}; got {low}"))
    if numbers.log and low <= 0:
        faults.append(("low", f"expected more than 0, as log is true; got {low}"))
    if step is not None and (numbers.log or step <= 0):
        faults.append(("step", "expected more than 0, and no log beside it"))
    elif step is not None and abs((high - low) / step - round((high - low) / step)) > 1e-9:
        faults.append(("step", f"does not lead from {low} to {high}; choose another end"))
    return faults
