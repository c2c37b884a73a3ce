"""Which file of an image folder a name in an annotation file means.

Tools write names as they have them: with the folders of a server, backslashes, %20, another case or
another form of the same letters. The exact name comes first, then the only file that it can mean.
"""

import difflib
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from yolact_bench.errors import MOST_MISTAKES, word_list

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_SAME_SUFFIXES = {".jpeg": ".jpg", ".tiff": ".tif"}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*|[A-Za-z]:(?=/)")  # and a drive
_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")  # of what was uploaded to Label Studio
_MOST_SUGGESTED = 3
_MOST_COMPARED = 5000  # names, for which the nearest ones are looked up


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The files that names mean, each relative to the image folder."""

    files: tuple[str, ...]  # in the order of the names; "" of those below
    changes: Mapping[str, str]  # name → file, where it is not the exact one
    faults: Mapping[str, str]  # name → why it means no file


def find_names(folder: Path, names: Sequence[str]) -> Names:
    """Return the files of an image folder that names mean.

    A name that is no exact one means the only file, in the folder or below, that its last parts
    lead to; without regard to case, Unicode form and %-codes if need be; or that lacks its ending.
    No two names mean one file, and such a file never lies outside the folder.
    """
    absent = _absent(folder, names)
    if not absent:
        return Names(files=tuple(names), changes={}, faults={})
    tree = _Tree(folder)
    choices = {name: tree.candidates(name) for name in absent}
    users = Counter(dict.fromkeys(set(names) - absent, 1))
    users.update(choice[0] for choice in choices.values() if len(choice) == 1)
    changes: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name, choice in sorted(choices.items()):
        if len(choice) == 1 and users[choice[0]] == 1:
            changes[name] = choice[0]
        else:
            # To look through all names for the nearest takes milliseconds: for some it is done.
            nearest = tree.nearest(name) if not choice and len(faults) < MOST_MISTAKES else ()
            faults[name] = _fault(choice, nearest)
    others = changes | dict.fromkeys(faults, "")
    files = tuple(others.get(name, name) for name in names)
    return Names(files=files, changes=changes, faults=faults)


def _fault(files: Sequence[str], nearest: Sequence[str]) -> str:
    if len(files) > 1:
        return f"does not exist, and may be {word_list(files, most=6)}"
    if files:
        return f"does not exist, and {files[0]} is the file of another name too"
    return f"does not exist{f' (nearest: {word_list(nearest)})' if nearest else ''}"


def _absent(folder: Path, names: Sequence[str]) -> set[str]:
    """Return the names of no file, by listing each folder once."""
    parts: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in names:
        head, _, tail = name.rpartition("/")
        parts[f"{head}/" if head or name.startswith("/") else ""].append((tail, name))
    absent: set[str] = set()
    for head, members in parts.items():
        try:
            present = {entry.name for entry in os.scandir(folder / head)}
        except (OSError, ValueError):
            present = set()
        absent |= {name for tail, name in members if tail not in present}
    return absent


class _Tree:
    """All files in a folder and below, by several forms of their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        files = list(_walk(folder))
        self._tables = [
            (form, _table(files, form), _table(files, lambda file, form=form: form(_base(file))))  # type: ignore[misc]
            for form in (str, _loose, _stem)
        ]
        self._bases = sorted({_base(file) for file in files})

    def candidates(self, name: str) -> Sequence[str]:
        """Return the files that a name may mean: of the strictest reading that has any."""
        readings = list(dict.fromkeys((_relative(name), _relative(unquote(name)))))
        return self._candidates(readings) or self._candidates(
            [_PREFIX.sub("", _base(reading)) for reading in readings]
        )

    def _candidates(self, readings: Sequence[str]) -> Sequence[str]:
        for form, paths, bases in self._tables:
            for reading in readings:
                if form is _stem and not _may_lack_ending(reading):
                    continue
                for end in _ends(reading):
                    if files := paths.get(form(end)):
                        return files
                if files := bases.get(form(_base(reading))):
                    return files
        return ()

    def nearest(self, name: str) -> Sequence[str]:
        """Return names of files that resemble one."""
        bases = self._bases[:_MOST_COMPARED]
        return difflib.get_close_matches(_base(_relative(name)), bases, n=_MOST_SUGGESTED)


def _walk(folder: Path) -> Iterator[str]:
    for place, _, files in os.walk(folder):
        head = os.path.relpath(place, folder)
        yield from files if head == "." else (f"{head}/{file}" for file in files)


def _table(files: Sequence[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = defaultdict(list)
    for file in files:
        table[key(file)].append(file)
    return dict(table)


def _relative(name: str) -> str:
    """Return a name with slashes and without scheme, drive, and what leads out of a folder."""
    path = name.strip().replace("\\", "/")
    path = path.partition("?d=")[2] or path  # as Label Studio serves local files
    own = _SCHEME.sub("", path, count=1)
    path = own if "://" not in path else own.partition("?")[0]  # what a server is asked for
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))


def _ends(path: str) -> Iterator[str]:
    """Yield a path, then without its first folder, and so on; the last part alone comes last."""
    while path:
        yield path
        path = path.partition("/")[2]


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _loose(path: str) -> str:
    """Return a name without regard to case, Unicode form, %-codes and the length of .jpeg."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", unquote(path)).casefold())
    head, dot, suffix = text.strip().rpartition(".")
    return head + _SAME_SUFFIXES.get(dot + suffix, dot + suffix)


def _stem(path: str) -> str:
    """Return the same without the ending of an image; of another file, nothing that is a name."""
    text = _loose(path)
    head, dot, suffix = text.rpartition(".")
    return head if dot + suffix in IMAGE_SUFFIXES else text


def _may_lack_ending(path: str) -> bool:
    return Path(path).suffix.lower() not in IMAGE_SUFFIXES
