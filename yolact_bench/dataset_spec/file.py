"""`dataset.yaml`: where the images and annotations of a COCO-format set are."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from yolact_bench.errors import Faults, SpecError
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
    faults = Faults()
    source = read(path).check_all_keys(_KEYS, faults, required=("train", "val"))
    folder = path.parent
    words = faults.read_each(
        {
            "name": lambda: source.text(("name",), source.data.get("name", folder.name or "data")),
            "root": lambda: source.text(("root",), source.data.get("root", ".")),
            "classes": partial(_classes, source),
        }
    )
    if "name" in source.data and "name" in words:
        with faults.part():
            source.label(("name",), words["name"])
    needed = [split for split in SPLITS if split in source.data or split != "test"]
    parts = faults.read_each({split: partial(_split, source, split) for split in needed})
    faults.raise_any()
    root = folder / words["root"]
    splits = {
        split: (root / images, root / annotations) for split, (images, annotations) in parts.items()
    }
    return words["name"], splits, words["classes"]


def _split(source: Source, split: str) -> list[str]:
    """Return the image folder and the annotation file of a split, as written."""
    form = "{images: FOLDER, annotations: FILE.json}"
    if split not in source.data:
        raise SpecError(f"{source.file}: the key '{split}' is missing; write {split}: {form}")
    part = source.data[split]
    if not isinstance(part, Mapping):
        raise source.unlike((split,), form, part)
    faults = Faults()
    with faults.part():
        source.check_keys((split,), part, _SPLIT_KEYS)
    for key in () if faults else _SPLIT_KEYS:  # a misspelt key may be the one that is missing
        if key not in part:
            message = f"the key '{key}' is missing; write {key}: PATH"
            faults.add(source.error((split,), message))
    written = [key for key in _SPLIT_KEYS if key in part]
    texts = faults.read_each({k: partial(source.text, (split, k), part[k]) for k in written})
    faults.raise_any()
    return [*texts.values()]


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
