"""The content of a COCO file: lists of images, annotations and categories."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import msgspec

from yolact_bench.errors import Mistakes, SpecError
from yolact_bench.json_file import is_large, read_json, read_json_bytes


class TextEntries(Sequence[Any]):
    """The entries of a list in a JSON file, each parsed when it is looked at.

    As objects, the annotations of a large file need several times the memory of their text.
    """

    def __init__(self, texts: Sequence[msgspec.Raw], where: str) -> None:
        self.texts, self._where = texts, where

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> Any: ...  # noqa: ANN401
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Return one entry, or some.

        Raises:
            SpecError: not JSON.
        """
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        try:
            return json.loads(bytes(self.texts[index]))
        except (ValueError, RecursionError) as error:
            raise SpecError(f"{self._where}[{index}]: not JSON ({error}); correct it") from error

    def values(self, key: str) -> Iterator[Any]:
        """Yield the value of a key of every entry, None where there is none."""
        decoder = msgspec.json.Decoder(msgspec.defstruct("One", [(key, Any, None)]))
        for at, text in enumerate(self.texts):
            try:
                yield getattr(decoder.decode(text), key)
            except (ValueError, RecursionError):
                entry = self[at]
                yield entry.get(key) if isinstance(entry, dict) else None


class _Large(msgspec.Struct):
    """What is read of a large file."""

    images: Any = msgspec.UNSET
    categories: Any = msgspec.UNSET
    annotations: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


def read_coco(path: Path) -> Mapping[str, Any]:
    """Return the object in a COCO file; of a large one, `annotations` may be `TextEntries`.

    Raises:
        SpecError: unreadable, not JSON (with line and column), or not an object.
    """
    content = _read_large(path) or read_json(path)
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise SpecError(f"{path}: expected an object with images and categories, got a {kind}")
    return content


def entries_of(content: Mapping[str, Any], key: str, mistakes: Mistakes) -> Sequence[Any]:
    """Return the list under `key`; if there is none, add that to `mistakes`."""
    value = content.get(key)
    if isinstance(value, (list, TextEntries)):
        return value
    mistakes.add(f"the list '{key}' is missing; add it, or name a COCO-format file")
    return []


def _read_large(path: Path) -> dict[str, Any]:
    """Return the lists of a large file, or nothing.

    What this reader does not accept, such as NaN, another may; what none does, that one explains.
    """
    if not is_large(path):
        return {}
    try:
        content = msgspec.json.decode(read_json_bytes(path), type=_Large)
    except (ValueError, RecursionError):
        return {}
    lists: dict[str, Any] = {
        key: value
        for key in ("images", "categories")
        if (value := getattr(content, key)) is not msgspec.UNSET
    }
    if not isinstance(content.annotations, msgspec.UnsetType):
        lists["annotations"] = TextEntries(content.annotations, f"{path}: annotations")
    return lists
