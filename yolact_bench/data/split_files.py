"""The image files of a split, for comparison with those of another one."""

from collections.abc import Sequence
from dataclasses import dataclass
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
