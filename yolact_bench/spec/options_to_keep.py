"""What a choice keeps of the one whose place it takes: the options that it does not write itself.

So a swap of components changes nothing else unseen. Within a slot options of one name have one
meaning; the exceptions are a fact of their component, `own`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields

from yolact_bench.errors import SpecError
from yolact_bench.option_values import check_value, plain
from yolact_bench.slots import (
    Choice,
    defaults_of,
    fact,
    find_component,
    options_of,
    types_of,
)
from yolact_bench.spec.run import Run

DEFAULTS = "defaults"  # a key of a choice, which is not part of the run
COMPONENT = "component"  # its value: the options are the component's own
_FOLLOWS = {"sha256": "file", "classes": "file"}  # say what is in the file of that option
_SLOTS = frozenset(f.name for f in fields(Run) if f.type == Choice and f.name != "dataset")

_Table = Mapping[str, Callable[..., object]]


def keep_options(slot: str, choice: Choice, places: Sequence[Choice]) -> dict[str, object]:
    """Return the choice with the options that it keeps of those whose place it takes.

    Of an option that several of them have the last counts, its default included. Not kept are
    options that the component states as its own, those without effect beside the others, and,
    with `defaults: component`, all.

    Raises:
        SpecError: a value that the component does not take, or a word that `defaults` is not.
    """
    written = {option: value for option, value in choice.items() if option != DEFAULTS}
    if DEFAULTS in choice:
        _check_word(slot, choice)
    elif places:
        table = _components(slot)
        component = find_component(table, written)
        if component is not None:  # otherwise resolving reports the mistake
            return written | dict(_values_to_keep(slot, component, written, places, table))
    return written


def is_choice(path: str) -> bool:
    """Return whether a path of a spec is a slot of components, of which one is chosen."""
    return path in _SLOTS


def keep_nothing(changes: Mapping[str, object]) -> dict[str, object]:
    """Return the changes with choices that are all there is: their other options are their own."""
    return {
        path: {**({"name": value} if isinstance(value, str) else value), DEFAULTS: COMPONENT}
        if is_choice(path) and isinstance(value, str | Mapping)
        else value
        for path, value in changes.items()
    }


def overlay(changes: Mapping[str, object], later: Mapping[str, object]) -> dict[str, object]:
    """Return both, without options of a slot that is chosen anew later."""
    earlier = {
        path: value for path, value in changes.items() if path.partition(".")[0] not in later
    }
    return {**earlier, **later}


def _values_to_keep(
    slot: str,
    component: Callable[..., object],
    written: Choice,
    places: Sequence[Choice],
    table: _Table,
) -> Iterator[tuple[str, object]]:
    values: dict[str, object] = {}
    givers: dict[str, object] = {}
    for place in places:
        given = _values_of(component, written, place, table)
        values |= given
        givers |= dict.fromkeys(given, place["name"])
    defaults, types = _own_defaults(component), types_of(component)
    effects = fact(component, "unused_with") or {}
    merged = {**defaults_of(component), **values, **written}
    for option, value in values.items():
        other, without = effects.get(option, ("", ()))
        is_default = option in defaults and plain(value) == defaults[option]
        if is_default or merged.get(other) in without:
            continue
        try:
            yield option, check_value(types.get(option, object), value)
        except SpecError as error:
            name, text = written["name"], json.dumps(value, default=str)
            raise SpecError(
                f"{slot}: {name} cannot keep {option}: {text} of {givers[option]} ({error}); write "
                f"{slot}: {{name: {name}, {option}: …}}, or {DEFAULTS}: {COMPONENT} there for the "
                f"options of {name} itself"
            ) from error


def _values_of(
    component: Callable[..., object], written: Choice, place: Choice, table: _Table
) -> dict[str, object]:
    """Return what a component can keep of a choice; another one's own options it has itself."""
    giver = find_component(table, place)
    if giver is None:
        return {}
    apart = () if giver is component else fact(component, "own") or ()
    return {
        option: value
        for option, value in {**_own_defaults(giver), **place}.items()
        if option in options_of(component)
        and option not in (*written, *apart)
        and _FOLLOWS.get(option) not in written
    }


def _own_defaults(component: Callable[..., object]) -> dict[str, object]:
    """Return the defaults that do not depend on another slot."""
    side = fact(component, "image_size_option")
    return {option: value for option, value in defaults_of(component).items() if option != side}


def _check_word(slot: str, choice: Choice) -> None:
    if choice[DEFAULTS] != COMPONENT:
        raise SpecError(
            f"{slot}.{DEFAULTS}: expected {COMPONENT}, got {choice[DEFAULTS]!r}; leave the key out "
            "to keep the options of the baseline"
        )


def _components(slot: str) -> _Table:
    # Components need torch, which a spec that swaps none is read without.
    from yolact_bench.catalog import components

    return components(slot)
