"""From a name and its options to a component; the component's signature is the schema."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, get_type_hints

from yolact_bench.errors import Faults, SpecError, brief, hint
from yolact_bench.option_values import check_value, kind_of, plain

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., object])
ENTRY_GROUP = "yolact_bench."  # of entry points; the name of the slot follows
# What `with_facts` may state; the protocol of a slot says what each of its facts means.
FACTS = frozenset(
    (
        *("blocks", "convolve_map", "fault", "fewest_images", "fills_network"),
        *("fixed", "halvings", "image_size_option", "imagenet", "keeps_scores"),
        *("kernels", "later", "lengths", "makes_nothing", "needs_imagenet"),
        *("needs_net", "of_batch", "on_cpu", "own", "pixels"),
        *("random", "rates", "reads_rows", "row_by_row", "takes_halves"),
        *("trains_from", "unused_with", "warm_ups", "widens_halves"),
    )
)
Choice = Mapping[str, object]  # {"name": component, option: value, ...}


@cache
def outside_entries() -> list[EntryPoint]:
    """Return the components that other packages offer, not yet imported: `catalog` loads them."""
    groups = (group for group in entry_points().groups if group.startswith(ENTRY_GROUP))
    return [entry for group in sorted(groups) for entry in entry_points(group=group)]


@cache
def options_of(component: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    """Return the options of a component: the keyword-only parameters of its signature."""
    parameters = inspect.signature(component).parameters.values()
    return {p.name: p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


@cache
def defaults_of(component: Callable[..., object]) -> Mapping[str, object]:
    """Return the options that have a default, as plain data."""
    options = options_of(component).values()
    return {p.name: plain(p.default) for p in options if p.default is not inspect.Parameter.empty}


@cache
def types_of(component: Callable[..., object]) -> Mapping[str, object]:
    """Return the annotations of a component's options, ranges included."""
    signed = component.__init__ if inspect.isclass(component) else component
    types = get_type_hints(signed, include_extras=True)
    return {option: types.get(option, object) for option in options_of(component)}


def find_component(table: Mapping[str, C], choice: Choice) -> C | None:
    """Return the component that a choice names; None where there is none of that name."""
    return table.get(str(choice.get("name")))


def with_facts(**facts: object) -> Callable[[C], C]:
    """Mark a component with what others must know of it; its slot says which facts it may have.

    Nothing else in the program knows a component by its name or class. Three facts every component
    may have: `unused_with`, option → another option and the values of it with which the option has
    no effect. `resolve` then refuses it, as two names of one run would pass for two arms. `later`,
    the options that it did not always have: at their default they are left out of what is
    resolved, so that the digests of runs stay what they were without them. `own`, the options that
    it does not take over from the component whose place it takes: those it is named after, and
    those whose name means something else in its slot.

    Raises:
        SpecError: no fact has such a name. A misspelt one would switch a check off in silence.
    """
    for name in facts:
        if name not in FACTS:
            raise SpecError(f"with_facts: no fact is named {brief(name)}{hint(name, FACTS)}")

    def mark(component: C) -> C:
        for name, value in facts.items():
            setattr(component, name, value)
        return component

    return mark


def fact(component: object, name: str) -> Any:  # noqa: ANN401
    """Return a fact of a component, bound to options or not; None where it does not have it."""
    return getattr(getattr(component, "func", component), name, None)


def form_of(component: object, name: str) -> Any:  # noqa: ANN401
    """Return another form of a component, which a fact states, bound to its options; or None."""
    form = fact(component, name)
    return None if form is None else partial(form, **getattr(component, "keywords", {}))


def options_by_fact(slot: str, component: Callable[..., object], name: str) -> tuple[str, ...]:
    """Return the names of options that a fact of a component lists.

    Raises:
        SpecError: the component does not state the fact.
    """
    options: tuple[str, ...] | None = fact(component, name)
    if options is None:
        here = getattr(getattr(component, "func", component), "__qualname__", repr(component))
        raise SpecError(
            f"{slot}: the component {here} does not state which of its options are {brief(name)}; "
            f"write @with_facts({name}=(…)) above it, with their names, or () if it has none"
        )
    return options


def resolve(
    slot: str, table: Mapping[str, Callable[..., object]], choice: Choice
) -> dict[str, object]:
    """Return `choice` with every option written out, defaults included but for `later` options.

    Two specs that mean the same component resolve to equal mappings, so digests agree.

    Raises:
        SpecError: unknown name or option, a value of the wrong type, a missing option, an option
            that has no effect with the others.
    """
    if "name" not in choice:
        raise SpecError(f"{slot}: 'name' is missing{hint('', table)}")
    name = str(choice["name"])
    if name not in table:
        raise SpecError(f"{slot}: no component is named {brief(name)}{hint(name, table)}")
    component, where = table[name], f"{slot}.{name}"
    faults = Faults()
    accepted = options_of(component)
    for option in choice:
        if option != "name" and option not in accepted:
            message = f"no option is named {brief(option)}{hint(option, accepted)}"
            faults.add(SpecError(f"{where}: {message}"))
    # A misspelt option may be the one that is missing.
    missing = () if faults else accepted.keys() - defaults_of(component).keys() - choice.keys()
    for option in [one for one in accepted if one in missing]:
        kind = kind_of(types_of(component)[option])
        remedy = f"{slot}: {{name: {name}, {option}: ...}}, where {option} is {kind}"
        faults.add(SpecError(f"{where}: the option {brief(option)} is required; write {remedy}"))
    resolved = {"name": name, **_values(where, component, choice, faults)}
    faults.raise_any()
    _check_effects(where, component, resolved)
    return _without_later(component, resolved)


def _values(
    where: str, component: Callable[..., object], choice: Choice, faults: Faults
) -> dict[str, object]:
    """Return the options of a component, checked where they are chosen; wrong ones are left out."""
    types, defaults = types_of(component), defaults_of(component)
    values: dict[str, object] = {}
    for option in options_of(component):
        if option in choice:
            with faults.part():
                place = f"{where}.{option}: "
                values[option] = check_value(types[option], choice[option], where=place)
        elif option in defaults:
            values[option] = defaults[option]
    return values


def pick(slot: str, table: Mapping[str, Callable[..., T]], choice: Choice) -> Callable[..., T]:
    """Bind `choice`, a name and its options, to the component of that name in `table`.

    A component's keyword-only parameters are its options and carry the paper's values as
    defaults, so a spec states only what it changes and a new option needs no second edit.

    Raises:
        SpecError: unknown name or option, or a value of the wrong type.
    """
    options = resolve(slot, table, choice)
    name = str(options.pop("name"))
    return partial(table[name], **options)


def _without_later(component: Callable[..., object], resolved: Choice) -> dict[str, object]:
    """Leave out the options that a component did not always have, at their default."""
    later, defaults = fact(component, "later") or (), defaults_of(component)
    return {k: v for k, v in resolved.items() if k not in later or v != defaults[k]}


def _check_effects(where: str, component: Callable[..., object], resolved: Choice) -> None:
    """Refuse an option that has no effect with another, unless it is as if not written."""
    defaults, faults = defaults_of(component), Faults()
    for option, (other, values) in (fact(component, "unused_with") or {}).items():
        value, default, cause = resolved[option], defaults[option], resolved[other]
        if value != default and cause in values:
            message = f"{value} has no effect with {other}: {cause}"
            remedy = f"write {option}: {default}, which is the default, or another {other}"
            faults.add(SpecError(f"{where}.{option}: {message}; {remedy}"))
    faults.raise_any()
