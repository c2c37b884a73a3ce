"""The borders of a sweep's space: few settings, by which all of it can be checked."""

from collections.abc import Iterator, Mapping

from yolact_bench.spec.sweep.space import Components, Domain, Space


def borders(space: Space) -> Iterator[tuple[tuple[str, ...], Mapping[str, object]]]:
    """Yield every value of a list and both ends of a range once: its key, and what it changes.

    One choice is changed at a time, the rest is the base's.
    """
    for path, entry in space.items():
        if isinstance(entry, Components):
            yield from _of_components(path, entry)
            continue
        for above in _above(space, path):
            for value in entry.ends:
                yield (path,), {**above, path: value}


def _of_components(
    path: str, entry: Components
) -> Iterator[tuple[tuple[str, ...], Mapping[str, object]]]:
    for component, options in entry.options.items():
        first = _first(entry, component, options)
        yield (path, component), {path: first}
        for name, domain in options.items():
            for value in domain.ends[1:]:
                yield (path, component, name), {path: {**first, name: value}}


def _above(space: Space, path: str) -> list[dict[str, object]]:
    """An option that varies beside the components of its slot belongs to every one of them."""
    slot = path.partition(".")[0]
    entry = space.get(slot)
    if slot == path or not isinstance(entry, Components):
        return [{}]
    return [{slot: _first(entry, name, options)} for name, options in entry.options.items()]


def _first(entry: Components, component: str, options: Mapping[str, Domain]) -> dict[str, object]:
    lowest = {name: domain.ends[0] for name, domain in options.items()}
    return {"name": component, **entry.given[component], **lowest}
