"""YAML read with the line of every key, so that an error can say where."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from yolact_bench.errors import SpecError, hint
from yolact_bench.spec.budget_names import FULL

KeyPath = tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """Safe YAML, with 1e-3 read as a number (YAML 1.1 wants 1.0e-3 and would give a string)."""


_Loader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:float"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
        |\.[0-9_]+(?:[eE][-+]?[0-9]+)?
        |[-+]?\.(?:inf|Inf|INF)
        |\.(?:nan|NaN|NAN))$""",
        re.VERBOSE,
    ),
    list("-+0123456789."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A YAML file: its data, its leading comment, and the line of every key.

    What its methods refuse they report as a SpecError with file, line and key.
    """

    file: str  # as the user named it
    data: Mapping[str, object]
    lines: Mapping[KeyPath, int]
    header: tuple[str, ...]  # leading comment lines, without "# "

    @property
    def folder(self) -> Path:
        return Path(self.file).parent

    @property
    def question(self) -> str:
        return self.header[0] if self.header else ""

    def name(self, budget: str) -> str:
        """Return the spec's name, with the budget unless it is full."""
        name = str(self.data.get("name", Path(self.file).stem))
        return name if budget == FULL else f"{name}-{budget}"

    def mapping(self, path: KeyPath, *, or_none: bool = False) -> Mapping[str, object]:
        """Return the mapping under `path`; empty where the file has no such key."""
        value: object = self.data
        for key in path:
            if isinstance(value, Mapping):
                value = {str(name): one for name, one in value.items()}.get(key, {})
        if value is None and or_none:
            return {}
        if not isinstance(value, Mapping):
            raise self.error(path, f"expected a mapping of slots to choices, got {value!r}")
        return {str(key): item for key, item in value.items()}

    def strings(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return the list of words under `key`; required without a default."""
        value = self.data.get(key, default if default is None else list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error((key,), f"expected a list of words, got {value!r}")
        return tuple(value)

    def where(self, path: KeyPath) -> str:
        """Return "file:line: a.b.c", with the line of the nearest key that the file has."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return f"{self.file}:{self.lines[path[:length]]}: {'.'.join(path)}"
        return f"{self.file}: {'.'.join(path)}" if path else self.file

    def error(self, path: KeyPath, message: str) -> SpecError:
        """Return (not raise) a SpecError that says where."""
        return SpecError(f"{self.where(path)}: {message}")

    def text(self, path: KeyPath, value: object) -> str:
        """Return a value that must be a text, without spaces around it."""
        if not isinstance(value, str) or not value.strip():
            raise self.error(path, f"expected a text, got {value!r}")
        return value.strip()

    def word(self, path: KeyPath, value: object, known: Collection[str]) -> str:
        """Return a value that must be one of the known words."""
        if not isinstance(value, str) or value not in known:
            raise self.error(path, f"unknown {value!r}{hint(str(value), known)}")
        return value

    def check_keys(
        self, path: KeyPath, mapping: Mapping[str, object], known: Collection[str]
    ) -> None:
        """Raise SpecError for the first key of a mapping that is not known."""
        for key in mapping:
            if key not in known:
                raise self.error((*path, str(key)), f"unknown key{hint(str(key), known)}")


def read_spec(path: Path, *, schema: int, keys: Sequence[str]) -> Source:
    """Return the spec in `path`, its schema and top-level keys checked.

    Raises:
        SpecError: as `read`, or another schema, or an unknown key.
    """
    source = read(path)
    source.check_keys((), source.data, keys)
    if source.data.get("schema") != schema:
        raise source.error(
            ("schema",), f"expected schema: {schema}, got {source.data.get('schema')!r}"
        )
    return source


def require_file(path: Path) -> None:
    """Raise SpecError if there is no such file, with the nearest name and what there is."""
    if path.exists():
        return
    there = [file.name for file in path.parent.glob("*.y*ml")]
    raise SpecError(f"{path}: there is no such file{hint(path.name, there)}")


def read(path: Path) -> Source:
    """Return the YAML mapping in `path`.

    Raises:
        SpecError: missing file, malformed YAML, a duplicate key, or not a mapping.
    """
    require_file(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read ({error}); save it as UTF-8 text") from error
    try:
        node = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise SpecError(f"{path}{line}: not valid YAML: {problem}; correct it there") from error
    if not isinstance(data, dict):
        raise SpecError(f"{path}: expected a mapping (key: value), got a {type(data).__name__}")
    lines: dict[KeyPath, int] = {}
    _collect(str(path), node, (), lines)
    return Source(file=str(path), data=data, lines=lines, header=_header(text))


def _collect(file: str, node: yaml.Node | None, path: KeyPath, lines: dict[KeyPath, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            if inner in lines:
                raise SpecError(
                    f"{file}:{key.start_mark.line + 1}: {'.'.join(inner)}: given twice "
                    f"(first on line {lines[inner]}); remove one"
                )
            lines[inner] = key.start_mark.line + 1
            _collect(file, value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[*path, str(index)] = value.start_mark.line + 1
            _collect(file, value, (*path, str(index)), lines)


def _header(text: str) -> tuple[str, ...]:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").removeprefix(" ").rstrip())
    return tuple(lines)
