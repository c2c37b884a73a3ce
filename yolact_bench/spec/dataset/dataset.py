"""Which data set a spec names: its classes, where its splits are, and their fingerprints."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from yolact_bench.errors import MissingDataError, SpecError
from yolact_bench.slots import Choice, hint, pick
from yolact_bench.spec.dataset.file import read_dataset_file
from yolact_bench.spec.dataset.published import COCO_CLASSES, PASCAL_CLASSES, SHAPES_CLASSES
from yolact_bench.spec.file_hash import file_sha256

# Raise when the same options give other images: old checkpoints and scores are then not reused.
SHAPES_VERSION = 1

_ROOT_HINT = "give its folder with --data-root or the environment variable YOLACT_DATA"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSplit:
    """Images in a folder, and a COCO-format file that annotates them."""

    images: Path
    annotations: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapesSplit:
    """A stream of drawn images: the same numbers give the same images."""

    seed: int
    stream: int  # 0 for training; 1, 2, … for validation draws: streams share no image
    num_images: int
    size: int  # side of the images, px


Split = FileSplit | ShapesSplit


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """A data set as named, before any of its files are read."""

    name: str
    kind: str  # entry of `yolact_bench.data.DATASETS` that opens it
    classes: tuple[str, ...]  # in label order
    splits: Mapping[str, Split]
    # The classes are a chosen part of the files' categories; otherwise they must be all.
    subset: bool = False
    remedy: str = ""  # what to do about a missing file

    def split(self, name: str) -> Split:
        """Return the split of that name.

        Raises:
            SpecError: the data set has none of that name.
        """
        if name not in self.splits:
            raise SpecError(f"dataset {self.name}: no split {name!r}{hint(name, self.splits)}")
        return self.splits[name]

    def portable(self) -> "DatasetSpec":
        """Return the same for another process: plain data, and paths that need no folder."""
        return replace(self, splits={name: _absolute(one) for name, one in self.splits.items()})

    def fingerprint(self, split: str) -> str:
        """Return 16 hex digits that change when the split's images or annotations change.

        Of files, the annotation file and the classes count; where they lie does not.

        Raises:
            SpecError: there is no such split.
            MissingDataError: its annotation file is missing.
        """
        chosen = self.split(split)
        if isinstance(chosen, ShapesSplit):
            options = [chosen.seed, chosen.stream, chosen.num_images, chosen.size]
            content = json.dumps(["shapes", SHAPES_VERSION, *options])
        else:
            self.require(split)
            content = json.dumps([file_sha256(chosen.annotations), list(self.classes)])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def require(self, split: str) -> None:
        """Check that the files of a split exist; their content is read when it is opened.

        Raises:
            SpecError: there is no such split.
            MissingDataError: a file or folder of it is missing.
        """
        chosen = self.split(split)
        if isinstance(chosen, ShapesSplit):
            return
        remedy = f"; {self.remedy}" if self.remedy else ""
        if not chosen.annotations.is_file():
            raise MissingDataError(
                f"dataset {self.name}, {split}: no annotation file {chosen.annotations}{remedy}"
            )
        if not chosen.images.is_dir():
            raise MissingDataError(
                f"dataset {self.name}, {split}: no image folder {chosen.images}{remedy}"
            )


def _absolute(split: Split) -> Split:
    if isinstance(split, ShapesSplit):
        return split
    return FileSplit(images=split.images.absolute(), annotations=split.annotations.absolute())


def shapes(
    data_root: Path | None,
    *,
    seed: int = 0,
    val_draw: int = 0,
    train_images: int = 2048,
    val_images: int = 256,
    size: int = 192,
) -> DatasetSpec:
    """Return the embedded set of drawn shapes that `seed` names.

    Another `val_draw` gives fresh validation images beside the same training images.

    Source: this project's own; `yolact_bench.data.scene` draws it.
    """
    numbers = {"seed": seed, "val_draw": val_draw}
    sizes = {"train_images": (train_images, 1), "val_images": (val_images, 1), "size": (size, 96)}
    for option, (value, least) in {**{k: (v, 0) for k, v in numbers.items()}, **sizes}.items():
        if value < least:
            raise SpecError(f"dataset.shapes.{option}: {value} is too small; at least {least}")
    splits: dict[str, Split] = {
        "train": ShapesSplit(seed=seed, stream=0, num_images=train_images, size=size),
        "val": ShapesSplit(seed=seed, stream=1 + val_draw, num_images=val_images, size=size),
    }
    return DatasetSpec(
        name="shapes", kind="shapes", classes=SHAPES_CLASSES, splits=MappingProxyType(splits)
    )


def coco(data_root: Path | None) -> DatasetSpec:
    """Return COCO 2017 as unpacked from its archives into one folder.

    Source: Microsoft COCO (arXiv:1405.0312); splits as YOLACT uses them (arXiv:1904.02689).
    """
    root = _root(data_root)
    notes = root / "annotations"
    splits: dict[str, Split] = {
        split: FileSplit(
            images=root / f"{split}2017", annotations=notes / f"instances_{split}2017.json"
        )
        for split in ("train", "val")
    }
    splits["test"] = FileSplit(
        images=root / "test2017", annotations=notes / "image_info_test-dev2017.json"
    )
    return _files("coco", COCO_CLASSES, splits, remedy=_ROOT_HINT)


def sbd(data_root: Path | None) -> DatasetSpec:
    """Return Pascal SBD with the COCO-format annotations of the reference, under `sbd`.

    Source: dbolya/yolact@902073d data/config.py, `pascal_sbd_dataset`.
    """
    root = _root(data_root) / "sbd"
    splits: dict[str, Split] = {
        split: FileSplit(images=root / "img", annotations=root / f"pascal_sbd_{split}.json")
        for split in ("train", "val")
    }
    return _files("sbd", PASCAL_CLASSES, splits, remedy=_ROOT_HINT)


def coco_format(data_root: Path | None, *, file: str) -> DatasetSpec:
    """Return the set that a `dataset.yaml` describes. Its files must exist.

    Raises:
        SpecError: a mistake in the file, or a file that it names is missing.

    Source: the annotation format of COCO (arXiv:1405.0312).
    """
    described = read_dataset_file(Path(file))
    splits: dict[str, Split] = {
        name: FileSplit(images=images, annotations=annotations)
        for name, (images, annotations) in described.splits.items()
    }
    remedy = f"check the paths in {file}"
    spec = _files(described.name, (), splits, remedy=remedy)
    for split in splits:
        spec.require(split)
    return _files(
        described.name,
        described.classes or _all_categories(spec),
        splits,
        remedy=remedy,
        subset=bool(described.classes),
    )


DATASET_SPECS: Mapping[str, Callable[..., DatasetSpec]] = {
    "shapes": shapes,
    "coco": coco,
    "sbd": sbd,
    "coco_format": coco_format,
}


def resolve_dataset(choice: Choice, *, data_root: Path | None) -> DatasetSpec:
    """Return the data set of a `dataset` choice. Only `coco_format` reads files here.

    Raises:
        SpecError: unknown name or option, or a mistake in a `dataset.yaml`.
    """
    return pick("dataset", DATASET_SPECS, choice)(data_root)


def dataset_choice(value: object, *, relative_to: Path) -> dict[str, object]:
    """Return the choice that a user's word for a data set means: a name, a file or a mapping.

    Raises:
        SpecError: the value is neither a known name, nor a YAML file, nor a mapping.
    """
    if isinstance(value, Mapping):
        choice = {str(key): item for key, item in value.items()}
        if choice.get("name") == "coco_format" and isinstance(choice.get("file"), str):
            choice["file"] = str(relative_to / str(choice["file"]))
        return choice
    if isinstance(value, str) and value.endswith((".yaml", ".yml")):
        return {"name": "coco_format", "file": str(relative_to / Path(value).expanduser())}
    if isinstance(value, str) and value in DATASET_SPECS and value != "coco_format":
        return {"name": value}
    raise SpecError(
        f"dataset: {value!r} is no data set{hint(str(value), DATASET_SPECS)}; "
        "or the path of a dataset.yaml"
    )


def _files(
    name: str,
    classes: tuple[str, ...],
    splits: Mapping[str, Split],
    *,
    remedy: str,
    subset: bool = False,
) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        kind="coco_format",
        classes=classes,
        splits=MappingProxyType(dict(splits)),
        subset=subset,
        remedy=remedy,
    )


def _root(data_root: Path | None) -> Path:
    # Without a folder the classes are still known; a missing file then says what to set.
    return data_root if data_root is not None else Path(os.environ.get("YOLACT_DATA", "data"))


def _all_categories(spec: DatasetSpec) -> tuple[str, ...]:
    """Return all category names in id order, from the smallest annotation file."""
    files = [s.annotations for s in spec.splits.values() if isinstance(s, FileSplit)]
    path = min(files, key=lambda file: file.stat().st_size)
    stat = path.stat()
    return _category_names(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _category_names(path: Path, mtime_ns: int, size: int) -> tuple[str, ...]:
    try:
        categories = json.loads(path.read_bytes())["categories"]
        return tuple(str(c["name"]) for c in sorted(categories, key=lambda c: int(c["id"])))
    except json.JSONDecodeError as error:
        raise SpecError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except (UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise SpecError(
            f"{path}: 'categories' must be a list of {{id, name}}, as in COCO files"
        ) from error
