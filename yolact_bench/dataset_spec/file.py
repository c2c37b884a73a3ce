"""`dataset.yaml`: where the images and annotations of a COCO-format set are."""

from collections.abc import Mapping
from pathlib import Path

from yolact_bench.errors import SpecError
from yolact_bench.yaml_source import Source, read

SPLITS = ("train", "val", "test")
_KEYS = ("name", "root", *SPLITS, "classes")
_SPLIT_KEYS = ("images", "annotations")


def read_dataset_file(path: Path) -> tuple[str, dict[str, tuple[Path, Path]], tuple[str, ...]]:
    """Return name, image folder and annotation file by split, and classes; none: all categories.

    The paths in the file are relative to its `root`, and that to the file.

    Raises:
        SpecError: no such file, not YAML, an unknown or missing key, a value of a wrong type.
    """
    source = read(path)
    source.check_keys((), source.data, _KEYS)
    name = source.text(("name",), source.data.get("name", path.parent.name or "data"))
    if "name" in source.data:
        source.label(("name",), name)
    root = path.parent / source.text(("root",), source.data.get("root", "."))
    splits: dict[str, tuple[Path, Path]] = {}
    for split in SPLITS:
        if split not in source.data:
            if split == "test":
                continue
            raise SpecError(
                f"{path}: the key '{split}' is missing; "
                f"write {split}: {{images: FOLDER, annotations: FILE.json}}"
            )
        part = source.data[split]
        if not isinstance(part, Mapping):
            raise source.unlike((split,), "{images: FOLDER, annotations: FILE.json}", part)
        source.check_keys((split,), part, _SPLIT_KEYS)
        for key in _SPLIT_KEYS:
            if key not in part:
                raise source.error((split,), f"the key '{key}' is missing; write {key}: PATH")
        images, annotations = (source.text((split, key), part[key]) for key in _SPLIT_KEYS)
        splits[split] = (root / images, root / annotations)
    return name, splits, _classes(source)


def _classes(source: Source) -> tuple[str, ...]:
    if "classes" not in source.data:
        return ()
    names = source.strings("classes")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        problem = (
            f"named twice: {', '.join(twice)}; remove one"
            if twice
            else "names no category; leave it out for all"
        )
        raise source.error(("classes",), problem)
    return names
