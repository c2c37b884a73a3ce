"""The YAML file of a spec: its values, and where each is written, so that an error can say."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yolact_bench.errors import Faults, SpecError, brief, hint, join_mistakes, nearest
from yolact_bench.option_values import check_value
from yolact_bench.text_file import read_bytes, require_file
from yolact_bench.work_names import NAME_RULE, is_name, quote
from yolact_bench.yaml_text import KeyPath, parse_yaml

_LARGEST = 1 << 20  # bytes
_REMEDY = "save it as a text file in UTF-8"
_TEXTS = ("a name", "a text", "a list of words")


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

    def name(self, ending: str = "", *, suffix: str = "") -> str:
        """Return the spec's name with an ending; `suffix` must fit behind."""
        name = self.label(("name",), self.name_at("name", Path(self.file).stem)) + ending
        return self.label(("name",), f"{name}{suffix}").removesuffix(suffix)

    def name_at(self, key: str, default: str) -> str:
        """Return the name under `key`, which may look like a whole number."""
        value = self.data.get(key, default)
        if not isinstance(value, str) and type(value) is not int:
            raise self.unlike((key,), "a name", value)
        return str(value)

    def label(self, path: KeyPath, name: str) -> str:
        """Return a name by which files or rows of tables are called."""
        if not is_name(name):
            raise self.error(path, f"{quote(name)} cannot be a name; write {NAME_RULE}")
        return name

    def mapping(self, path: KeyPath, *, or_none: bool = False) -> Mapping[str, object]:
        """Return the mapping under `path`; empty where the file has no such key."""
        value: object = self.data
        for key in path:
            if isinstance(value, Mapping):
                value = {str(name): one for name, one in value.items()}.get(key, {})
        if value is None and or_none:
            return {}
        if not isinstance(value, Mapping):
            raise self.unlike(path, "a mapping of slots to choices", value)
        return {str(key): item for key, item in value.items()}

    def strings(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return the list of words under `key`; required without a default."""
        value = self.data.get(key, default if default is None else list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.unlike((key,), "a list of words", value)
        return tuple(value)

    def labels(self, key: str) -> tuple[str, ...]:
        """Return the list of names under `key`; empty where the file has none."""
        return tuple(self.label((key,), name) for name in self.strings(key, ()))

    def where(self, path: KeyPath) -> str:
        """Return "file:line: a.b.c", with the line of the nearest key that the file has."""
        text = ".".join(map(quote, path))
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return f"{self.file}:{self.lines[path[:length]]}: {text}"
        return f"{self.file}: {text}" if path else self.file

    def error(self, path: KeyPath, message: str) -> SpecError:
        """Return (not raise) a SpecError that says where."""
        return SpecError(f"{self.where(path)}: {message}")

    def at(self, path: KeyPath, error: SpecError) -> SpecError:
        """Return (not raise) a SpecError of a value, or all that it is, with where it is."""
        return join_mistakes([self.error(path, str(one)) for one in error.parts or (error,)])

    def unlike(self, path: KeyPath, expected: str, value: object) -> SpecError:
        """Return (not raise) a SpecError that says what a value should be, and what it is."""
        remedy = "; write it in quotes" if expected in _TEXTS and _is_other_scalar(value) else ""
        return self.error(path, f"expected {expected}, got {brief(value)}{remedy}")

    def value(self, path: KeyPath, expected: Hashable, value: object) -> Any:  # noqa: ANN401
        """Return a value that must have a type and its range, such as those of `ranges`."""
        try:
            return check_value(expected, value)
        except SpecError as error:
            raise self.error(path, str(error)) from error

    def top(self, key: str, expected: Hashable, default: object) -> Any:  # noqa: ANN401
        """Return the value under a key of the file, of a type and its range."""
        return self.value((key,), expected, self.data.get(key, default))

    def text(self, path: KeyPath, value: object) -> str:
        """Return a value that must be a text, without spaces around it."""
        if not isinstance(value, str) or not value.strip():
            raise self.unlike(path, "a text", value)
        return value.strip()

    def word(self, path: KeyPath, value: object, known: Collection[str]) -> str:
        """Return a value that must be one of the known words."""
        if not isinstance(value, str) or value not in known:
            raise self.error(path, f"unknown {brief(value)}{hint(str(value), known)}")
        return value

    def check_keys(
        self, path: KeyPath, mapping: Mapping[str, object], known: Collection[str]
    ) -> None:
        """Raise a SpecError for the keys of a mapping that are not known."""
        faults = Faults()
        for key in mapping:
            if key not in known:
                faults.add(self.error((*path, str(key)), f"unknown key{hint(str(key), known)}"))
        faults.raise_any()

    def check_all_keys(
        self, known: Collection[str], faults: Faults, *, required: Collection[str] = ()
    ) -> "Source":
        """Add the unknown keys of the file to `faults` and return it as it may be meant.

        A key that is much like a required one which is not there is taken for that from then on.
        """
        with faults.part():
            self.check_keys((), self.data, known)
        absent = [key for key in required if key not in self.data]
        unknown = [key for key in self.data if key not in known]
        meant = {near: key for key in unknown if (near := nearest(str(key), absent))}
        names = {key: near for near, key in meant.items()}
        data = {names.get(key, key): value for key, value in self.data.items()}
        lines = {(names.get(path[0], path[0]), *path[1:]): n for path, n in self.lines.items()}
        return replace(self, data=data, lines=lines) if names else self


def _is_other_scalar(value: object) -> bool:
    """Return whether a value, or one of a list, is a number or the like instead of a text."""
    if isinstance(value, list):
        return any(map(_is_other_scalar, value))
    return isinstance(value, bool | int | float)


def read_spec(
    path: Path, faults: Faults, *, schema: int, keys: Sequence[str], required: Sequence[str]
) -> Source:
    """Return the spec in `path`; another schema and unknown top-level keys are in `faults`.

    Raises:
        SpecError: as `read`.
    """
    source = read(path).check_all_keys(keys, faults, required=("schema", *required))
    written = source.data.get("schema")
    if isinstance(written, bool) or written != schema:  # True == 1
        faults.add(source.error(("schema",), f"expected schema: {schema}, got {brief(written)}"))
    return source


def read(path: Path) -> Source:
    """Return the YAML mapping in `path`.

    Raises:
        SpecError: missing file, malformed YAML, a duplicate key, or not a mapping.
    """
    require_file(path)
    try:
        text = read_bytes(path, most=_LARGEST, remedy=_REMEDY).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: cannot be read ({error}); {_REMEDY}") from error
    data, lines = parse_yaml(text, where=str(path))
    if not isinstance(data, dict):
        raise SpecError(f"{path}: expected a mapping (key: value), got a {type(data).__name__}")
    return Source(file=str(path), data=data, lines=lines, header=_header(text))


def _header(text: str) -> tuple[str, ...]:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").removeprefix(" ").rstrip())
    return tuple(lines)
