"""Records as plain JSON data and back, guided by the annotations of the dataclasses.

One file: what is written and what is read back must be the same.
"""

import dataclasses
import json
import math
import types
from collections.abc import Callable, Collection, Mapping
from functools import cache, partial
from numbers import Integral, Real
from pathlib import Path
from typing import (
    Generic,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    runtime_checkable,
)

from yolact_bench.errors import SpecError, brief, hint
from yolact_bench.json_file import read_json
from yolact_bench.results.files import write_atomically

T = TypeVar("T")
Reader = Callable[[object], object]


@runtime_checkable
class Partial(Protocol):
    """A dataclass whose JSON form may leave fields out."""

    def omitted_fields(self) -> Collection[str]:
        """Names of these fields."""
        ...


def to_plain(value: object) -> object:
    """Return `value` as dictionaries, lists, numbers and strings that JSON can hold.

    Numbers of array libraries become Python's own: a record that took hours to measure must
    not be lost to a float32.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if dataclasses.is_dataclass(value):
        omitted = value.omitted_fields() if isinstance(value, Partial) else ()
        fields = [f for f in dataclasses.fields(value) if f.name not in omitted]
        return {_key(f): to_plain(getattr(value, f.name)) for f in fields}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be stored")


def plain_fields(value: object) -> dict[str, object]:
    """Return a dataclass as a dictionary that JSON can hold."""
    data = to_plain(value)
    assert isinstance(data, dict)
    return data


def from_plain(kind: type[T], data: Mapping[str, object]) -> T:
    """Return the dataclass `kind` that `to_plain` wrote as `data`.

    Raises:
        SpecError: missing or unknown keys, or a value of the wrong type or not finite.
    """
    readers, required = _readers(kind)  # type: ignore[arg-type]
    if data.keys() != readers.keys():
        for key in data:
            if key not in readers:
                raise SpecError(f"{kind.__name__}: no field is named {key!r}{hint(key, readers)}")
        missing = [name for name in required if name not in data]
        if missing:
            raise SpecError(f"{kind.__name__}: missing {', '.join(missing)}")
    values = {}
    for key, value in data.items():
        name, read = readers[key]
        try:
            values[name] = read(value)
        except (TypeError, AttributeError) as error:
            fault = f"{brief(value)} is of the wrong type"
            raise SpecError(f"{kind.__name__}.{name}: {fault}") from error
        except OverflowError as error:
            raise SpecError(f"{kind.__name__}.{name}: {brief(value)} is not finite") from error
    return kind(**values)


@dataclasses.dataclass(frozen=True, slots=True)
class JsonFile(Generic[T]):
    """A dataclass that is kept as one JSON file of a folder."""

    kind: type[T]
    name: str
    schema: int
    missing: str  # what to say where there is no such file
    remedy: str  # what to do where it cannot be read
    fault: Callable[[T], str] = lambda _: ""  # what contradicts itself in it

    def save(self, value: T, folder: Path) -> Path:
        """Write the file into `folder`, whole or not at all, and return its path."""
        data = {"schema": self.schema, **plain_fields(value)}
        path = folder / self.name
        write_atomically(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
        return path

    def in_folders_of(self, folder: Path) -> list[Path]:
        """Return the files of this kind in the folders that lie in `folder`, by name."""
        return sorted(folder.glob(f"*/{self.name}"))

    def load(self, path: Path) -> T:
        """Return what `save` wrote; `path` is the file or its folder.

        Raises:
            SpecError: no such file, or not one of this schema.
        """
        file = path / self.name if path.is_dir() else path
        if not file.exists():
            raise SpecError(f"{file}: {self.missing}")
        data = read_json(file, remedy=self.remedy)
        version = data.pop("schema", None) if isinstance(data, dict) else None
        if version != self.schema:
            raise SpecError(
                f"{file}: written by another version (schema {version}, this one reads "
                f"{self.schema}); {self.remedy}"
            )
        try:
            value = from_plain(self.kind, data)
        except SpecError as error:
            raise SpecError(f"{file} is damaged: {error}; {self.remedy}") from error
        if fault := self.fault(value):
            raise SpecError(f"{file} is damaged: {fault}; {self.remedy}")
        return value


def _key(field: "dataclasses.Field[object]") -> str:
    """The field's name in JSON: files keep the key `json` of a field that was renamed."""
    return str(field.metadata.get("json", field.name))


@cache
def _readers(kind: type) -> tuple[dict[str, tuple[str, Reader]], tuple[str, ...]]:
    """Key → field and its reader; and the keys without a default."""
    hints = get_type_hints(kind)
    fields = dataclasses.fields(kind)
    missing = dataclasses.MISSING
    required = tuple(
        _key(f) for f in fields if f.default is missing and f.default_factory is missing
    )
    return {_key(f): (f.name, _reader(hints[f.name])) for f in fields}, required


def _reader(annotation: object) -> Reader:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        inner = _reader(next(a for a in arguments if a is not types.NoneType))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        return partial(_read_sequence, _reader(arguments[0]))
    if origin is Mapping:
        return partial(_read_mapping, _reader(arguments[1]))
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return lambda value: from_plain(annotation, value)  # type: ignore[arg-type]
    if annotation in (int, bool, str):
        return partial(_read_exactly, annotation)
    return _read_float if annotation is float else _read_any


def _read_sequence(read_item: Reader, value: object) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple([read_item(item) for item in value])


def _read_mapping(read_item: Reader, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError
    return {key: read_item(item) for key, item in value.items()}


def _read_exactly(kind: object, value: object) -> object:
    if type(value) is not kind:
        raise TypeError
    return value


def _read_float(value: object) -> float:
    if type(value) is not float and type(value) is not int:
        raise TypeError
    number = float(value)  # JSON writes 1.0 as 1 when a hand or another tool edits it
    if not math.isfinite(number):
        raise OverflowError
    return number


def _read_any(value: object) -> object:
    """Return plain data that are free of NaN and infinities, which no record is written with."""
    if isinstance(value, float) and not math.isfinite(value):
        raise OverflowError
    for item in value.values() if isinstance(value, dict) else ():
        _read_any(item)
    for item in value if isinstance(value, list) else ():
        _read_any(item)
    return value
