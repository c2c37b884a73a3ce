"""Files as accidents leave them: cut, overwritten, replaced, or with another value inside."""

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

_REMOVED = object()
_VALUES: tuple[object, ...] = (
    *(_REMOVED, None, "x", -1, float("inf"), float("nan"), [], {}, True, [1, 2]),
    *("../../x", 10**30, "\x1b[2J"),
)


def damage(file: Path, draw: random.Random) -> str:
    """Damage a file in a random way; return how, for a message."""
    kinds: list[Callable[[], str]] = [
        *(lambda: _cut(file), lambda: _fill(file, b""), lambda: _fill(file, draw.randbytes(300))),
        *(lambda: _fill(file, b"[[[]]]"), lambda: _as_folder(file), lambda: _as_pipe(file)),
        *[lambda: _change(file, draw)] * 12,
    ]
    return draw.choice(kinds)()


def _cut(file: Path) -> str:
    data = file.read_bytes()
    return _fill(file, data[: len(data) // 2])


def _fill(file: Path, data: bytes) -> str:
    file.write_bytes(data)
    return f"content {data[:20]!r}"


def _as_folder(file: Path) -> str:
    file.unlink()
    file.mkdir()
    return "a folder"


def _as_pipe(file: Path) -> str:
    file.unlink()
    os.mkfifo(file)
    return "a pipe"


def _change(file: Path, draw: random.Random) -> str:
    """Put another value into one place of a file of JSON, of JSON lines or of YAML."""
    if file.suffix == ".npz":
        return _fill(file, b"PK\x03\x04" + file.read_bytes()[4:-20])
    lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
    row = draw.randrange(len(lines))
    is_yaml = file.suffix == ".yaml"
    data = yaml.safe_load(lines[row]) if is_yaml else json.loads(lines[row])
    path, value = draw.choice(list(_places(data))), draw.choice(_VALUES)
    inner: Any = data
    for key in path[:-1]:
        inner = inner[key]
    if value is _REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    lines[row] = yaml.safe_dump(data) if is_yaml else json.dumps(data)
    file.write_text("\n".join(lines) + "\n")
    what = "removed" if value is _REMOVED else f"= {value!r}"
    return f"line {row + 1}: {'.'.join(map(str, path))} {what}"


def _places(data: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = data.items() if isinstance(data, dict) else ()
    for key, value in enumerate(data[:2]) if isinstance(data, list) else members:
        yield (*path, key)
        yield from _places(value, (*path, key))
