"""A JSON file that the user names, read whole."""

import json
from pathlib import Path
from typing import Any

from yolact_bench.errors import SpecError
from yolact_bench.file_kinds import file_kind
from yolact_bench.text_file import read_bytes

_REMEDY = "correct it there, or name another file"
_LARGEST = 8 << 30  # bytes; the largest public annotation files have a few 10⁹
# Larger files are made by programs, and looking at every object costs them seconds.
_LARGEST_BY_HAND = 64 << 20
_LONGEST_NUMBER = 100  # characters, so that every whole number is a float as well


def read_json(path: Path, *, remedy: str = _REMEDY) -> Any:  # noqa: ANN401
    """Return the content of a JSON file.

    Raises:
        SpecError: unreadable, not JSON (with line and column), nested too deep, or, in a file of
            at most 64 MiB, a key given twice or a number longer than any; the message ends in
            `remedy`.
    """
    data = read_json_bytes(path, remedy=remedy)
    is_small = len(data) <= _LARGEST_BY_HAND
    hooks: dict[str, Any] = {"object_pairs_hook": _object, "parse_int": _whole} if is_small else {}
    try:
        if kind := file_kind(data):
            raise ValueError(kind)
        return json.loads(data, **hooks)
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno}:{error.colno}"
        raise SpecError(f"{place}: not JSON ({error.msg}{_cause(error)}); {remedy}") from error
    except UnicodeDecodeError as error:
        line, byte = data[: error.start].count(b"\n") + 1, data[error.start]
        raise SpecError(
            f"{path}:{line}: not JSON (not a text in UTF-8: byte {byte:#04x}, as in Latin-1 or "
            f"Windows-1252; convert it: iconv -f WINDOWS-1252 -t UTF-8); {remedy}"
        ) from error
    except ValueError as error:  # a number that is too long, a key given twice
        raise SpecError(f"{path}: not JSON ({error}); {remedy}") from error
    except RecursionError as error:
        raise SpecError(f"{path}: not JSON (nested too deep); {remedy}") from error


def read_json_bytes(path: Path, *, remedy: str = _REMEDY) -> bytes:
    """Return the bytes of a JSON file.

    Raises:
        SpecError: unreadable or too large.
    """
    return read_bytes(path, most=_LARGEST, remedy=remedy)


def is_large(path: Path) -> bool:
    """Return whether there is a file that is too large for checks of each of its objects."""
    return path.is_file() and path.stat().st_size > _LARGEST_BY_HAND


def _cause(error: json.JSONDecodeError) -> str:
    """Return what is behind a mistake that many files have."""
    if error.msg == "Extra data":
        return ": a second value begins there, as in JSON Lines; write one object"
    if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated"):
        return ": the file ends too early"
    if error.doc[error.pos :].startswith("'"):
        return ": written in single quotes, as Python prints; write it by json.dump"
    return ""


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text):,} characters")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these members, of which JSON readers silently keep the last."""
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for index, key in enumerate(keys) if key in keys[:index])
        raise ValueError(f"the key {twice[:80]!r} is given twice in one object")
    return members
