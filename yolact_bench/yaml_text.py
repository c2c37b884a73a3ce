"""YAML with the line of every key, its size, depth and aliases limited before it is expanded.

Words without quotes stand for what they do in the core schema of YAML 1.2. So `no`, `on`, `1:30`
and `2024-01-01`, which YAML 1.1 takes for other things, are texts, and `1e-3` is a number. Beyond
the schema `1_000` is a number, and `010` a text, as it is 10 in this version and 8 in the other.
`<<` merges mappings.
"""

import re
from collections.abc import Hashable, Mapping
from typing import cast

import yaml

from yolact_bench.errors import SpecError

KeyPath = tuple[str, ...]

_MOST_VALUES = 50_000  # every alias counts as all that it stands for
_DEEPEST = 50
_LONGEST_NUMBER = 100  # characters, so that every whole number is a float as well
# What the constructors of PyYAML raise for a text that is not of its tag.
_UNREADABLE = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError)

_TAG = "tag:yaml.org,2002:"
_DIGITS = "[0-9]+(?:_[0-9]+)*"
_EXPONENT = "[eE][-+]?[0-9]+"
# Tag → words, and the characters that these begin with. The first that fits counts.
_RULES = {
    "merge": ("<<", "<"),
    "null": ("~|null|Null|NULL|", [*"~nN", ""]),
    "bool": ("true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (f"[-+]?(?:0|(?!0){_DIGITS})|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        rf"[-+]?(?:(?:{_DIGITS}\.[0-9]*|\.[0-9]+)(?:{_EXPONENT})?|{_DIGITS}{_EXPONENT})"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
}


def _add_rules(reader_or_writer: type[yaml.SafeLoader] | type[yaml.SafeDumper]) -> None:
    """Make a reader know the rules, or a writer quote texts that they would take for others."""
    for tag, (words, first) in _RULES.items():
        reader_or_writer.add_implicit_resolver(_TAG + tag, re.compile(rf"(?:{words})\Z"), [*first])


def _as_text(key: yaml.Node) -> yaml.Node:
    """Return a key of a mapping, which is a text whatever it looks like."""
    if not isinstance(key, yaml.ScalarNode):
        return key
    return yaml.ScalarNode(f"{_TAG}str", key.value, key.start_mark, key.end_mark, key.style)


class _Loader(yaml.SafeLoader):
    """Safe YAML by these rules, with keys that are texts."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values = self._level = 0
        self._extents: dict[yaml.Node, tuple[int, int]] = {}  # values in a node, its levels

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        """Return the next node.

        Raises:
            YAMLError: too many values, too many levels, or an alias within what it stands for.
        """
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        before = self._values
        self._level += 1
        self._check(event, levels=0)
        node = cast("yaml.Node", super().compose_node(parent, cast("int", index)))
        if not isinstance(event, yaml.AliasEvent):
            self._values += 1
            self._extents[node] = (self._values - before, 1 + self._levels_below(node))
        elif node in self._extents:
            self._values += self._extents[node][0]
            self._check(event, levels=self._extents[node][1] - 1)
        else:
            raise _fault("an alias within what it stands for", event)
        self._level -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        """Return what a node says.

        Raises:
            YAMLError: a text that is not of its tag, such as !!int x.
        """
        is_number = node.tag.endswith((":int", ":float"))
        if is_number and len(node.value) > _LONGEST_NUMBER:
            raise _fault(f"a number of {len(node.value):,} characters", node)
        try:
            return super().construct_object(node, deep)
        except _UNREADABLE as error:
            kind = node.tag.rpartition(":")[2]
            raise _fault(f"not a value of type {kind}", node) from error

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        """Return a mapping by its keys as they are written."""
        self.flatten_mapping(node)
        node.value = [(_as_text(key), value) for key, value in node.value]
        return super().construct_mapping(node, deep)

    def _levels_below(self, node: yaml.Node) -> int:
        inner = [] if isinstance(node, yaml.ScalarNode) else node.value
        if isinstance(node, yaml.MappingNode):
            inner = [one for pair in inner for one in pair]
        return max((self._extents[one][1] for one in inner), default=0)

    def _check(self, event: yaml.Event, *, levels: int) -> None:
        if self._level + levels > _DEEPEST:
            raise _fault(f"more than {_DEEPEST} levels", event)
        if self._values > _MOST_VALUES:
            number = f"{_MOST_VALUES:,}"
            message = f"more than {number} values, each alias counted as what it stands for"
            raise _fault(message, event)


class _Dumper(yaml.SafeDumper):
    """Safe YAML, with quotes where this or another reader would take a text for a number."""


_Loader.yaml_implicit_resolvers = {}
_add_rules(_Loader)
_add_rules(_Dumper)


def parse_yaml(
    text: str, *, where: str, remedy: str = "correct it there"
) -> tuple[object, Mapping[KeyPath, int]]:
    """Return what a text in YAML says, and the line of every key.

    Raises:
        SpecError: malformed, too large once its aliases are expanded, or a duplicate key; `where`
            begins the message.
    """
    lines: dict[KeyPath, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        _collect(where, node, (), lines)  # before << is expanded
        return (None if node is None else loader.construct_document(node)), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise SpecError(f"{where}{line}: not valid YAML: {problem[:300]}; {remedy}") from error


def dump_yaml(data: object, *, one_line: bool = False) -> str:
    """Return plain data as YAML that `parse_yaml` reads back, in the order of its keys."""
    text: str = yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=10**9 if one_line else None,
        default_flow_style=one_line,
    )
    return text.removesuffix("\n").removesuffix("\n...").strip() if one_line else text


def _fault(problem: str, at: yaml.Event | yaml.Node) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)  # type: ignore[arg-type]


def _collect(where: str, node: yaml.Node | None, path: KeyPath, lines: dict[KeyPath, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            if inner in lines:
                raise SpecError(
                    f"{where}:{key.start_mark.line + 1}: {'.'.join(inner)}: given twice "
                    f"(first on line {lines[inner]}); remove one"
                )
            lines[inner] = key.start_mark.line + 1
            _collect(where, value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[*path, str(index)] = value.start_mark.line + 1
            _collect(where, value, (*path, str(index)), lines)
