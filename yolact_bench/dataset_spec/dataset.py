"""Which data set a spec names: its classes, where its splits are, and their fingerprints.

One file: every data set is a `DatasetSpec`, and the table below names those there are.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from yolact_bench.dataset_spec.file import read_dataset_file
from yolact_bench.dataset_spec.listing import read_classes
from yolact_bench.dataset_spec.split import FileSplit, ShapesSplit, Split
from yolact_bench.errors import MissingDataError, SpecError, brief, hint
from yolact_bench.published_datasets import COCO_CLASSES, PASCAL_CLASSES, SHAPES_CLASSES
from yolact_bench.ranges import DrawingSize, Images, Seed
from yolact_bench.slots import Choice, defaults_of, options_of, pick, with_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """A data set by name, before any of its files are read."""

    name: str
    kind: str  # entry of `yolact_bench.data.DATASETS` that opens it
    classes: tuple[str, ...]  # in label order
    splits: Mapping[str, Split]
    subset: bool = False  # classes are some of the files' categories; otherwise all of them
    remedy: str = ""  # what to do about a missing file
    cache: Path | None = None  # folder for what was read of its files; None: nothing is kept

    def split(self, name: str) -> Split:
        """Return the split of that name.

        Raises:
            SpecError: the data set has none of that name.
        """
        if name not in self.splits:
            raise SpecError(f"dataset {self.name}: no split {brief(name)}{hint(name, self.splits)}")
        return self.splits[name]

    def portable(self) -> "DatasetSpec":
        """Return the same for another process: plain data, absolute paths."""
        splits = {name: one.absolute() for name, one in self.splits.items()}
        return replace(self, splits=splits, cache=self.cache and self.cache.absolute())

    @property
    def drawn(self) -> bool:
        """Whether all images are made by this program."""
        return all(split.files is None for split in self.splits.values())

    def fingerprint(self, split: str, *, images: bool = True) -> str:
        """Return 16 hex digits that change with the split's annotations and images.

        Without `images` they are those of versions that looked at annotations alone.

        Raises:
            SpecError: there is no such split, or its annotation file lists nothing.
            MissingDataError: its annotation file or image folder is missing.
        """
        self.require(split)
        one = self.split(split)
        digest = one.images_digest(self.cache) if images else ""
        content = one.identity(self.classes, digest, self.cache)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def require(self, split: str) -> None:
        """Check that the files of a split exist; their content is read when it is opened.

        Raises:
            SpecError: there is no such split.
            MissingDataError: a file or folder of it is missing.
        """
        if fault := self.split(split).fault():
            remedy = f"; {self.remedy}" if self.remedy else ""
            raise MissingDataError(f"dataset {self.name}, {split}: {fault}{remedy}")


_MOST_PIXELS = 16_000_000_000  # of all drawn images: 64 GB with their masks


# What a rehearsal draws; the seed and the draw of a choice still identify its images.
@with_facts(fewest_images={"train_images": 4, "val_images": 2, "size": 96})
def shapes(
    data_root: Path | None,
    *,
    seed: Seed = 0,
    val_draw: Seed = 0,
    train_images: Images = 2048,
    val_images: Images = 256,
    size: DrawingSize = 192,
) -> DatasetSpec:
    """Return the embedded set of drawn shapes that `seed` names.

    Another `val_draw` gives fresh validation images beside the same training images.

    Source: `yolact_bench.data.scene`, which draws it.
    Differs: nothing.
    """
    splits: dict[str, Split] = {
        "train": ShapesSplit(seed=seed, stream=0, num_images=train_images, size=size),
        "val": ShapesSplit(seed=seed, stream=1 + val_draw, num_images=val_images, size=size),
    }
    images, most = train_images + val_images, _MOST_PIXELS // size**2
    if images > most:  # they are drawn into memory
        raise SpecError(
            f"dataset.shapes: {images:,} images of {size} px are too many; write at most {most:,}, "
            "or a smaller size"
        )
    return DatasetSpec(
        name="shapes", kind="shapes", classes=SHAPES_CLASSES, splits=MappingProxyType(splits)
    )


def coco(data_root: Path | None) -> DatasetSpec:
    """Return COCO 2017 as unpacked from its archives into one folder.

    Source: Microsoft COCO (arXiv:1405.0312); splits as YOLACT uses them (arXiv:1904.02689).
    Differs: annotations that cannot be used are left out, of training and of scoring.
    """
    root = _root(data_root)
    names = {split: f"instances_{split}2017" for split in ("train", "val")}
    names["test"] = "image_info_test-dev2017"
    splits = {
        split: (root / f"{split}2017", root / "annotations" / f"{name}.json")
        for split, name in names.items()
    }
    return _files("coco", COCO_CLASSES, splits)


def sbd(data_root: Path | None) -> DatasetSpec:
    """Return Pascal SBD with the COCO-format annotations of the reference, under `sbd`.

    Source: dbolya/yolact@902073d data/config.py, `pascal_sbd_dataset`.
    Differs: annotations that cannot be used are left out, of training and of scoring.
    """
    root = _root(data_root) / "sbd"
    splits = {
        split: (root / "img", root / f"pascal_sbd_{split}.json") for split in ("train", "val")
    }
    return _files("sbd", PASCAL_CLASSES, splits)


def coco_format(data_root: Path | None, *, file: str) -> DatasetSpec:
    """Return the set that a `dataset.yaml` describes. Its files must exist.

    Raises:
        SpecError: a mistake in the file, or a file that it names is missing.

    Source: the annotation format of COCO (arXiv:1405.0312).
    Differs: annotations that cannot be used are left out, of training and of scoring.
    """
    name, splits, classes = read_dataset_file(Path(file))
    spec = _files(name, classes, splits, f"check the paths in {file}")
    for split in spec.splits:
        spec.require(split)
    return replace(spec, subset=bool(classes))


DATASET_SPECS: Mapping[str, Callable[..., DatasetSpec]] = {
    "shapes": shapes,
    "coco": coco,
    "sbd": sbd,
    "coco_format": coco_format,
}


def resolve_dataset(
    choice: Choice, *, data_root: Path | None, cache: Path | None = None
) -> DatasetSpec:
    """Return the data set of a `dataset` choice. Only `coco_format` reads files here.

    Raises:
        SpecError: unknown name or option, or a mistake in a `dataset.yaml`.
    """
    spec = replace(pick("dataset", DATASET_SPECS, choice)(data_root), cache=cache)
    if spec.classes:
        return spec
    # Other splits may number the same classes otherwise: those that are learnt are in order.
    learnt = spec.split("train")
    assert isinstance(learnt, FileSplit)
    return replace(spec, classes=read_classes(learnt.annotations, cache))


def dataset_choice(value: object, *, relative_to: Path) -> dict[str, object]:
    """Return the choice that a user gives as a name, a file or a mapping.

    Raises:
        SpecError: the value is neither a known name, nor a YAML file, nor a mapping.
    """
    if isinstance(value, Mapping):
        choice = {str(key): item for key, item in value.items()}
        if isinstance(choice.get("file"), str):
            choice["file"] = str(relative_to / str(choice["file"]))
        return choice
    if isinstance(value, str) and value.endswith((".yaml", ".yml")):
        return {"name": "coco_format", "file": str(relative_to / Path(value).expanduser())}
    if isinstance(value, str) and value in DATASET_SPECS:
        options = options_of(DATASET_SPECS[value])
        if options.keys() <= defaults_of(DATASET_SPECS[value]).keys():  # none must be written
            return {"name": value}
    raise SpecError(
        f"dataset: {brief(value)} is not a data set{hint(str(value), DATASET_SPECS)}; "
        "or the path of a dataset.yaml"
    )


def _files(
    name: str,
    classes: tuple[str, ...],
    splits: Mapping[str, tuple[Path, Path]],
    remedy: str = "give its folder with --data-root or the environment variable YOLACT_DATA",
) -> DatasetSpec:
    """A set of files, by split: image folder and annotation file."""
    files: dict[str, Split] = {
        split: FileSplit(images=images, annotations=annotations)
        for split, (images, annotations) in splits.items()
    }
    return DatasetSpec(
        name=name,
        kind="coco_format",
        classes=classes,
        splits=MappingProxyType(files),
        remedy=remedy,
    )


def _root(data_root: Path | None) -> Path:
    # The classes are known without a folder; the error for a missing file says what to set.
    return data_root if data_root is not None else Path(os.environ.get("YOLACT_DATA", "data"))
