"""The content of a COCO file: lists of images, annotations and categories."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import msgspec

from yolact_bench.errors import Mistakes, SpecError, brief
from yolact_bench.json_file import is_large, read_json, read_json_bytes

_LISTS = ("images", "annotations", "categories")
# What other JSON looks like, by keys of its object or of the first one in it.
_LIKENESSES: Mapping[tuple[str, ...], str] = {
    ("image_id", "category_id", "score"): (
        "detections, the results of a network; name the file that they were scored against"
    ),
    ("image_id", "category_id"): "a list of annotations alone; put it under 'annotations'",
    ("shapes", "imagePath"): (
        "one image of labelme; convert the folder: yolact-bench data convert --format labelme"
    ),
    ("regions", "filename"): "a project of VGG Image Annotator; export it as COCO there",
    ("_via_img_metadata",): "a project of VGG Image Annotator; export it as COCO there",
    ("data", "annotations"): "tasks of Label Studio; export them as COCO there, with polygons",
    ("data", "predictions"): "tasks of Label Studio; export them as COCO there, with polygons",
    ("objects", "size"): "one image of Supervisely; export the project as COCO there",
    ("objects", "imgHeight"): (
        "one image of Cityscapes; convert the folder: yolact-bench data convert --format cityscapes"
    ),
    ("items", "categories"): "a set of Datumaro; export it there: datum convert -f coco",
    ("type", "features"): "GeoJSON; write outlines in px of each image, in COCO's format",
}
# What annotations of other tasks have that objects with masks have not.
_OTHER_TASKS: Mapping[str, str] = {
    "segments_info": "in panoptic segmentation",
    "caption": "in image captions",
}


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
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise SpecError(f"{self._where}[{index}]: not JSON ({error}); correct it") from error

    def values(self, key: str) -> Iterator[Any]:
        """Yield the value of a key of every entry, None where there is none."""
        decoder = msgspec.json.Decoder(msgspec.defstruct("One", [(key, Any, None)]))
        for at, text in enumerate(self.texts):
            try:
                yield getattr(decoder.decode(text), key)
            except (msgspec.MsgspecError, ValueError, RecursionError):
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
    if not isinstance(content, dict) or content.keys().isdisjoint(_LISTS):
        kind = type(content).__name__
        raise SpecError(
            f"{path}: expected an object with the lists {', '.join(_LISTS)}, got "
            f"{_likeness(content) or f'a {kind} without them'}"
        )
    if task := _other_task(content):
        raise SpecError(f"{path}: its annotations have {task}; name the file of the objects")
    return content


def _likeness(content: object) -> str:
    """Return what JSON of another kind looks like, "" if that is unknown."""
    members = list(content.values()) if isinstance(content, dict) else content
    first = members[0] if isinstance(members, list) and members else None
    return next(
        (
            text
            for one in (content, first)
            for keys, text in _LIKENESSES.items()
            if isinstance(one, dict) and one.keys() >= set(keys)
        ),
        "",
    )


def _other_task(content: Mapping[str, Any]) -> str:
    """Return of what other task the annotations are, "" for objects."""
    annotations = content.get("annotations")
    is_list = isinstance(annotations, (list, TextEntries))
    first = annotations[0] if is_list and annotations else None
    if not isinstance(first, dict) or "category_id" in first:
        return ""
    return next((f"{one!r}, as {_OTHER_TASKS[one]}" for one in _OTHER_TASKS if one in first), "")


def entries_of(content: Mapping[str, Any], key: str, mistakes: Mistakes) -> Sequence[Any]:
    """Return the list under `key`; if there is none, add that to `mistakes`."""
    value = content.get(key)
    if isinstance(value, (list, TextEntries)):
        return value
    if key in content:
        mistakes.add(f"'{key}': expected a list of objects, got {brief(value)}")
    else:
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
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    lists: dict[str, Any] = {
        key: value
        for key in ("images", "categories")
        if (value := getattr(content, key)) is not msgspec.UNSET
    }
    if not isinstance(content.annotations, msgspec.UnsetType):
        lists["annotations"] = TextEntries(content.annotations, f"{path}: annotations")
    return lists
