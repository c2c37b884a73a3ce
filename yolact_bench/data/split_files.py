"""The image files of a split, for comparison with those of another one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.dataset_spec.listing import read_listing
from yolact_bench.dataset_spec.split import FileSplit
from yolact_bench.errors import SpecError
from yolact_bench.image_files.names import find_names
from yolact_bench.image_files.scan import ImageFile, scan_images


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles:
    """The image files of a split, with digests of their sizes and ends."""

    folder: Path
    names: Sequence[str]
    samples: Sequence[int]  # the first 8 bytes; 0 of a file that cannot be read
    deep: Sequence[str]  # names of those with more than 8 bits a value

    def path(self, place: int) -> Path:
        """Return the file of an image."""
        return self.folder / self.names[place]


def as_files(folder: Path, names: Sequence[str], scans: Sequence[ImageFile]) -> ImageFiles:
    """Return the files of a folder that were scanned, without what is known of their headers."""
    return ImageFiles(
        folder=folder,
        names=names,
        samples=[int(scan.sample[:16] or "0", 16) for scan in scans],
        deep=[name for name, scan in zip(names, scans, strict=True) if scan.is_deep],
    )


def training_files(spec: DatasetSpec) -> ImageFiles | None:
    """Return those of the training, None where there are none; their faults are not looked at."""
    split = spec.splits.get("train")
    if not isinstance(split, FileSplit) or split.fault():
        return None
    try:
        listing = read_listing(split.annotations, spec.cache)
    except SpecError:
        return None  # said where the training split is opened
    names = find_names(split.images, listing.images).files
    return as_files(split.images, names, scan_images(split.images, names, cache=spec.cache))


class FileSizes:
    """Width and height of an image by its name in an annotation file that does not state them.

    With the first question all headers are looked at; None is of an image without one, px.
    """

    def __init__(self, files: FileSplit, cache: Path | None) -> None:
        self._files, self._cache = files, cache

    def __call__(self, name: str) -> tuple[int, int] | None:
        return self._sizes.get(name)

    @cached_property
    def _sizes(self) -> Mapping[str, tuple[int, int]]:
        folder, cache = self._files.images, self._cache
        listing = read_listing(self._files.annotations, cache).images
        scans = scan_images(folder, find_names(folder, listing).files, cache=cache)
        named = zip(listing, scans, strict=True)
        return {name: scan.header.oriented for name, scan in named if scan.header.format}
