"""From a name and its options to a component; the component's signature is the schema."""

import difflib
import inspect
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from yolact_bench.errors import SpecError

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., object])
ENTRY_GROUP = "yolact_bench."  # of entry points; the name of the slot follows
MOST_NAMED = 24  # words in a message
# What `with_facts` may state; the protocol of a slot says what each of its facts means.
FACTS = frozenset(
    [
        "blocks",
        "convolve_map",
        "fault",
        "fewest_images",
        "fixed",
        "halvings",
        "image_size_option",
        "imagenet",
        "keeps_scores",
        "kernels",
        "lengths",
        "makes_nothing",
        "needs_imagenet",
        "needs_net",
        "of_batch",
        "on_cpu",
        "pixels",
        "random",
        "rates",
        "row_by_row",
        "trains_from",
        "unused_with",
        "warm_ups",
        "widens_halves",
    ]
)
Choice = Mapping[str, object]  # {"name": component, option: value, ...}

# The ranges of numeric options, as annotations; `resolve` refuses what is outside, and whatever is
# not finite.
Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
CountOrZero: TypeAlias = Annotated[int, Field(ge=0)]
AtLeastOne: TypeAlias = Annotated[float, Field(ge=1)]
_RANGES = {"gt": "above {:g}", "ge": "of at least {:g}", "lt": "below {:g}", "le": "at most {:g}"}
_NOUNS: Mapping[object, str] = {int: "whole number", float: "number", str: "text", tuple: "list"}
_WORDS: Mapping[object, str] = {bool: "true or false", NoneType: "null"}


def hint(word: str, known: Collection[str]) -> str:
    """Return " (did you mean ...?); available: ..." for an unknown `word`."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{guess}; available: {word_list(sorted(known))}"


def word_list(words: Sequence[str]) -> str:
    """Return words for a message, the first of them if there are many."""
    if len(words) <= MOST_NAMED:
        return ", ".join(words) or "nothing"
    return f"{', '.join(words[: MOST_NAMED // 2])}, … ({len(words)} in all)"


@cache
def outside_entries() -> list[EntryPoint]:
    """Return the components that other packages offer, not yet imported: `catalog` loads them."""
    groups = (group for group in entry_points().groups if group.startswith(ENTRY_GROUP))
    return [entry for group in sorted(groups) for entry in entry_points(group=group)]


def options_of(component: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """Return the options of a component: the keyword-only parameters of its signature."""
    parameters = inspect.signature(component).parameters.values()
    return {p.name: p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def defaults_of(component: Callable[..., object]) -> dict[str, object]:
    """Return the options that have a default, as plain data."""
    options = options_of(component).values()
    return {p.name: _plain(p.default) for p in options if p.default is not inspect.Parameter.empty}


def find_component(table: Mapping[str, C], choice: Choice) -> C | None:
    """Return the component that a choice names; None where there is none of that name."""
    return table.get(str(choice.get("name")))


def with_facts(**facts: object) -> Callable[[C], C]:
    """Mark a component with what others must know of it; its slot says which facts it may have.

    Nothing else in the program knows a component by its name or class. One fact every component
    may have: `unused_with`, option → another option and the values of it with which the option has
    no effect. `resolve` then refuses it, as two names of one run would pass for two arms.

    Raises:
        SpecError: no fact has such a name. A misspelt one would switch a check off in silence.
    """
    for name in facts:
        if name not in FACTS:
            raise SpecError(f"with_facts: no fact is named {name!r}{hint(name, FACTS)}")

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
            f"{slot}: the component {here} does not state which of its options are {name!r}; "
            f"write @with_facts({name}=(…)) above it, with their names, or () if it has none"
        )
    return options


def resolve(
    slot: str, table: Mapping[str, Callable[..., object]], choice: Choice
) -> dict[str, object]:
    """Return `choice` with every option written out, defaults included, values checked.

    Two specs that mean the same component resolve to equal mappings, so digests agree.

    Raises:
        SpecError: unknown name or option, a value of the wrong type, a missing option, an option
            that has no effect with the others.
    """
    if "name" not in choice:
        raise SpecError(f"{slot}: 'name' is missing{hint('', table)}")
    name = str(choice["name"])
    if name not in table:
        raise SpecError(f"{slot}: no component is named {name!r}{hint(name, table)}")
    accepted = options_of(table[name])
    for option in choice:
        if option != "name" and option not in accepted:
            raise SpecError(f"{slot}.{name}: no option is named {option!r}{hint(option, accepted)}")
    component = table[name]
    hints = get_type_hints(
        component.__init__ if inspect.isclass(component) else component, include_extras=True
    )
    resolved: dict[str, object] = {"name": name}
    for option, parameter in accepted.items():
        if option in choice:
            where = f"{slot}.{name}.{option}"
            resolved[option] = _check_value(where, hints.get(option, object), choice[option])
        elif parameter.default is inspect.Parameter.empty:
            raise SpecError(
                f"{slot}.{name}: the option {option!r} is required; write "
                f"{slot}: {{name: {name}, {option}: ...}}, where {option} is "
                f"{kind_of(hints.get(option, object))}"
            )
        else:
            resolved[option] = _plain(parameter.default)
    _check_effects(f"{slot}.{name}", component, resolved)
    return resolved


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


def _check_effects(where: str, component: Callable[..., object], resolved: Choice) -> None:
    """Refuse an option that has no effect with another, unless it is as if not written."""
    defaults = defaults_of(component)
    for option, (other, values) in (fact(component, "unused_with") or {}).items():
        value, default, cause = resolved[option], defaults[option], resolved[other]
        if value != default and cause in values:
            raise SpecError(
                f"{where}.{option}: {value} has no effect with {other}: {cause}; write "
                f"{option}: {default}, which is the default, or another {other}"
            )


def _check_value(where: str, expected: object, value: object) -> object:
    """Return `value` as the annotation `expected` wants it, as plain YAML-able data."""
    strict = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)
    try:
        adapter: TypeAdapter[object] = TypeAdapter(expected, config=strict)  # type: ignore[arg-type]
        # JSON rules: a list is accepted where a tuple is meant, but "8" is not an integer.
        return _plain(adapter.validate_json(json.dumps(value), strict=True))
    except (ValidationError, TypeError) as error:
        if get_origin(expected) is Literal:
            values = {str(one): one for one in get_args(expected)}
            text = f"{where}: no value is named {value!r}{hint(str(value), values)}"
            raise SpecError(text) from error
        raise SpecError(f"{where}: expected {kind_of(expected)}, got {value!r}") from error


def kind_of(expected: object, *, many: bool = False) -> str:
    """Return how a message names a type, such as "a whole number of at least 1"."""
    metadata: Sequence[object] = ()
    if get_origin(expected) is Annotated:
        expected, *metadata = get_args(expected)
    limits = [limit for field in metadata for limit in getattr(field, "metadata", ())]
    origin, arguments = get_origin(expected), get_args(expected)
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in {Union, UnionType}:
        return " or ".join(kind_of(one, many=many) for one in arguments)
    if origin is not None and issubclass(origin, Sequence):
        items = f"{_length(limits)}{kind_of(arguments[0], many=True)}"
        return f"lists of {items}" if many else f"a list of {items}"
    if expected in _WORDS:
        return _WORDS[expected]
    noun = _NOUNS.get(expected, getattr(expected, "__name__", str(expected)))
    ranges = [
        words.format(getattr(limit, name))
        for limit in limits
        for name, words in _RANGES.items()
        if hasattr(limit, name)
    ]
    return " ".join([f"{noun}s" if many else f"a {noun}", " and ".join(ranges)]).rstrip()


def _length(limits: Sequence[object]) -> str:
    """Return how many items a list has, followed by a space, or nothing."""
    least = max((getattr(limit, "min_length", 0) for limit in limits), default=0)
    exact = any(getattr(limit, "max_length", None) == least for limit in limits)
    return f"{least} " if exact else f"{least} or more " if least else ""


def _plain(value: object) -> object:
    """Tuples as lists, so that a resolved choice equals what YAML reads back."""
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
