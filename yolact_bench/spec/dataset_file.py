"""`dataset.yaml`: where the images and annotations of a COCO-format set are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from yolact_bench.errors import SpecError
from yolact_bench.slots import hint

SPLITS = ("train", "val", "test")
_KEYS = ("name", "root", *SPLITS, "classes")
_SPLIT_KEYS = ("images", "annotations")

_Lines = dict[tuple[str, ...], int]  # key path → line, from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFile:
    """The content of a `dataset.yaml`, paths resolved."""

    name: str
    splits: Mapping[str, tuple[Path, Path]]  # image folder, annotation file
    classes: tuple[str, ...]  # empty: all categories, in id order


def read_dataset_file(path: Path) -> DatasetFile:
    """Return what `path` describes. Paths in it are relative to its `root`, that to the file.

    Raises:
        SpecError: no such file, not YAML, an unknown or missing key, a value of a wrong type.
    """
    content, lines = _load(path)
    where = _Where(path, lines)
    _known(content, _KEYS, where, ())
    name = _text(content, "name", where, (), default=path.parent.name or "data")
    root = path.parent / _text(content, "root", where, (), default=".")
    splits: dict[str, tuple[Path, Path]] = {}
    for split in SPLITS:
        if split not in content:
            continue
        part = content[split]
        if not isinstance(part, Mapping):
            raise SpecError(f"{where((split,))}: expected {{images: ..., annotations: ...}}")
        _known(part, _SPLIT_KEYS, where, (split,))
        images = _text(part, "images", where, (split,))
        splits[split] = (root / images, root / _text(part, "annotations", where, (split,)))
    for needed in ("train", "val"):
        if needed not in splits:
            raise SpecError(
                f"{path}: the key '{needed}' is missing; "
                f"write {needed}: {{images: FOLDER, annotations: FILE.json}}"
            )
    return DatasetFile(name=name, splits=splits, classes=_classes(content, where))


@dataclass(frozen=True, slots=True)
class _Where:
    path: Path
    lines: _Lines

    def __call__(self, keys: tuple[str, ...]) -> str:
        """Return "file:line: key" for a place in the file."""
        return f"{self.path}:{self.lines.get(keys, 1)}: {'.'.join(keys)}"


def _load(path: Path) -> tuple[dict[str, object], _Lines]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not a UTF-8 text file") from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise SpecError(f"{path}{place}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise SpecError(f"{path}: expected keys such as {', '.join(_KEYS)}")
    lines: _Lines = {}
    _number(node, (), lines)
    return {str(key): value for key, value in content.items()}, lines


def _number(node: yaml.Node | None, keys: tuple[str, ...], lines: _Lines) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        place = (*keys, str(key.value))
        lines[place] = key.start_mark.line + 1
        _number(value, place, lines)


def _known(
    content: Mapping[str, object], known: tuple[str, ...], where: _Where, inside: tuple[str, ...]
) -> None:
    for key in content:
        if key not in known:
            place = where((*inside, str(key)))
            raise SpecError(f"{place}: unknown key{hint(str(key), dict.fromkeys(known))}")


def _text(
    content: Mapping[str, object],
    key: str,
    where: _Where,
    inside: tuple[str, ...],
    default: str | None = None,
) -> str:
    value = content.get(key, default)
    if value is None:
        raise SpecError(f"{where(inside)}: the key '{key}' is missing")
    if not isinstance(value, str) or not value:
        raise SpecError(f"{where((*inside, key))}: expected a text, got {value!r}")
    return value


def _classes(content: Mapping[str, object], where: _Where) -> tuple[str, ...]:
    if "classes" not in content:
        return ()
    value = content["classes"]
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise SpecError(f"{where(('classes',))}: expected a list of category names, got {value!r}")
    doubled = sorted({name for name in value if value.count(name) > 1})
    if doubled:
        raise SpecError(f"{where(('classes',))}: named twice: {', '.join(doubled)}")
    return tuple(value)
