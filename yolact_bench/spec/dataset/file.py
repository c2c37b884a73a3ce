"""`dataset.yaml`: where the images and annotations of a COCO-format set are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yolact_bench.errors import SpecError
from yolact_bench.spec.source import KeyPath, Source, read

SPLITS = ("train", "val", "test")
_KEYS = ("name", "root", *SPLITS, "classes")
_SPLIT_KEYS = ("images", "annotations")


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
    source = read(path)
    content = source.data
    source.check_keys((), content, dict.fromkeys(_KEYS))
    name = _text(source, content, "name", (), default=path.parent.name or "data")
    root = path.parent / _text(source, content, "root", (), default=".")
    splits: dict[str, tuple[Path, Path]] = {}
    for split in SPLITS:
        if split not in content:
            continue
        part = content[split]
        if not isinstance(part, Mapping):
            raise source.error((split,), "expected {images: ..., annotations: ...}")
        source.check_keys((split,), part, dict.fromkeys(_SPLIT_KEYS))
        images = _text(source, part, "images", (split,))
        splits[split] = (root / images, root / _text(source, part, "annotations", (split,)))
    for needed in ("train", "val"):
        if needed not in splits:
            raise SpecError(
                f"{path}: the key '{needed}' is missing; "
                f"write {needed}: {{images: FOLDER, annotations: FILE.json}}"
            )
    return DatasetFile(name=name, splits=splits, classes=_classes(source))


def _text(
    source: Source,
    content: Mapping[str, object],
    key: str,
    inside: KeyPath,
    default: str | None = None,
) -> str:
    value = content.get(key, default)
    if value is None:
        raise source.error(inside, f"the key '{key}' is missing")
    if not isinstance(value, str) or not value:
        raise source.error((*inside, key), f"expected a text, got {value!r}")
    return value


def _classes(source: Source) -> tuple[str, ...]:
    if "classes" not in source.data:
        return ()
    value = source.data["classes"]
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise source.error(("classes",), f"expected a list of category names, got {value!r}")
    doubled = sorted({name for name in value if value.count(name) > 1})
    if doubled:
        raise source.error(("classes",), f"named twice: {', '.join(doubled)}")
    return tuple(value)
